"""What was tried in the stream (``--eval-rankers flows.offline.evaluation.stream_trials``); only ``short`` was kept.

The trials of ``ralm/models/trials.py``, upon live vectors of the closed form; each row's parameter is chosen on
validation, and 0 is among what is chosen from but where it says otherwise. ``refitted`` makes the closed form anew at
each window: what retraining would add to vectors that follow the clicks.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from flows.offline.evaluation.stream_catalogue import RIVALS, STREAM_DIM, StreamEntry
from flows.offline.evaluation.stream_catalogue import STREAM as KEPT
from ralm.encoders.encoder import TableEncoder, unit
from ralm.encoders.histories import LAST_ITEMS, Histories
from ralm.encoders.profiles import Profiles
from ralm.encoders.spectral import Spectral
from ralm.features import Floats, Ints
from ralm.models.catalogue import MAIN_GROUP
from ralm.models.trials import AGE_RATES, OWN_MEAN_SCALES, own_mean_vectors, table_of
from ralm.progress import Report, silent
from ralm.protocol.stream.cut import StreamCut
from ralm.protocol.stream.looks import LookalikeGrid, LookalikeRanker
from ralm.protocol.stream.rankers import Variant
from ralm.protocol.stream.window import AskedBatch, StreamWindow

_DAY_MS = 86_400_000
_GRID = LookalikeGrid(priors=(0.1, 0.2), neighbours=(), recent=())
_WITH_NEIGHBOURS = LookalikeGrid(priors=(0.1, 0.2), neighbours=(0.5, 2.0), recent=())
_SHORT_WEIGHTS = (0.2, 0.4, 0.6, 0.8)


class LiveTrial:
    """Live vectors of the closed form with one thing changed; a row for each parameter, of which one is chosen.

    Args:
        name: of the row.
        kind: ``own-mean``, ``short``, ``age`` (in time: ``exp(-w age in days / 10)``), ``leave-out`` or ``refitted``.
        parameters: to choose from.
        neighbours: whether there is a row with neighbours too.
    """

    def __init__(self, name: str, kind: str, parameters: tuple[float, ...], *, neighbours: bool = False) -> None:
        self.name, self._kind, self._parameters = name, kind, parameters
        self._grid = _WITH_NEIGHBOURS if neighbours else _GRID

    def fit(self, cut: StreamCut, rng_seed: int, report: Report = silent) -> None:
        """Fit the encoder, once for all parameters."""
        first = _Changed(self._kind, self._parameters[0], self._grid)
        first.fit(cut, rng_seed, report)
        self._rankers = [first, *(first.with_parameter(parameter) for parameter in self._parameters[1:])]

    def open(self, window: StreamWindow) -> None:
        """Look at the items with each parameter."""
        first, *others = self._rankers
        first.open(window)
        for ranker in others:
            if self._kind in ("short", "age"):  # its users are as they are for the first
                ranker.open_like(first)
            else:
                ranker.open(window)

    def ranked(self, asked: AskedBatch) -> Iterator[tuple[Variant, Floats]]:
        """Each parameter with each weight of the prior."""
        for ranker in self._rankers:
            for variant, scores in ranker.ranked(asked):
                row = f"{self.name} + neighbours" if variant.neighbours else self.name
                yield replace(variant, row=row, extra=ranker.parameter), scores


class _Changed(LookalikeRanker):
    """One of the changes with one parameter."""

    def __init__(self, kind: str, parameter: float, grid: LookalikeGrid) -> None:
        super().__init__(kind, Spectral(STREAM_DIM), grid, frozen=False)
        self.kind, self.parameter = kind, parameter

    def with_parameter(self, parameter: float) -> "_Changed":
        """The same with another parameter, upon the same fitted encoder."""
        other = _Changed(self.kind, parameter, _GRID)
        other.__dict__.update({**self.__dict__, "parameter": parameter})
        return other

    def fit(self, cut: StreamCut, rng_seed: int, report: Report = silent) -> None:
        """Fit, and keep what is learned from for what is fitted again."""
        super().fit(cut, rng_seed, report)
        self._fitted, self._cut, self._rng_seed = table_of(self.encoder), cut, rng_seed

    def open(self, window: StreamWindow) -> None:
        """Change the encoder where the change is in it, then look at the items."""
        if self.kind == "own-mean":
            self.encoder = self._with_unknown_items(window)
        elif self.kind == "refitted" and self.parameter:
            earlier = self._cut.kept.only(self._cut.kept.clicks_time < window.start)
            self.encoder = Spectral(STREAM_DIM).fit(earlier, Profiles.of_clicks(earlier), self._rng_seed)
        super().open(window)

    def open_like(self, other: "_Changed") -> None:
        """Look at a window that another has opened, whose users have the same vectors."""
        self.__dict__.update({**other.__dict__, "parameter": self.parameter})
        self.means = self.seed_means(self.vectors)

    def targets(self, users: Ints, histories: Histories) -> Floats:
        """``short``: ``unit((1 - w) z_u + w z(last 5 items))``."""
        vectors = super().targets(users, histories)
        if self.kind != "short":
            return vectors
        last = self.encode(users, histories.newest(LAST_ITEMS))
        return unit((1 - self.parameter) * vectors + self.parameter * last)

    def seed_means(self, vectors: Floats) -> Floats:
        """``age`` weighs the seeds, ``leave-out`` subtracts the item from them."""
        window = self.window
        if self.kind == "age":
            days = (window.start - window.log.seed_times(window.start)) / _DAY_MS
            weights = np.exp(-self.parameter * days / 10).astype(np.float32)
            users, items = window.log.seeds(window.start)
            weighed = csr_array((weights, (items, users)), shape=window.seeds.shape)
            return unit(weighed[window.live] @ vectors)
        if self.kind == "leave-out" and self.parameter:
            return self._left_out()
        return super().seed_means(vectors)

    def _left_out(self) -> Floats:
        window, encoder = self.window, self._fitted
        everybody = np.arange(window.log.users)
        histories = window.log.histories(everybody, np.full(len(everybody), window.start))
        sums, table = encoder.sums(histories), encoder.item_table
        part = encoder.profile_part(self.profiles)
        means = np.zeros((len(window.live), encoder.dim), np.float32)
        for place, item in enumerate(window.live.tolist()):
            users = window.seeds.indices[window.seeds.indptr[item] : window.seeds.indptr[item + 1]]
            left = sums[users] - table[item]
            means[place] = encoder.finish(left, histories.counts[users] - 1, part[users]).sum(axis=0)
        return unit(means)

    def _with_unknown_items(self, window: StreamWindow) -> TableEncoder:
        """The encoder with ``w |e| mean of the seeds`` for each candidate that the fit did not know."""
        everybody = np.arange(window.log.users)
        histories = window.log.histories(everybody, np.full(len(everybody), window.start))
        vectors = self._fitted.encode(histories, self.profiles)
        unknown = window.live[~self._fitted.item_table[window.live].any(axis=1)]
        rows = own_mean_vectors(self._fitted, unit(window.seeds[unknown] @ vectors), self.parameter)
        parts, first = [], 0
        for part in self._fitted.parts:
            table = part.table.copy()
            table[unknown] = rows[:, first : first + part.dim]
            parts.append(replace(part, table=table))
            first += part.dim
        return TableEncoder(tuple(parts))


def _entry(
    name: str, kind: str, parameters: tuple[float, ...], description: str, *, neighbours: bool = False
) -> StreamEntry:
    return StreamEntry(lambda: LiveTrial(name, kind, parameters, neighbours=neighbours), MAIN_GROUP, description)


STREAM: dict[str, StreamEntry] = {
    RIVALS: KEPT[RIVALS],
    "plain": _entry("plain", "plain", (0.0,), "live vectors: what the others are compared with", neighbours=True),
    "own-mean": _entry("own-mean", "own-mean", OWN_MEAN_SCALES, "an unknown item adds its seed mean to sums"),
    "own-mean-always": _entry("own-mean-always", "own-mean", (1.0,), "the same at scale 1"),
    "short": _entry("short", "short", _SHORT_WEIGHTS, "leaning to the last 5 items", neighbours=True),
    "age": _entry("age", "age", AGE_RATES, "newer seeds weigh more"),
    "leave-out": _entry("leave-out", "leave-out", (1.0,), "seeds as if they had never clicked the item"),
    "refitted": _entry("refitted", "refitted", (1.0,), "the closed form made anew at each window"),
}
