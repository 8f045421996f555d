"""What models of one data set share: arrays that take long to learn, kept under what they were learned from."""

import hashlib
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ralm.features import Interactions

Arrays = dict[str, NDArray[Any]]


class FitStore(Protocol):
    """Keeps arrays under a key."""

    def get(self, key: str) -> Arrays | None:
        """The arrays kept under a key, None when there are none."""

    def put(self, key: str, arrays: Arrays) -> None:
        """Keep arrays under a key."""

    def lock(self, key: str) -> AbstractContextManager[object]:
        """Held by one holder at a time, so that only one learns what others wait for."""


class SharesFits:
    """A model that may share what takes long to learn: models differ in how they score the same vectors, too."""

    _store: FitStore | None = None

    def use_store(self, store: FitStore) -> None:
        """Share through a store."""
        self._store = store


def fit_key(name: str, clicks: Interactions, options: object) -> str:
    """The key of what is learned from some clicks with some options, whose ``repr`` says all."""
    digest = hashlib.sha256(repr(options).encode())
    for column in (clicks.clicks_user, clicks.clicks_item, clicks.clicks_time):
        digest.update(np.ascontiguousarray(column).tobytes())
    return f"{name}-{digest.hexdigest()[:16]}"
