"""A toy bundle: random weights, random vectors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ralm.scoring import AttentionWeights
from state.bundle.bundle import Bundle, write_bundle
from state.user_keys import user_keys


def toy_bundle(
    path: Path, users: Sequence[str], *, dim: int = 8, scale: float = 1.0, prior: float = 0.0, rng_seed: int = 0
) -> Bundle:
    """Write a bundle in which these users have vectors, and open it.

    Args:
        path: its directory.
        users: their identifiers.
        dim: h, of the vectors.
        scale: of the attention weights.
        prior: weight of the seed count in a score.
        rng_seed: fixes all numbers.
    """
    rng, attention = np.random.default_rng(rng_seed), 4
    shapes = ((dim, dim), (attention, dim), (attention,))
    weights = AttentionWeights(*(rng.normal(scale=scale, size=s).astype("f4") for s in shapes), prior=prior)
    vectors = rng.normal(size=(len(users), dim)).astype("f4")
    keys = user_keys(list(users))
    write_bundle(path, towers=weights, user_tower={}, lookalike={}, keys=keys, vectors=vectors, details={})
    return Bundle.open(path)
