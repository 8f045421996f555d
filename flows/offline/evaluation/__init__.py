"""The experiment: every model on one task, cell by cell, and what is told of it (docs/experiment.md)."""
