"""What all rounds of a run share: the broker and the bundle, in a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.user_keys import user_key
from tests.toys import toy_bundle

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
        made = toy_bundle(folder / "bundle", KNOWN, dim=_DIM, scale=0.3, rng_seed=rng_seed)
        keys = [user_key(user) for user in KNOWN]
        vectors = made.vectors.gather(made.vectors.rows(np.array(keys, np.uint64)))
        return cls(folder, broker, prefix, made.path, made.version, dict(zip(keys, vectors, strict=True)))
