"""Measurements that stand beside something else run on the same machine at the same time."""
