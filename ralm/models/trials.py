"""What was tried upon the encoders and not kept, as a catalogue of its own (``--eval-catalogue ralm.models.trials``).

=============== ======================================================================================================
``own-mean``    an item that the encoder does not know adds the mean of its seeds' vectors to its clickers' sums
``short``       the user's vector leans towards that of its last 5 items
``age``         newer seeds weigh more
``leave-out``   an item's seeds are averaged as if they had never clicked it
``long``        1,000 steps of training in place of 400
``start``       training begins with the item vectors of the closed form
``dims``        the closed form beside the trained half has another number of dimensions than 32
``shaped``      the same, and its first direction, what everybody clicks, counts half
``forecast``    a prior of the clickers that an item's seeds lead to expect: those who click little are early in a crowd
=============== ======================================================================================================

The first three have one parameter, chosen on clicks held out of the fit; at 0 they are what they are compared with.
The dimensions are chosen there too, and fixed in rows of their own.
What came of them is in docs/adr.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits
from torch import nn

from ralm.click_matrix import seed_matrix
from ralm.encoders.both import Both
from ralm.encoders.encoder import Encoder, EncoderRecipe, TableEncoder, unit
from ralm.encoders.held_out_clicks import HeldOutClicks
from ralm.encoders.histories import LAST_ITEMS, Histories
from ralm.encoders.learned import Learned
from ralm.encoders.profiles import Profiles
from ralm.encoders.spectral import Spectral
from ralm.features import Floats, Interactions, Ints
from ralm.models.catalogue import MAIN_GROUP, CatalogueEntry
from ralm.models.encoded import EncodedConfig, EncodedLookalike
from ralm.models.forecast import Forecast, ForecastLookalike
from ralm.models.sized_both import SizedBoth, SizedBothLookalike
from ralm.progress import Report, silent
from ralm.seed_lists import SeedLists

_CHUNK = 1 << 22


@dataclass(frozen=True)
class FittedTable:
    """An encoder with what it was fitted on, and the vectors of all users, float32[users, h]."""

    encoder: TableEncoder
    histories: Histories
    profiles: Profiles
    vectors: Floats

    @classmethod
    def of(cls, recipe: EncoderRecipe, clicks: Interactions, rng_seed: int, report: Report) -> "FittedTable":
        """Fit.

        Raises:
            ValueError: when there is too little to fit on, or the encoder is no table of item vectors.
        """
        profiles, histories = Profiles.of_clicks(clicks), Histories.of_clicks(clicks)
        encoder = table_of(recipe.fit(clicks, profiles, rng_seed, report))
        return cls(encoder, histories, profiles, encoder.encode(histories, profiles))


def table_of(encoder: Encoder) -> TableEncoder:
    """The encoder, if it is a table of item vectors.

    Raises:
        ValueError: when it is none.
    """
    if not isinstance(encoder, TableEncoder):
        msg = f"{type(encoder).__name__} is no table of item vectors"
        raise ValueError(msg)
    return encoder


Targets: TypeAlias = Callable[[FittedTable, Ints, SeedLists, float, Ints | None], Floats]
"""Vectors of the users who are asked for, float32[U, h], from their numbers, then as `Means` takes it."""
Means: TypeAlias = Callable[[FittedTable, SeedLists, float, Ints | None], Floats]
"""Vectors of items, float32[I, h], from their seeds, the parameter, and their numbers (None: the fit knows none)."""


def plain_targets(fitted: FittedTable, users: Ints, seeds: SeedLists, parameter: float, items: Ints | None) -> Floats:
    """Users as the encoder has them."""
    del seeds, parameter, items
    return fitted.vectors[users]


def plain_means(fitted: FittedTable, seeds: SeedLists, parameter: float, items: Ints | None) -> Floats:
    """The mean of the seeds, of length 1."""
    del parameter, items
    return unit(seed_matrix(seeds, len(fitted.vectors)) @ fitted.vectors)


def short_targets(fitted: FittedTable, users: Ints, seeds: SeedLists, parameter: float, items: Ints | None) -> Floats:
    """``unit((1 - w) z_u + w z(last 5 items))``."""
    del seeds, items
    last = fitted.encoder.encode(fitted.histories.take(users).newest(LAST_ITEMS), fitted.profiles.take(users))
    return unit((1 - parameter) * fitted.vectors[users] + parameter * last)


def own_mean_targets(
    fitted: FittedTable, users: Ints, seeds: SeedLists, parameter: float, items: Ints | None
) -> Floats:
    """Users whose sums have ``w |e| mean of the seeds`` more for each given item that they are a seed of.

    ``|e|`` is the mean length of the known items' vectors, for each part of the encoder. Items that the fit knows are
    in the sums already. Who is asked for an item is not among its seeds.
    """
    if items is not None or not parameter:
        return fitted.vectors[users]
    encoder = fitted.encoder
    table = own_mean_vectors(encoder, plain_means(fitted, seeds, 0.0, None), parameter)
    member = csr_array(seed_matrix(seeds, len(fitted.vectors)).T.tocsr()[users])  # (U, I)
    histories, profiles = fitted.histories.take(users), fitted.profiles.take(users)
    sums = encoder.sums(histories) + member @ table
    counts = histories.counts + np.asarray(member.sum(axis=1)).ravel().astype(np.int64)
    return encoder.finish(sums, counts, encoder.profile_part(profiles))


def own_mean_vectors(encoder: TableEncoder, means: Floats, parameter: float) -> Floats:
    """Rows for the item table from items' means, float32[I, h]; parts keep their share of the length."""
    rows, first = np.zeros_like(means), 0
    for part in encoder.parts:
        columns = slice(first, first + part.dim)
        lengths = np.linalg.norm(part.table, axis=1)
        length = lengths[lengths > 0].mean() if (lengths > 0).any() else 0.0
        rows[:, columns] = parameter * length * unit(means[:, columns])
        first += part.dim
    return rows


