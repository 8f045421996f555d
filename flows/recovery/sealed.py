"""A checksum around what lies in the engine's recovery files: SQLite keeps none of what is in a row.

Without it, a flipped bit in a row makes another number of an offset, and messages are skipped in silence.
"""

import zlib

from flows.support.errors import RalmError

_SUM_BYTES = 4


def seal(data: bytes) -> bytes:
    """The data with its CRC-32 before it."""
    return zlib.crc32(data).to_bytes(_SUM_BYTES, "big") + data


def unseal(sealed: bytes) -> bytes:
    """The data that was sealed.

    >>> unseal(seal(b"data"))
    b'data'

    Raises:
        RalmError: when it is damaged; says what to do.
    """
    data = sealed[_SUM_BYTES:]
    if seal(data) != sealed:
        msg = (
            "a snapshot in the engine's recovery data is damaged: it does not fit its checksum. Restore the state "
            "directory, stores and recovery data together, from a backup (`ralm state restore`), or move its folder "
            "recovery away: then all messages that the topics still have are read again, which changes no seed set."
        )
        raise RalmError(msg)
    return data


def seal_position(position: int | None) -> bytes | None:
    """An offset as a source's snapshot holds it."""
    return None if position is None else seal(position.to_bytes(8, "big"))


def unseal_position(sealed: bytes | None) -> int | None:
    """The offset of a source's snapshot.

    >>> unseal_position(seal_position(7))
    7

    Raises:
        RalmError: when it is damaged; says what to do.
    """
    return None if sealed is None else int.from_bytes(unseal(sealed), "big")
