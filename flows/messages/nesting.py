"""How deep MessagePack is nested, told without decoding it: see ``state/nesting.py``."""

import struct
from typing import Final

from state.nesting import MAX_DEPTH, NestedTooDeepError

_FIXED: Final[dict[int, int]] = {
    **{0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8},
    **{0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17},
    **{0xA0 + size: size for size in range(32)},
}
"""Bytes that follow the type of a value; none follow others."""
_SIZED: Final[dict[int, tuple[str, int]]] = {
    **{0xC4: (">B", 0), 0xC5: (">H", 0), 0xC6: (">I", 0)},
    **{0xC7: (">B", 1), 0xC8: (">H", 1), 0xC9: (">I", 1)},
    **{0xD9: (">B", 0), 0xDA: (">H", 0), 0xDB: (">I", 0)},
}
"""How the length of bytes, extensions and text is written, and what they have besides."""
_NESTED: Final[dict[int, tuple[str, int]]] = {0xDC: (">H", 1), 0xDD: (">I", 1), 0xDE: (">H", 2), 0xDF: (">I", 2)}
"""How the length of lists and maps is written, and of how many values each of their parts is."""
_SHORT: Final[dict[int, int]] = {0x80 + size: 2 * size for size in range(16)} | {0x90 + n: n for n in range(16)}
"""How many values short maps and lists have."""


def check_msgpack_depth(value: bytes) -> None:
    """See that MessagePack, which can be decoded, is not nested too deep.

    Raises:
        NestedTooDeepError: when it is.
    """
    left, at = [1], 0
    while left:
        if not left[-1]:
            left.pop()
            continue
        left[-1] -= 1
        at, parts = _after(value, at)
        if parts is not None:
            left.append(parts)
            if len(left) - 1 > MAX_DEPTH:
                raise NestedTooDeepError


def _after(value: bytes, at: int) -> tuple[int, int | None]:
    """Where a value ends, or its first part begins, and how many parts it has; None of one that has none."""
    kind, at = value[at], at + 1
    if kind in _SHORT:
        return at, _SHORT[kind]
    if kind in _FIXED:
        return at + _FIXED[kind], None
    code, more = _SIZED.get(kind) or _NESTED.get(kind) or ("", 0)
    if not code:
        return at, None
    size = struct.unpack_from(code, value, at)[0]
    at += struct.calcsize(code)
    return (at, size * more) if kind in _NESTED else (at + size + more, None)
