"""What all rounds of a run share: the broker and the bundle, in a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ralm.scoring import AttentionWeights
from state.bundle.bundle import write_bundle
from state.user_keys import user_key

from .generator import KNOWN

_DIM = 16


@dataclass(frozen=True)
class World:
    """The broker and the bundle of a run.

    Attributes:
        folder: everything of the run lies in it.
        broker: it runs; faults of the broker need an embedded one.
        prefix: all topics of the run begin with it.
        bundle: folder of the bundle.
        version: the bundle's.
        vectors: look-alike vector of each known user, float32[h], by user key.
    """

    folder: Path
    broker: Any
    prefix: str
    bundle: Path
    version: str
    vectors: dict[int, NDArray[np.float32]]

    @classmethod
    def make(cls, folder: Path, broker: Any, prefix: str, rng_seed: int) -> "World":
        """Write a bundle of random weights and vectors."""
        rng = np.random.default_rng(rng_seed)
        shapes = ((_DIM, _DIM), (8, _DIM), (8,))
        weights = AttentionWeights(*(rng.normal(scale=0.3, size=shape).astype("f4") for shape in shapes))
        vectors = rng.normal(size=(len(KNOWN), _DIM)).astype("f4")
        keys = [user_key(user) for user in KNOWN]
        version = write_bundle(
            folder / "bundle",
            towers=weights,
            user_tower={},
            lookalike={},
            keys=np.array(keys, np.uint64),
            vectors=vectors,
            details={},
        )
        return cls(folder, broker, prefix, folder / "bundle", version, dict(zip(keys, vectors, strict=True)))
