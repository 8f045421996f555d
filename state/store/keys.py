"""The keys of a store, put together and taken apart; ``state/store/layout.py`` lists them.

All numbers in keys are big-endian, so that they sort.
"""

import struct
from typing import NamedTuple

from state.store.layout import DamagedValueError

META_KEY = b"M"
WORK_KEY = b"W"
_WINDOW_KEY = struct.Struct(">QQQ")
_TAILS = {b"I": 0, b"B": 0, b"H": 0, b"P": 8, b"D": 8, b"O": 24, b"G": 0, b"C": 0, b"L": 0, b"T": 0}
"""Bytes of a key after the item."""


class StoreKey(NamedTuple):
    """A key taken apart: its kind, its item, and what stands after it.

    Attributes:
        kind: the letter.
        item: the item.
        epoch: of a delta or an open window; of a piece generation and number in one.
        closes: of an open window: with which window's end it is folded in, ms.
        window: of an open window: its end, ms.
    """

    kind: str
    item: str
    epoch: int = 0
    closes: int = 0
    window: int = 0


def item_key(kind: bytes, item: str) -> bytes:
    """The key of an item's value."""
    name = item.encode()
    return kind + len(name).to_bytes(2, "big") + name


def delta_key(item: str, epoch: int) -> bytes:
    """The key of the delta of an epoch."""
    return item_key(b"D", item) + epoch.to_bytes(8, "big")


def window_key(item: str, closes: int, window: int, epoch: int) -> bytes:
    """The key of an open window's clicks of an epoch."""
    return item_key(b"O", item) + _WINDOW_KEY.pack(closes, window, epoch)


def piece_key(item: str, generation: int, number: int) -> bytes:
    """The key of a piece of a base set."""
    return item_key(b"P", item) + generation.to_bytes(4, "big") + number.to_bytes(4, "big")


def split_key(key: bytes) -> StoreKey:
    """Take the key of an item's value apart.

    Raises:
        DamagedValueError: when it is not such a key.
    """
    kind, length, rest = key[:1], int.from_bytes(key[1:3], "big"), key[3:]
    try:
        if len(key) < 3 or kind not in _TAILS or len(rest) != length + _TAILS[kind]:
            raise ValueError
        item, tail = rest[:length].decode(), rest[length:]
        if kind == b"O":
            closes, window, epoch = (int.from_bytes(tail[at : at + 8], "big") for at in (0, 8, 16))
            return StoreKey("O", item, epoch, closes, window)
        return StoreKey(kind.decode(), item, int.from_bytes(tail, "big"))
    except ValueError:
        msg = f"the key {key[:80]!r} is not a key of this format"
        raise DamagedValueError(msg) from None
