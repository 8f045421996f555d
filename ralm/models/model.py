"""What every compared model is: something that learns from clicks and then scores users against items."""

from typing import Protocol, runtime_checkable

from ralm.features import Floats, Interactions, Ints
from ralm.progress import Report, silent
from ralm.seed_lists import SeedLists


class Model(Protocol):
    """Learns from clicks, then says how much users look like (or want) items; more is better."""

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Learn from all clicks of ``clicks`` and nothing else; every random choice follows ``rng_seed``."""

    def scores(self, users: Ints, items: Ints) -> Floats:
        """Scores of users (int64[U]) for items (int64[I]) that had clicks when it learned, float32[U, I]."""


@runtime_checkable
class SeedModel(Model, Protocol):
    """A model that can also answer for an item it has never learned of, from the item's seeds alone."""

    def scores_of_seeds(self, users: Ints, seeds: SeedLists) -> Floats:
        """Scores of users (int64[U]) for items given only by their seeds, float32[U, I]; its weights stay."""
