"""The replay: window by window the items are looked at, and the requests of the window are ranked and judged."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ralm.features import Floats, Ints
from ralm.progress import Report, silent
from ralm.protocol.next_clicks import first_places, hits_by_group, judged_requests
from ralm.protocol.stream.click_log import ClickLog
from ralm.protocol.stream.cut import StreamCut
from ralm.protocol.stream.rankers import Ranker, Variant
from ralm.protocol.stream.requests import Requests, requests_of
from ralm.protocol.stream.window import MIN_SEEDS, AskedBatch, StreamWindow, window_length

ITEM_GROUPS = ("new", "tail", "all")
"""Withheld items; the less clicked 80% of all items; all items."""
LEAST_CANDIDATES = 20
"""A request with fewer candidates in a group is not judged there: anybody would hit."""
_BATCH = 512
"""Requests that are ranked at once."""


@dataclass(frozen=True)
class Replayed:
    """What came of one ranker on one stream. N requests in the order of time, V variants, W withheld items.

    Attributes:
        requests: the requests.
        judged: which of them each group judges, bool[3, N], in the order of `ITEM_GROUPS`.
        variants: what was ranked by.
        hit: bool[V, 3, N].
        exposed: how often each item was among the first places of all candidates, int64[V, items].
        tail_places: how many of these places went to the tail of their window, int64[V].
        first_exposure: of each withheld item its clicks before it was first among them, -1: never, int64[V, W].
        candidates: items that were a candidate of any request, bool[items].
    """

    requests: Requests
    judged: NDArray[np.bool_]
    variants: tuple[Variant, ...]
    hit: NDArray[np.bool_]
    exposed: Ints
    tail_places: Ints
    first_exposure: Ints
    candidates: NDArray[np.bool_]


def replay_stream(cut: StreamCut, ranker: Ranker, rng_seed: int, report: Report = silent) -> Replayed:
    """Replay a stream for one ranker, which is fitted first.

    Args:
        cut: the stream.
        ranker: it may be used again for another stream.
        rng_seed: of the ranker, and of the order of equal scores.
        report: called after each window.

    Raises:
        ValueError: when the ranker has too little to learn from, or ranks other variants from window to window, or
            there is nothing to rank.
    """
    ranker.fit(cut, rng_seed, report)
    log = ClickLog(cut.kept)
    requests = requests_of(log, cut.at)
    tally = _Tally(cut, log, requests)
    length = window_length(cut.at, int(requests.times.max()))
    numbers = requests.times // length
    rng = np.random.default_rng([rng_seed, 2])
    for number in np.unique(numbers).tolist():
        window = StreamWindow(log, number * length)
        if len(window.live):
            ranker.open(window)
            rows = np.flatnonzero(numbers == number)
            for first in range(0, len(rows), _BATCH):
                tally.add(window, rows[first : first + _BATCH], ranker, rng)
        report("replay", int((numbers <= number).sum()), len(requests), float("nan"))
    return tally.result()


class _Tally:
    """What was hit and shown so far."""

    def __init__(self, cut: StreamCut, log: ClickLog, requests: Requests) -> None:
        self._withheld, self._log, self._requests = cut.withheld, log, requests
        self._judged = np.zeros((len(ITEM_GROUPS), len(requests)), bool)
        self._candidates = np.zeros(log.items, bool)
        self._of: dict[Variant, _Row] = {}

    def add(self, window: StreamWindow, rows: Ints, ranker: Ranker, rng: np.random.Generator) -> None:
        """Rank and judge some requests of a window."""
        asked = AskedBatch.of(window, self._requests.take(rows))
        everything = np.ones(len(window.live), bool)
        groups = dict(
            zip(ITEM_GROUPS, (self._withheld[window.live], window.tail[window.live], everything), strict=True)
        )
        judged = judged_requests(asked.wanted, groups)
        for place, (name, group) in enumerate(groups.items()):
            enough = (asked.allowed & group).sum(axis=1) >= LEAST_CANDIDATES
            self._judged[place, rows] = judged[name] & enough
        self._candidates[window.live] = True
        for variant, scores in _ranked(ranker, asked):
            row = self._of.setdefault(variant, _Row(self._log.items, len(self._requests)))
            hit = hits_by_group(scores, asked.allowed, asked.wanted, groups, rng)
            row.hit[:, rows] = np.stack([hit[name] for name in ITEM_GROUPS])
            row.show(window, first_places(scores, asked.allowed, rng), asked.requests.times)

    def result(self) -> Replayed:
        """Everything as arrays.

        Raises:
            ValueError: when there was no candidate at any request.
        """
        if not self._of:
            msg = f"at none of the {len(self._requests)} requests does any item have {MIN_SEEDS} seeds"
            raise ValueError(msg)
        rows = list(self._of.values())
        first = [self._clicks_before(row) for row in rows]
        return Replayed(
            self._requests,
            self._judged,
            tuple(self._of),
            np.stack([row.hit for row in rows]) & self._judged,
            np.stack([row.exposed for row in rows]),
            np.array([row.tail_places for row in rows]),
            np.stack(first),
            self._candidates,
        )

    def _clicks_before(self, row: "_Row") -> Ints:
        items = np.flatnonzero(self._withheld)
        times = row.first_shown[items]
        clicks = self._log.clicks_before(items, times)
        return np.where(times < _NEVER, clicks, -1)


_NEVER = 2**62


class _Row:
    """What one variant hit and showed."""

    def __init__(self, items: int, requests: int) -> None:
        self.hit = np.zeros((len(ITEM_GROUPS), requests), bool)
        self.exposed = np.zeros(items, np.int64)
        self.first_shown = np.full(items, _NEVER)
        self.tail_places = 0

    def show(self, window: StreamWindow, best: Ints, times: Ints) -> None:
        """Note the first places of requests, int64[R, 10] among the candidates, at their times, int64[R]."""
        owner, place = np.nonzero(best >= 0)
        items = window.live[best[owner, place]]
        self.exposed += np.bincount(items, minlength=len(self.exposed))
        self.tail_places += int(window.tail[items].sum())
        np.minimum.at(self.first_shown, items, times[owner])


def _ranked(ranker: Ranker, asked: AskedBatch) -> Iterator[tuple[Variant, Floats]]:
    for variant, scores in ranker.ranked(asked):
        if scores.shape != asked.allowed.shape or not np.isfinite(scores).all():
            msg = f"{variant.row} gives scores of shape {scores.shape}, not all finite or not {asked.allowed.shape}"
            raise ValueError(msg)
        yield variant, scores
