"""The model and the mathematics of RALM: no Kafka, no files, no clock, no metrics."""
