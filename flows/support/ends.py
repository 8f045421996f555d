"""Whether what is done was ended from outside before, so that what is read may end it again.

A command knows before it imports anything else, a flow from what its last start has left.
"""

# Nothing else: a command imports this before all others.
import _signal  # type: ignore[import-not-found]

CRASHES = frozenset({_signal.SIGABRT, _signal.SIGSEGV, _signal.SIGBUS, _signal.SIGILL, _signal.SIGFPE, _signal.SIGKILL})
"""The signals by which the Kafka client, or the system for its memory, ends a process."""

once: bool = False
