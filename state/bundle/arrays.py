"""A bundle's arrays: NumPy's own files, which say type, byte order and shape; mapped, and checked before use."""

import stat
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from state.bundle.manifest import AGAIN, BundleError, unreadable

MOST = 1e6
"""Greatest magnitude of a number; vectors have about 1, and far beyond this a score is no number."""
_ROWS = 1 << 16
"""Rows that are looked at together."""


def check_regular(file: Path) -> None:
    """Refuse what is missing, or not a regular file: to open a pipe would wait for ever.

    Raises:
        BundleError: when it is.
    """
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        msg = f"{file} is missing. {AGAIN}"
        raise BundleError(msg) from None
    except OSError as error:
        raise unreadable(file, error) from error
    if not stat.S_ISREG(mode):
        msg = f"{file} is not a regular file. {AGAIN}"
        raise BundleError(msg)


def mapped(file: Path, kinds: tuple[str, ...], shape: tuple[int, ...]) -> NDArray[Any]:
    """Map an array.

    Args:
        file: in NumPy's format.
        kinds: the types that it may have, with their byte order (``<f4``).
        shape: that it must have.

    Raises:
        BundleError: when it is another one.
        OSError: when it cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a header of old, or a shape that overflows: none that is written here
            array: NDArray[Any] = open_memmap(file, mode="r")
    except OSError:
        raise
    except Exception as error:  # the format's reader raises what its parsers raise
        msg = f"{file} cannot be read as an array ({type(error).__name__}: {str(error)[:100]}). {AGAIN}"
        raise BundleError(msg) from error
    if array.dtype.str not in kinds:
        msg = f"{file} has numbers of type {array.dtype.str}; it must be {' or '.join(kinds)}. {AGAIN}"
        raise BundleError(msg)
    if array.shape != shape or not array.flags.c_contiguous:
        msg = f"{file} has the shape {array.shape}; the manifest says {shape}, row by row. {AGAIN}"
        raise BundleError(msg)
    return array


def check_numbers(file: Path, array: NDArray[Any], *, unit: bool = False) -> None:
    """See that all numbers are finite and no score can overflow.

    Args:
        file: for the message.
        array: floats [n, h].
        unit: whether rows must have length 1.

    Raises:
        BundleError: naming the first row that is wrong.
    """
    for first in range(0, len(array), _ROWS):
        part = np.asarray(array[first : first + _ROWS], np.float32)
        fine = (np.abs(part) <= MOST).all(axis=1)  # NaN is not either
        why = f"has a number that is not finite, or beyond {MOST:g}"
        if unit and fine.all():
            fine = np.abs(np.einsum("nh,nh->n", part, part) - 1.0) < 1e-2
            why = "does not have length 1"
        if not fine.all():
            msg = f"{file}: row {first + int(np.flatnonzero(~fine)[0])} {why}. {AGAIN}"
            raise BundleError(msg)


def check_ascending(file: Path, array: NDArray[Any], *, what: str, strictly: bool = True) -> None:
    """See that numbers ascend.

    Raises:
        BundleError: when they do not.
    """
    fine = array[1:] > array[:-1] if strictly else array[1:] >= array[:-1]
    if not fine.all():
        msg = f"{file}: {what} are not ascending{' and distinct' if strictly else ''}. {AGAIN}"
        raise BundleError(msg)


def check_starts(file: Path, starts: NDArray[Any], total: int, what: str) -> None:
    """See that parts of ``total`` numbers lie one after another.

    Raises:
        BundleError: when they do not.
    """
    check_ascending(file, starts, what=what, strictly=False)
    if int(starts[0]) != 0 or int(starts[-1]) != total:
        msg = f"{file}: {what} do not lead from 0 to {total}. {AGAIN}"
        raise BundleError(msg)
