"""Verify, back up and restore a state directory."""
