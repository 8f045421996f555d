"""Columns of text without a common width: one long value costs its own length, and not that of every row."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Text: TypeAlias = NDArray[Any]
"""An array of text in NumPy's dtype without a width, ``StringDType``."""
_DTYPE = np.dtypes.StringDType()
_ENDS = ".ends"
"""Added to a text column's name: where each value ends. No field's name has a dot."""
_WIDE = 1024
_DIGEST_ROWS = 1 << 14


def as_words(column: NDArray[Any] | list[str]) -> NDArray[Any]:
    """Text in the dtype without a width; numbers are left alone.

    >>> as_words(["a", "b" * 99]).dtype, as_words(np.zeros(2)).dtype
    (StringDType(), dtype('float64'))
    """
    if isinstance(column, np.ndarray):
        return column.astype(_DTYPE) if column.dtype.kind == "U" else column
    return np.array(column, _DTYPE)


def places_in(ids: Text, values: Text) -> NDArray[np.int64]:
    """Where in distinct ids each value is, int64[n]; -1 where it is not.

    NumPy's ``searchsorted`` must not be used: of two arrays of this dtype it reads one with the other's memory, and
    finds wrong places of texts longer than 15 bytes (NumPy 2.4); its ``isin`` compares each with each.

    >>> places_in(as_words(["a", "c"]), as_words(["c", "b", "a"])).tolist()
    [1, -1, 0]
    """
    place = {text: row for row, text in enumerate(ids.tolist())}
    return np.fromiter((place.get(text, -1) for text in values.tolist()), np.int64, len(values))


def among(values: Text, known: Text) -> NDArray[np.bool_]:
    """Which values are among the known, bool[n].

    >>> among(as_words(["a", "b", "c"]), as_words(["c", "a"])).tolist()
    [True, False, True]
    """
    texts = set(known.tolist())
    return np.fromiter((text in texts for text in values.tolist()), np.bool_, len(values))


def pack(columns: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Columns as NumPy can store them without pickling: text as its bytes, one after another, and where each ends."""
    packed: dict[str, Any] = {}
    for name, column in columns.items():
        if column.dtype.kind != "T":
            packed[name] = column
            continue
        parts = [text.encode() for text in column.tolist()]
        packed[name] = np.frombuffer(b"".join(parts), np.uint8)
        packed[f"{name}{_ENDS}"] = np.cumsum([len(part) for part in parts], dtype=np.int64)
    return packed


def unpack(packed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The columns of `pack`.

    Raises:
        ValueError: when the ends do not fit the bytes.
    """
    columns: dict[str, NDArray[Any]] = {}
    for name, column in packed.items():
        if name.endswith(_ENDS):
            continue
        ends = packed.get(f"{name}{_ENDS}")
        if ends is None:
            columns[name] = as_words(column)
            continue
        if np.any(np.diff(ends, prepend=0) < 0) or int(ends[-1] if len(ends) else 0) != len(column):
            msg = f"the column {name} does not fit its ends"
            raise ValueError(msg)
        whole, starts = column.tobytes(), [0, *ends[:-1].tolist()]
        columns[name] = as_words([whole[start:end].decode() for start, end in zip(starts, ends.tolist(), strict=False)])
    return columns


def digestible(column: NDArray[Any]) -> Iterable[bytes]:
    """A column's bytes, in parts; text as in an array of its own width, so long as that is no waste."""
    if column.dtype.kind != "T":
        yield np.ascontiguousarray(column).tobytes()
        return
    width = max(1, int(np.strings.str_len(column).max(initial=0)))
    if width > _WIDE:
        for packed in pack({"text": column}).values():
            yield packed.tobytes()
        return
    for start in range(0, len(column), _DIGEST_ROWS):
        yield column[start : start + _DIGEST_ROWS].astype(f"U{width}").tobytes()
