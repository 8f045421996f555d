"""A bundle of random weights and vectors, to measure with."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ralm.scoring import AttentionWeights
from state.bundle.bundle import write_bundle


def write_random_bundle(path: Path, keys: NDArray[np.uint64], dim: int, rng: np.random.Generator) -> None:
    """Write a bundle.

    Args:
        path: its directory.
        keys: of the users that have vectors, uint64[n].
        dim: h, of the vectors.
        rng: makes all numbers.
    """
    attention = dim // 4
    w_local, w_global, v_global = (
        rng.normal(scale=0.3, size=shape).astype(np.float32) for shape in ((dim, dim), (attention, dim), (attention,))
    )
    write_bundle(
        path,
        towers=AttentionWeights(w_local, w_global, v_global),
        user_tower={},
        lookalike={},
        keys=keys,
        vectors=rng.normal(size=(len(keys), dim)).astype(np.float32),
        details={},
    )
