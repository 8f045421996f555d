"""The protocol of the experiment: splits, negatives and metrics, the same for every model."""
