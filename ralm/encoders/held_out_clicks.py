"""Clicks held out of a fit, to choose between encoders by: some items altogether, and each user's last clicks.

An encoder is worth how well the mean of an item's seeds tells later clickers from others who click as much: the mean of
two figures, over items that the fit never saw and over those that it did.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ralm.accuracy import grouped_auc
from ralm.click_matrix import seed_matrix
from ralm.encoders.encoder import unit
from ralm.features import Floats, Interactions, Ints
from ralm.seed_lists import SeedLists

_ITEMS = 0.2
"""Share of the items with enough clickers that is held out."""
_CLICKERS = 20
"""Clickers that such an item must have."""
_SEEDS = 10
"""Seeds that an item must have to be judged."""
_MOST_SEEDS = 100
"""Seeds that an item held out is given by: its first clickers, half of them at most."""
_EARLIER = 0.9
"""Share of each user's clicks that is fitted on."""
_LEAST_CLICKS = 5
"""Clicks in the fit that a judged user must have."""
_NEAR = 10
"""Places in the order of activity, up and down, among which a negative is drawn."""
_TRIES = 8

PairScorer: TypeAlias = Callable[[SeedLists, Ints, Ints], Floats]
"""From seeds of I items, items (places among them) and users, int64[n] each, to scores, float32[n]."""


@dataclass(frozen=True)
class _Questions:
    """Items given by seeds, and pairs to tell apart: a later clicker of an item and somebody else, int64[n] each."""

    seeds: SeedLists
    item: Ints
    clicker: Ints
    other: Ints

    def auc(self, scores: PairScorer) -> float:
        """The mean over the items of the AUC within the item; NaN of no pair."""
        if not len(self.item):
            return float("nan")
        positive, negative = (scores(self.seeds, self.item, users) for users in (self.clicker, self.other))
        return float(grouped_auc(positive, negative, self.item).mean())


@dataclass(frozen=True)
class HeldOutClicks:
    """A cut of some clicks.

    Attributes:
        train: what encoders are fitted on.
        unseen: questions about items that have no click in ``train``.
        seen: questions about the other items.
    """

    train: Interactions
    unseen: _Questions
    seen: _Questions

    @classmethod
    def of(cls, clicks: Interactions, rng: np.random.Generator) -> "HeldOutClicks":
        """Cut clicks; nothing is asked where too little is there."""
        everything = SeedLists.of_clicks(clicks, np.arange(clicks.items))
        able = np.flatnonzero(everything.counts >= _CLICKERS)
        held = np.sort(rng.choice(able, round(len(able) * _ITEMS), replace=False))
        is_held = np.isin(clicks.clicks_item, held)
        earlier = clicks.first_of_each_user(_EARLIER)
        train = clicks.only(earlier & ~is_held)
        cold = SeedLists.of_clicks(clicks, held)
        unseen = cold.first(np.minimum(cold.counts // 2, _MOST_SEEDS))
        draw = _Draw(clicks, train, rng)
        seen = SeedLists.of_clicks(train, np.arange(clicks.items))
        later = SeedLists.of_clicks(clicks.only(~earlier & ~is_held), np.arange(clicks.items))
        return cls(train, draw.questions(unseen, cold), draw.questions(seen, later))

    def value(self, vectors: Floats) -> float:
        """The mean AUC of user vectors, float32[U, h], over both kinds of questions that there are; NaN of none."""

        def cosines(seeds: SeedLists, item: Ints, users: Ints) -> Floats:
            means = unit(seed_matrix(seeds, len(vectors)) @ vectors)  # (I, h)
            found: Floats = np.einsum("nh,nh->n", vectors[users], means[item])
            return found

        return self.value_of(cosines)

    def value_of(self, scores: PairScorer) -> float:
        """The same of anything that scores pairs of a user and an item given by its seeds."""
        figures = [figure for kind in (self.unseen, self.seen) if np.isfinite(figure := kind.auc(scores))]
        return float(np.mean(figures)) if figures else float("nan")


class _Draw:
    """Draws somebody as active who never clicked the item."""

    def __init__(self, clicks: Interactions, train: Interactions, rng: np.random.Generator) -> None:
        self._users, self._rng = clicks.users, rng
        self._activity = np.bincount(train.clicks_user, minlength=clicks.users)
        order = np.lexsort((rng.random(clicks.users), self._activity))
        self._order = order[self._activity[order] >= _LEAST_CLICKS]
        self._rank = np.full(clicks.users, -1)
        self._rank[self._order] = np.arange(len(self._order))

    def questions(self, seeds: SeedLists, clickers: SeedLists) -> _Questions:
        """Those clickers of each item who are not among its seeds, each beside somebody who is no clicker either."""
        item = np.repeat(np.arange(clickers.items), clickers.counts)
        of_seeds = np.repeat(np.arange(seeds.items), seeds.counts) * np.int64(self._users) + seeds.users
        known = np.union1d(item * np.int64(self._users) + clickers.users, of_seeds)
        asked = (seeds.counts[item] >= _SEEDS) & (self._rank[clickers.users] >= 0)
        asked &= ~np.isin(item * np.int64(self._users) + clickers.users, of_seeds)
        item, clicker = item[asked], clickers.users[asked]
        other, left = np.full(len(item), -1), np.arange(len(item))
        for _ in range(_TRIES):
            step = self._rng.integers(-_NEAR, _NEAR + 1, len(left))
            place = np.clip(self._rank[clicker[left]] + step, 0, max(0, len(self._order) - 1))
            drawn = self._order[place] if len(self._order) else place
            good = ~np.isin(item[left] * np.int64(self._users) + drawn, known)
            other[left[good]] = drawn[good]
            left = left[~good]
        found = other >= 0
        return _Questions(seeds, item[found], clicker[found], other[found])