def aged_means(fitted: FittedTable, seeds: SeedLists, parameter: float, items: Ints | None) -> Floats:
    """Seeds weighed by ``exp(-w age)``, age 0 of an item's newest seed and 1 of its first, by their order."""
    del items
    place = np.arange(len(seeds.users)) - np.repeat(seeds.start[:-1], seeds.counts)
    age = 1 - place / np.maximum(1, np.repeat(seeds.counts, seeds.counts) - 1)
    weights = np.exp(-parameter * age).astype(np.float32)
    return unit(csr_array((weights, seeds.users, seeds.start), (seeds.items, len(fitted.vectors))) @ fitted.vectors)


def left_out_means(fitted: FittedTable, seeds: SeedLists, parameter: float, items: Ints | None) -> Floats:
    """Seeds as if they had never clicked the item: one subtraction each. An unknown item is in no sum."""
    if items is None or not parameter:
        return plain_means(fitted, seeds, parameter, items)
    encoder, table = fitted.encoder, fitted.encoder.item_table
    sums, counts = encoder.sums(fitted.histories), fitted.histories.counts
    part = encoder.profile_part(fitted.profiles)
    width = int(fitted.histories.items.max(initial=0)) + 1
    kept = np.sort(fitted.histories.owners * np.int64(width) + fitted.histories.items)
    means = np.zeros((seeds.items, encoder.dim), np.float32)
    for place, item in enumerate(items.tolist()):
        users = seeds.of(place)
        # Beyond the newest items of a history it is not in the sum.
        at = np.minimum(np.searchsorted(kept, users * np.int64(width) + item), len(kept) - 1)
        had = kept[at] == users * np.int64(width) + item
        seen = encoder.finish(sums[users] - had[:, None] * table[item], counts[users] - had, part[users])
        means[place] = seen.sum(axis=0)
    return unit(means)


TARGETS: dict[str, Targets] = {"plain": plain_targets, "own-mean": own_mean_targets, "short": short_targets}
MEANS: dict[str, Means] = {"plain": plain_means, "age": aged_means, "leave-out": left_out_means}


@dataclass(frozen=True)
class Trial:
    """One way to differ from the mean of the seeds.

    Attributes:
        encoder: how vectors are learned.
        targets: vectors of users, one of `TARGETS`.
        means: vectors of items, one of `MEANS`.
        parameters: to choose from.
    """

    encoder: EncoderRecipe
    targets: str = "plain"
    means: str = "plain"
    parameters: tuple[float, ...] = (0.0,)


