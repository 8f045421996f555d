"""The experiment: every model on one data set, kept cell by cell (docs/experiment.md)."""
