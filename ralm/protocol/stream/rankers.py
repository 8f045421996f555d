"""Who ranks the candidates of a stream, and the rivals: popularity, newest, random, item-kNN over all clicks so far.

All of them know an item's clicks up to the window's start, and a user's up to the request.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.sparse import csr_array

from ralm.features import Floats
from ralm.progress import Report, silent
from ralm.protocol.stream.cut import StreamCut
from ralm.protocol.stream.window import AskedBatch, StreamWindow

RIVAL_ROWS = ("random", "newest", "popularity", "item-knn")
"""What the rivals' rows are called."""
_CHUNK = 512
"""Items whose similarities are dense at once."""


@dataclass(frozen=True, order=True)
class Variant:
    """One way of ranking; of those that differ in their numbers alone, validation chooses one.

    Attributes:
        row: what it is called in the table.
        prior: g, weight of ``log(1 + seeds)``.
        neighbours: lambda, weight of the neighbours.
        extra: another parameter, of what is tried.
        recent: w, weight of the user's last 5 items.
    """

    row: str
    prior: float = 0.0
    neighbours: float = 0.0
    extra: float = 0.0
    recent: float = 0.0


class Ranker(Protocol):
    """Learns before the stream, looks at the items once a window, and ranks for batches of requests."""

    def fit(self, cut: StreamCut, rng_seed: int, report: Report = silent) -> None:
        """Learn from ``cut.learned`` and nothing else."""

    def open(self, window: StreamWindow) -> None:
        """Look at the items as of the window's start."""

    def ranked(self, asked: AskedBatch) -> Iterator[tuple[Variant, Floats]]:
        """Scores of each variant for the candidates, float32[R, L]; always the same variants."""


class Rivals:
    """The methods that need no vectors."""

    def fit(self, cut: StreamCut, rng_seed: int, report: Report = silent) -> None:
        """Nothing is learned."""
        del cut, report
        self._rng = np.random.default_rng([rng_seed, 1])

    def open(self, window: StreamWindow) -> None:
        """Count, and compare all items by their clickers."""
        self._window = window
        clicked = window.seeds.T.tocsr()  # (users, items)
        items = window.log.seeds(window.start)[1]
        self._born = np.full(window.log.items, -1, np.int64)
        # The seeds are in the order of time: of what is written backwards, an item's first click is what stays.
        self._born[items[::-1]] = np.arange(len(items))[::-1]
        self._similar = [
            _cosines(clicked, window.live[first : first + _CHUNK]) for first in range(0, len(window.live), _CHUNK)
        ]

    def ranked(self, asked: AskedBatch) -> Iterator[tuple[Variant, Floats]]:
        """The rows of `RIVAL_ROWS`."""
        window, shape = self._window, asked.allowed.shape
        popular = np.broadcast_to(np.log1p(window.counts[window.live]), shape)
        yield Variant("random"), self._rng.random(shape, np.float32)
        yield Variant("newest"), np.broadcast_to(self._born[window.live].astype(np.float32), shape)
        yield Variant("popularity"), popular.astype(np.float32)
        histories = asked.histories
        ones = np.ones(len(histories.items), np.float32)
        clicked = csr_array((ones, histories.items, histories.start), (histories.users, window.log.items))
        summed = np.concatenate([clicked @ similar for similar in self._similar], axis=1)
        yield Variant("item-knn"), (summed + 1e-6 * popular).astype(np.float32)  # who knows nothing asks popularity


def _cosines(clicked: csr_array, items: np.ndarray) -> Floats:
    """``|clickers of both| / sqrt(|clickers| |clickers|)`` of all items with some, float32[items, C]."""
    together: Floats = (clicked.T @ clicked[:, items]).toarray()
    counts = np.maximum(np.bincount(clicked.indices, minlength=clicked.shape[1]), 1)
    together /= np.sqrt(np.outer(counts, counts[items])).astype(np.float32)
    return together
