"""The figures of a stream over its draws: hit rates with their intervals, and what was shown.

A rate is the mean over the draws of hits / judged requests. Its interval is a 95% percentile bootstrap over *users*,
who come with all their requests in all draws: requests of one user resemble one another, and draws share their users.
Differences between two rows are taken within the resampled users.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ralm.features import Ints
from ralm.protocol.exposure import gini
from ralm.protocol.stream.rankers import Variant
from ralm.protocol.stream.replay import ITEM_GROUPS, Replayed

_RESAMPLES = 2000


@dataclass(frozen=True)
class StreamRate:
    """A figure with its spread.

    Attributes:
        mean: over the draws.
        low, high: 95% interval.
        of_draws: the figure of each draw.
        requests: judged in all draws.
    """

    mean: float
    low: float
    high: float
    of_draws: tuple[float, ...]
    requests: int


@dataclass(frozen=True)
class Shown:
    """What was among the first places of all candidates; means over the draws.

    Attributes:
        items: distinct items.
        share: of the candidates.
        gini: of the exposure of the candidates.
        tail: share of the places that went to the tail.
        new_shown: share of the withheld items that were ever shown.
        first_clicks: median of the clicks that a withheld item had before it was first shown, over those shown.
    """

    items: float
    share: float
    gini: float
    tail: float
    new_shown: float
    first_clicks: float


class Resampled:
    """Users drawn with replacement, the same for every figure of an experiment.

    Args:
        users: how many there are.
        rng_seed: fixes the draws.
        resamples: how many.
    """

    def __init__(self, users: int, rng_seed: int = 0, resamples: int = _RESAMPLES) -> None:
        rng = np.random.default_rng(rng_seed)
        drawn = rng.integers(0, users, (resamples, users))
        self._times = np.stack([np.bincount(row, minlength=users) for row in drawn]).astype(np.float32)
        self._users = users

    def rate(self, draws: Sequence[tuple[Ints, NDArray[np.floating] | NDArray[np.bool_]]]) -> StreamRate:
        """The mean rate of some requests.

        Args:
            draws: of each the user of each judged request, int64[n], and what is averaged, [n].
        """
        sums, counts = np.zeros((2, len(draws), self._users), np.float32)
        for place, (users, values) in enumerate(draws):
            sums[place] = np.bincount(users, values, self._users)
            counts[place] = np.bincount(users, minlength=self._users)
        of_draws = [float(np.mean(values)) if len(values) else float("nan") for _, values in draws]
        some = [place for place, (users, _) in enumerate(draws) if len(users)]
        if not some:
            return StreamRate(float("nan"), float("nan"), float("nan"), tuple(of_draws), 0)
        asked = self._times @ counts[some].T  # (resamples, draws)
        rates = (self._times @ sums[some].T / np.maximum(asked, 1)).mean(axis=1)
        low, high = np.percentile(rates, [2.5, 97.5]).tolist()
        return StreamRate(float(np.nanmean(of_draws)), low, high, tuple(of_draws), int(counts.sum()))


def judged_hits(
    draws: Sequence[Replayed], variant: Variant, group: str, asked_after: Sequence[int] | None = None
) -> list[tuple[Ints, NDArray[np.float64]]]:
    """The judged requests of a variant in a group, of some positions in the session or of all.

    Returns:
        Of each draw the users, int64[n], and whether it was hit, float64[n].
    """
    place, found = ITEM_GROUPS.index(group), []
    for draw in draws:
        judged = draw.judged[place]
        if asked_after is not None:
            judged = judged & np.isin(draw.requests.asked_after, asked_after)
        hit = draw.hit[draw.variants.index(variant), place, judged].astype(np.float64)
        found.append((draw.requests.users[judged], hit))
    return found


def less(
    first: Sequence[tuple[Ints, NDArray[np.float64]]], second: Sequence[tuple[Ints, NDArray[np.float64]]]
) -> list[tuple[Ints, NDArray[np.float64]]]:
    """How much more often the first hit, on the same requests."""
    return [(users, mine - theirs) for (users, mine), (_, theirs) in zip(first, second, strict=True)]


def shown_by(draws: Sequence[Replayed], variant: Variant) -> Shown:
    """What a variant showed."""
    figures = []
    for draw in draws:
        place = draw.variants.index(variant)
        exposed = draw.exposed[place][draw.candidates]
        first = draw.first_exposure[place]
        seen = first[first >= 0]
        figures.append(
            (
                (exposed > 0).sum(),
                (exposed > 0).mean(),
                gini(exposed),
                draw.tail_places[place] / max(1, exposed.sum()),
                len(seen) / max(1, len(first)),
                np.median(seen) if len(seen) else float("nan"),
            )
        )
    columns = np.array(figures, float).T
    return Shown(*(float(np.mean(some)) if len(some := x[np.isfinite(x)]) else float("nan") for x in columns))
