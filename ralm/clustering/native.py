"""The compiled k-means of many sets (``kmeans.c``), loaded with ctypes: a call holds no interpreter lock.

The installation compiles it where it finds a C compiler. Where there is none ``is_compiled`` says so and
``ralm/clustering/bulk.py`` takes scikit-learn's form.
"""

from collections.abc import Callable, Sequence
from ctypes import CDLL, c_int32, c_int64, c_uint64, c_void_p
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ralm.clustering.clusters import Clusters

WIDEST = 16
"""Floats in the widest registers that are used."""
_NO_MEMORY = 2


@cache
def _function() -> "Callable[..., None] | None":
    files = (Path(__file__).with_name(f"_kmeans{suffix}") for suffix in EXTENSION_SUFFIXES)
    file = next((file for file in files if file.exists()), None)
    if file is None:
        return None
    try:
        function = CDLL(str(file)).ralm_cluster_many
    except (OSError, AttributeError):  # made for another machine
        return None
    array = c_void_p
    function.argtypes = [
        *(array, array, c_int64, c_int64, c_int64, array, array, c_uint64, c_int32, c_int32),
        *(array, array, array),
    ]
    function.restype = None
    return function


def is_compiled() -> bool:
    """Whether the compiled form is there."""
    return _function() is not None


def cluster_compiled(
    vectors: NDArray[np.float32],
    offsets: NDArray[np.int64],
    k: int,
    rng_seed: int,
    starts: Sequence[NDArray[np.float32]],
    *,
    unit: bool = False,
    width: int = WIDEST,
) -> list[Clusters | None]:
    """Cluster many sets: k-means++ with four candidates a step, or a warm start, then Lloyd's algorithm.

    A small set gets several starts, the best of which stays. The result is the same, to the bit, on every processor.

    Args:
        vectors: of all sets, one set after the other, float32[n, h].
        offsets: where each set begins, and the end, int64[sets + 1], ascending; no set is empty.
        k: the most clusters of a set.
        rng_seed: of each set, whatever its place in the call.
        starts: of each set the centroids to start from, float32[k', h], finite; k' = 0: none.
        unit: whether vectors are brought to length 1 first.
        width: most floats in a register; for tests.

    Returns:
        Of each set its clusters; None where a vector is not finite.

    Raises:
        MemoryError: when there is no memory to work in, about twice that of the largest set.
        RuntimeError: when the compiled form is not there.
    """
    function = _function()
    if function is None:
        msg = "the compiled k-means is not there; ask is_compiled() first"
        raise RuntimeError(msg)
    sets, h = len(offsets) - 1, vectors.shape[1]
    vectors, offsets = np.ascontiguousarray(vectors, np.float32), np.ascontiguousarray(offsets, np.int64)
    start = np.ascontiguousarray(np.concatenate([np.empty((0, h), np.float32), *starts]), np.float32)
    start_offsets = np.concatenate([[0], np.cumsum([len(s) for s in starts], dtype=np.int64)]).astype(np.int64)
    if start.shape[1] != h or len(start_offsets) != sets + 1 or offsets[0] or offsets[-1] != len(vectors):
        msg = f"{sets} sets of {vectors.shape} vectors and {len(starts)} starts of {start.shape} do not fit"
        raise ValueError(msg)
    centroids = np.zeros((sets, k, h), np.float32)
    counts = np.zeros((sets, k), np.int64)
    status = np.zeros(sets, np.int32)
    arrays = [array.ctypes.data for array in (vectors, offsets, start, start_offsets, centroids, counts, status)]
    function(*arrays[:2], sets, h, k, *arrays[2:4], rng_seed % 2**64, unit, width, *arrays[4:])
    if (status == _NO_MEMORY).any():
        msg = f"no memory to cluster {int(np.diff(offsets).max()):,} vectors of {h} numbers"
        raise MemoryError(msg)
    filled = (counts > 0).sum(axis=1)
    return [None if status[i] else Clusters(centroids[i, : filled[i]], counts[i, : filled[i]]) for i in range(sets)]
