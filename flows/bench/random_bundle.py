"""A bundle of random weights and vectors, to measure with."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ralm.encoders.encoder import unit
from ralm.scoring import CountedForm
from state.bundle.write import BundleContent, write_bundle


def write_random_bundle(path: Path, keys: NDArray[np.uint64], dim: int, rng: np.random.Generator) -> None:
    """Write a bundle.

    Args:
        path: its directory.
        keys: of the users that have vectors, uint64[n].
        dim: h, of the vectors.
        rng: makes all numbers.
    """
    vectors = unit(rng.normal(size=(len(keys), dim)))
    write_bundle(path, BundleContent("random", CountedForm(dim), keys, vectors, np.zeros(len(keys), np.int64)), {})
