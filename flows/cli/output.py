"""Standard output for tables and sentences: fitted to a terminal, whole anywhere else."""

import sys

from rich.console import Console

_WHOLE = 4000
"""Columns where nobody looks at a screen: no table is so wide, and so none is cut."""


def output(*, markup: bool = False, width: int = _WHOLE) -> Console:
    """A console on standard output.

    Args:
        markup: whether what it prints has markup; otherwise nothing in a name or a message is taken for it.
        width: columns where standard output is no terminal.
    """
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return Console(width=None if terminal else width, markup=markup, highlight=False, emoji=False)
