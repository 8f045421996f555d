"""The seed sets of one partition on disk."""
