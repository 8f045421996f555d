"""Reads the few pickles that our snapshots are, and runs none."""

import pickle
import pickletools
from typing import TypeAlias

Snapshot: TypeAlias = int | bytes | None

_CALM = frozenset(("PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "STOP"))
_NUMBERS = frozenset(("BININT", "BININT1", "BININT2", "LONG1", "LONG4"))
_BYTES = frozenset(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"))
_PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


def unpickled(value: bytes) -> Snapshot:
    """What a pickle of None, a whole number or bytes holds; runs no code, whatever it is given.

    >>> unpickled(pickle.dumps(7)), unpickled(pickle.dumps(b"x")), unpickled(pickle.dumps(None))
    (7, b'x', None)

    Raises:
        ValueError: when it is anything else, or not to the last byte what Python would write.
    """
    found: list[Snapshot] = []
    try:
        for opcode, argument, _ in pickletools.genops(value):
            if opcode.name in _NUMBERS or opcode.name in _BYTES:
                found.append(argument)
            elif opcode.name == "NONE":
                found.append(None)
            elif opcode.name not in _CALM:
                msg = f"a pickle of something else than None, a number or bytes ({opcode.name})"
                raise ValueError(msg)
    except Exception as error:  # genops raises whatever its readers meet in nonsense
        raise ValueError(str(error) or type(error).__name__) from error
    if len(found) != 1:
        msg = f"a pickle of {len(found)} values"
        raise ValueError(msg)
    # A wrong version or length in it is nothing to the reader above, but the engine would not read it.
    if all(pickle.dumps(found[0], protocol) != value for protocol in _PROTOCOLS):
        msg = "a pickle that Python would not write so"
        raise ValueError(msg)
    return found[0]
