"""A game day: faults made against a running flow, and the alerts that a real Prometheus then shows."""
