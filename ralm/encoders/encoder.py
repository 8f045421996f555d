"""The contract of all encoders, and the form of those that are a table of item vectors.

A table encoder is *inductive*: a user's vector follows from the sum of its items' vectors and their number, so that a
click costs O(h), a new user needs no training, and "as if the user had never clicked item i" is one subtraction.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ralm.encoders.histories import Histories
from ralm.encoders.profiles import Profiles, ProfileWeights
from ralm.features import Floats, Interactions, Ints
from ralm.progress import Report, silent

SHIFT = 3.0
"""Added to the number of items, so that the vectors of short histories leave room for the profile."""
_LEAST_LENGTH = 1e-9
"""A vector below it has no direction."""

Sums = NDArray[np.float64]
"""Running sums of item vectors, float64: thousands of additions and subtractions must not add up to an error."""


class Encoder(Protocol):
    """From histories and profiles to user vectors of length 1.

    The order of a history's items, clicks that come again and padding change nothing; an empty history and an unknown
    profile have a vector too.
    """

    @property
    def is_inductive(self) -> bool:
        """Whether a user's vector follows from the running sum of its items' vectors."""

    @property
    def dim(self) -> int:
        """h, the length of the vectors."""

    def encode(self, histories: Histories, profiles: Profiles) -> Floats:
        """The vectors of U users, float32[U, h], each of length 1."""


class EncoderRecipe(Protocol):
    """How an encoder is learned, with its options."""

    def fit(self, clicks: Interactions, profiles: Profiles, rng_seed: int = 0, report: Report = silent) -> Encoder:
        """Learn from all clicks; every random choice follows ``rng_seed``."""


@dataclass(frozen=True)
class EncoderPart:
    """One linear encoder: ``z_u = unit( sum of e_j over the user's items j / (n_u + 3)^power + P_u )``.

    Attributes:
        table: e_j, float32[I, h].
        profile: makes P_u.
        nobody: the vector of a user of whom nothing is known, float32[h], of length 1.
        power: 0 where the number of items does not matter.
        weight: beside other parts.
    """

    table: Floats
    profile: ProfileWeights
    nobody: Floats
    power: float = 0.5
    weight: float = 1.0

    @property
    def dim(self) -> int:
        """The length h of the vectors."""
        return int(self.table.shape[1])

    def finish(self, sums: Sums, counts: Ints, profile: Floats) -> Floats:
        """``z_u`` from sums float64[U, h], numbers of items int64[U] and P_u float32[U, h]: float32[U, h]."""
        return unit_or(sums / ((counts + SHIFT) ** self.power)[:, None] + profile, self.nobody)


@dataclass(frozen=True)
class TableEncoder:
    """One or several linear encoders side by side, each brought to length 1 and weighted.

    ``z_u = (w_1 z_1u, w_2 z_2u, ...) / sqrt(w_1^2 + w_2^2 + ...)``, so that the cosine of two users is the mean of the
    parts' cosines, weighted by ``w^2``.

    Attributes:
        parts: the encoders, of the same items.
    """

    parts: tuple[EncoderPart, ...]

    @property
    def is_inductive(self) -> bool:
        """Always."""
        return True

    @property
    def dim(self) -> int:
        """h, of all parts together."""
        return sum(part.dim for part in self.parts)

    @cached_property
    def item_table(self) -> Floats:
        """e_j, what a click adds to its user's running sum, float32[I, h]."""
        return np.concatenate([part.table for part in self.parts], axis=1)

    def profile_part(self, profiles: Profiles) -> Floats:
        """P_u, what of a vector does not change with clicks, float32[U, h]."""
        return np.concatenate([part.profile.of(profiles) for part in self.parts], axis=1)

    def sums(self, histories: Histories) -> Sums:
        """The running sums of whole histories, float64[U, h].

        Raises:
            ValueError: when an item is not in the table.
        """
        if len(histories.items) and not 0 <= histories.items.min() <= histories.items.max() < len(self.item_table):
            msg = f"the histories have items that are not among the encoder's {len(self.item_table)}"
            raise ValueError(msg)
        ones = np.ones(len(histories.items))
        clicked = csr_array((ones, histories.items, histories.start), (histories.users, len(self.item_table)))
        sums: Sums = clicked @ self.item_table.astype(np.float64)
        return sums

    def finish(self, sums: Sums, counts: Ints, profile: Floats) -> Floats:
        """Vectors from running sums.

        Args:
            sums: of the users' items' vectors, float64[U, h].
            counts: how many items, int64[U].
            profile: P_u, float32[U, h].

        Returns:
            float32[U, h], each of length 1.
        """
        whole = np.sqrt(sum(part.weight**2 for part in self.parts))
        made, first = [], 0
        for part in self.parts:
            columns = slice(first, first + part.dim)
            vectors = part.finish(sums[:, columns], counts, profile[:, columns])
            made.append(vectors * np.float32(part.weight / whole))
            first += part.dim
        return np.concatenate(made, axis=1)

    def encode(self, histories: Histories, profiles: Profiles) -> Floats:
        """The vectors of U users, float32[U, h], each of length 1.

        Raises:
            ValueError: when an item is not in the table, or a profile field is missing.
        """
        return self.finish(self.sums(histories), histories.counts, self.profile_part(profiles))

    def weighted(self, weight: float) -> "TableEncoder":
        """The same with all weights multiplied."""
        return TableEncoder(tuple(replace(part, weight=part.weight * weight) for part in self.parts))


def unit(vectors: NDArray[np.floating]) -> Floats:
    """Rows brought to length 1, float32; a row of zeros stays.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).round(1).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    made: Floats = (vectors / np.maximum(length, 1e-12)).astype(np.float32)
    return made


def unit_or(vectors: NDArray[np.floating], otherwise: NDArray[np.floating]) -> Floats:
    """Rows brought to length 1, float32[U, h]; ``otherwise`` (float[h], of length 1) where one has no direction."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)  # (U, 1)
    has_direction = length > _LEAST_LENGTH
    made: Floats = np.where(has_direction, vectors / np.where(has_direction, length, 1.0), otherwise).astype(np.float32)
    return made


def direction_or_first_axis(vector: NDArray[np.floating]) -> Floats:
    """A vector brought to length 1, float32[h]; the first axis where it has no direction."""
    made: Floats = unit_or(vector[None], np.eye(1, len(vector))[0])[0]
    return made