class TrialLookalike:
    """Fits an encoder and scores as a trial says; on one numeric thread.

    Args:
        config: the trial.
    """

    def __init__(self, config: Trial) -> None:
        self.config = config

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Choose the parameter on clicks held out, then fit the encoder on all.

        Raises:
            ValueError: when the encoder has too little to learn from.
        """
        with threadpool_limits(1):
            self.parameter = self._chosen(clicks, rng_seed, report)
            self._fitted = FittedTable.of(self.config.encoder, clicks, rng_seed, report)
        self._clicks = clicks

    def scores(self, users: Ints, items: Ints) -> Floats:
        """Scores with the items' seeds in the clicks of the fit, float32[U, I]."""
        return self._scores(users, SeedLists.of_clicks(self._clicks, items), items)

    def scores_of_seeds(self, users: Ints, seeds: SeedLists) -> Floats:
        """Scores for items given by their seeds, float32[U, I]."""
        return self._scores(users, seeds, None)

    def _scores(self, users: Ints, seeds: SeedLists, items: Ints | None) -> Floats:
        config = self.config
        with threadpool_limits(1):
            means = MEANS[config.means](self._fitted, seeds, self.parameter, items)
            scores: Floats = TARGETS[config.targets](self._fitted, users, seeds, self.parameter, items) @ means.T
        return scores

    def _chosen(self, clicks: Interactions, rng_seed: int, report: Report) -> float:
        config = self.config
        if len(config.parameters) == 1:
            return config.parameters[0]
        held_out = HeldOutClicks.of(clicks, np.random.default_rng(rng_seed))
        try:
            fitted = FittedTable.of(config.encoder, held_out.train, rng_seed, report)
        except ValueError:  # too little is left to fit it on
            return config.parameters[0]

        def value(parameter: float) -> float:
            def scores(seeds: SeedLists, item: Ints, users: Ints) -> Floats:
                means = MEANS[config.means](fitted, seeds, parameter, None)
                found = np.empty(len(users), np.float32)
                for first in range(0, len(users), _CHUNK // fitted.encoder.dim):
                    pairs = slice(first, first + _CHUNK // fitted.encoder.dim)
                    some, place = np.unique(users[pairs], return_inverse=True)
                    vectors = TARGETS[config.targets](fitted, some, seeds, parameter, None)
                    found[pairs] = np.einsum("nh,nh->n", vectors[place], means[item[pairs]])
                return found

            # To items that the fit knows there is nothing to add.
            return held_out.unseen.auc(scores) if config.targets == "own-mean" else held_out.value_of(scores)

        values = [value(parameter) for parameter in config.parameters]
        return config.parameters[int(np.argmax(np.nan_to_num(values, nan=-1.0)))]


@dataclass(frozen=True)
class SpectralStart(Learned):
    """`Learned`, begun with the item vectors of the closed form, as long on average as those drawn would be."""

    def start(self, items: nn.Parameter, clicks: Interactions) -> None:
        """Put the closed form in the place of what was drawn."""
        table = Spectral(self.dim).fit(clicks, Profiles.of_clicks(clicks)).item_table
        begun = np.zeros(tuple(items.shape), np.float32)
        begun[:, : table.shape[1]] = table
        begun *= 0.3 * self.dim**-0.5 / max(float(np.sqrt((begun**2).mean())), 1e-12)
        with torch.no_grad():
            items.copy_(torch.from_numpy(begun))


def _trial(description: str, trial: Trial) -> CatalogueEntry:
    return CatalogueEntry(lambda: TrialLookalike(trial), MAIN_GROUP, description)


def _plain(description: str, encoder: EncoderRecipe) -> CatalogueEntry:
    return CatalogueEntry(lambda: EncodedLookalike(EncodedConfig(encoder)), MAIN_GROUP, description)


def _sized(description: str, *dims: int, learned: Learned | None = None) -> CatalogueEntry:
    config = SizedBoth(dims, Both(learned or Learned()))
    return CatalogueEntry(lambda: SizedBothLookalike(config), MAIN_GROUP, description)


SHORT_WEIGHTS = (0.0, 0.1, 0.2, 0.4)
OWN_MEAN_SCALES = (0.0, 0.5, 1.0, 2.0)
AGE_RATES = (0.0, 0.5, 1.0, 2.0)

CATALOGUE: dict[str, CatalogueEntry] = {
    "spectral": _plain("the closed form: what the next four are compared with", Spectral()),
    "spectral-own-mean": _trial(
        "an unknown item adds its seed mean to its clickers' sums",
        Trial(Spectral(), targets="own-mean", parameters=OWN_MEAN_SCALES),
    ),
    "spectral-short": _trial(
        "leaning to the last 5 items", Trial(Spectral(), targets="short", parameters=SHORT_WEIGHTS)
    ),
    "spectral-age": _trial("newer seeds weigh more", Trial(Spectral(), means="age", parameters=AGE_RATES)),
    "spectral-leave-out": _trial(
        "seeds as if they had never clicked the item", Trial(Spectral(), means="leave-out", parameters=(1.0,))
    ),
    "learned": _plain("400 steps: what the next three are compared with", Learned()),
    "learned-long": _plain("1,000 steps", Learned(steps=1000)),
    "learned-start": _plain("begun with the closed form", SpectralStart()),
    "learned-leave-out": _trial(
        "seeds as if they had never clicked the item", Trial(Learned(), means="leave-out", parameters=(1.0,))
    ),
    "both-16": _sized("both encoders, 16 dimensions of the closed form", 16),
    "both-32": _sized("the same with 32, as `both`: what the others are compared with", 32),
    "both-48": _sized("the same with 48", 48),
    "both-64": _sized("the same with 64", 64),
    "both-sized": _sized("the same with what validation chooses", 16, 32, 48, 64),
    "both-shaped": CatalogueEntry(
        lambda: SizedBothLookalike(SizedBoth((32, 16), firsts=(1.0, 0.5))),
        MAIN_GROUP,
        "both encoders, 32 or 16 dimensions of the closed form, the first one whole or half, as validation chooses",
    ),
    "both-forecast": CatalogueEntry(
        lambda: ForecastLookalike(Forecast()),
        MAIN_GROUP,
        "both encoders, and 0.1 times the log of the clickers that its seeds' own clicks lead to expect",
    ),
    "both-start": _sized("both encoders, the trained one begun with the closed form", 32, learned=SpectralStart()),
}
