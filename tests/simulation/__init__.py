"""Deterministic simulation: the seed side and the loader in one thread, under a random schedule from a number."""
