"""Errors that are written for people: what happened, where, and what to do."""


class RalmError(Exception):
    """Something failed that the program cannot mend; the command exits with 1."""


class ConfigError(Exception):
    """A setting or an input that cannot be used, found before anything was touched; the command exits with 2."""


class FlowFailedError(RalmError):
    """A dataflow has ended by itself; threads of the engine may still run."""
