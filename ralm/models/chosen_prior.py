"""An encoder's cosines and a popularity prior, whose weight is chosen by precision on later clicks.

``score = cosine(z_u, E_global) + g log(1 + seeds)``

g says how much of the ten best goes to what everybody clicks. The best one depends on the data, so it is chosen by
eq. 12 at 10 on the last clicks, by vectors that were fitted on the others.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ralm.accuracy import hits, precision, top
from ralm.encoders.both import Both
from ralm.encoders.encoder import EncoderRecipe
from ralm.features import Floats, Interactions, Ints
from ralm.models.encoded import EncodedConfig, EncodedLookalike
from ralm.models.fit_store import SharesFits
from ralm.progress import Report, silent
from ralm.seed_lists import SeedLists

_EARLIER = 0.9
"""Share of the clicks that the vectors are fitted on to choose g."""
_SEEDS = 10
"""Seeds that an item must have to be ranked."""
_LEAST_CLICKS = 5
"""Earlier clicks that a judged user must have."""
_MOST_USERS = 2000
"""Judged users; of more, so many are drawn."""


@dataclass(frozen=True)
class ChosenPrior:
    """Options.

    Attributes:
        priors: g, to choose from; the first where too little can be held out.
        encoder: how user vectors are learned.
        by_time: whether the last tenth of all clicks is held out, or else that of each user's. What comes after a
            moment is of few users, but it is what is asked for in service.
    """

    priors: tuple[float, ...] = (0.1, 0.125, 0.15, 0.175, 0.2)
    encoder: EncoderRecipe = field(default_factory=Both)
    by_time: bool = True


class ChosenPriorLookalike(SharesFits):
    """Chooses g, then fits the encoder on all clicks.

    Args:
        config: the options.

    Attributes:
        prior: g, after a fit.
    """

    def __init__(self, config: ChosenPrior) -> None:
        self.config = config

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Choose g on clicks held out, then fit the encoder on all.

        Raises:
            ValueError: when the encoder has too little to learn from.
        """
        self.prior = self._chosen(clicks, rng_seed, report)
        self.log = [{"stage": f"g {self.prior:g}", "epoch": 0, "loss": 0.0}]
        self._model = self._fitted(clicks, self.prior, rng_seed, report)

    def scores(self, users: Ints, items: Ints) -> Floats:
        """Scores with the items' seeds in the clicks of the fit, float32[U, I]."""
        return self._model.scores(users, items)

    def scores_of_seeds(self, users: Ints, seeds: SeedLists) -> Floats:
        """Scores for items given by their seeds, float32[U, I]."""
        return self._model.scores_of_seeds(users, seeds)

    def _fitted(self, clicks: Interactions, prior: float, rng_seed: int, report: Report) -> EncodedLookalike:
        model = EncodedLookalike(EncodedConfig(self.config.encoder, prior=prior))
        if self._store is not None:
            model.use_store(self._store)
        model.fit(clicks, rng_seed, report)
        return model

    def _chosen(self, clicks: Interactions, rng_seed: int, report: Report) -> float:
        """The g of the best precision at 10 on the last clicks."""
        priors = self.config.priors
        earlier = _before(clicks) if self.config.by_time else clicks.first_of_each_user(_EARLIER)
        train, later = clicks.only(earlier), clicks.only(~earlier)
        items = np.flatnonzero(SeedLists.of_clicks(train, np.arange(clicks.items)).counts >= _SEEDS)
        seeds, asked = SeedLists.of_clicks(train, items), SeedLists.of_clicks(later, items)
        users = np.flatnonzero(np.bincount(train.clicks_user, minlength=clicks.users) >= _LEAST_CLICKS)
        users = np.intersect1d(users, asked.users)
        rng = np.random.default_rng(rng_seed)
        if len(users) > _MOST_USERS:
            users = np.sort(rng.choice(users, _MOST_USERS, replace=False))
        seen = seeds.matrix(users, clicks.users)
        wanted = asked.matrix(users, clicks.users) & ~seen
        able = wanted.any(axis=1)
        users, seen, wanted = users[able], seen[able], wanted[able]
        if len(priors) == 1 or not len(users):
            return priors[0]
        try:
            plain = self._fitted(train, 0.0, rng_seed, report).scores_of_seeds(users, seeds)
        except ValueError:  # too little is left to fit it on
            return priors[0]
        counts = np.log1p(seeds.counts).astype(np.float32)
        values = [
            precision(
                hits(top(plain + np.float32(prior) * counts, seen, 10, np.random.default_rng(rng_seed)), wanted),
                wanted.sum(axis=1),
            )
            for prior in priors
        ]
        return priors[int(np.argmax(values))]


def _before(clicks: Interactions) -> NDArray[np.bool_]:
    """The earlier clicks of all, bool[n]; clicks of one moment stay together."""
    times = np.sort(clicks.clicks_time)
    earlier: NDArray[np.bool_] = clicks.clicks_time < times[min(len(times) - 1, int(len(times) * _EARLIER))]
    return earlier
