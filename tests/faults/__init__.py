"""The fault harness: real processes on a real broker, faults at random moments, and an oracle that knows the rule."""
