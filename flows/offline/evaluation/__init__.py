"""The experiment: every model on one task, cell by cell, and its report (docs/experiment.md)."""
