"""What kind of values a column holds."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flows.offline.datasets.tables import Table, with_points
from ralm.encoders.profiles import SEPARATOR

MOST_CODES = 10
"""A field of whole numbers with more different values is continuous."""
_TRUTHS = {"true": True, "yes": True, "t": True, "y": True, "false": False, "no": False, "f": False, "n": False}


def kind_of(table: Table, name: str) -> str:
    """The kind of a user field, inferred from its values."""
    column = table.column(name)
    if pa.types.is_nested(column.type):
        return "multivalent"
    words = pc.unique(table.strings(name))
    words = words.filter(pc.not_equal(pc.utf8_trim_whitespace(words), ""))
    numbers = as_numbers(words)
    if pa.types.is_boolean(column.type) or numbers is None:
        joined = pc.any(pc.match_substring(words, SEPARATOR)).as_py()
        return "multivalent" if joined else "categorical"
    codes = bool((numbers == np.floor(numbers)).all()) and len(numbers) <= MOST_CODES
    return "categorical" if codes else "continuous"


def as_numbers(words: Any) -> NDArray[np.float64] | None:
    """Arrow strings as numbers; None when there are none, or one is not a number."""
    if not len(words):
        return None
    try:
        numbers: NDArray[np.float64] = with_points(pc.utf8_trim_whitespace(words)).cast(pa.float64()).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return numbers


def is_boolean(column: Any) -> bool:
    """Whether a column says yes or no."""
    if pa.types.is_boolean(column.type):
        return True
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return False
    words = {str(word).strip().lower() for word in pc.unique(column).to_pylist()[:9]}
    return bool(words) and words <= set(_TRUTHS) and "" not in words


def truths(column: Any) -> NDArray[np.bool_]:
    """A column that says yes or no, bool[n]."""
    if pa.types.is_boolean(column.type):
        said: NDArray[np.bool_] = column.fill_null(value=False).to_numpy(zero_copy_only=False)
        return said
    return np.array([_TRUTHS[str(word).strip().lower()] for word in column.to_pylist()], np.bool_)
