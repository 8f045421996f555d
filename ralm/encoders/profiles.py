"""Users' profiles, and the part of a user vector that comes from them."""

from dataclasses import dataclass

import numpy as np

from ralm.features import Floats, Interactions, Ints

SEPARATOR = "|"
"""Between several values of a field where they are one text."""
MOST_VALUES = 256
"""Most values of a multivalent field of one user: every user gets the room of the longest."""


@dataclass(frozen=True)
class Profiles:
    """The profile fields of U users, as `Interactions` has them.

    Attributes:
        categorical: of each field, codes int64[U] (0: unknown) and the number of codes (0 included).
        multivalent: of each field, codes int64[U, width] padded with 0, and the number of codes.
        continuous: float32[U, c]; NaN: unknown.
    """

    categorical: dict[str, tuple[Ints, int]]
    multivalent: dict[str, tuple[Ints, int]]
    continuous: Floats

    @property
    def users(self) -> int:
        """U, how many users."""
        return len(self.continuous)

    @classmethod
    def of_clicks(cls, clicks: Interactions) -> "Profiles":
        """The profiles of all users."""
        return cls(clicks.categorical, clicks.multivalent, clicks.continuous)

    def take(self, users: Ints) -> "Profiles":
        """The profiles of some users, int64[B], in their order."""
        return Profiles(
            {name: (codes[users], count) for name, (codes, count) in self.categorical.items()},
            {name: (codes[users], count) for name, (codes, count) in self.multivalent.items()},
            self.continuous[users],
        )

    def unknown(self, users: int) -> "Profiles":
        """As many users of whom no field is known."""
        return Profiles(
            {name: (np.zeros(users, np.int64), count) for name, (_, count) in self.categorical.items()},
            {name: (np.zeros((users, 1), np.int64), count) for name, (_, count) in self.multivalent.items()},
            np.full((users, self.continuous.shape[1]), np.nan, np.float32),
        )

    def means(self) -> Floats:
        """The mean of each continuous field over the users of whom it is known, 0 where it never is: float32[c]."""
        known = np.isfinite(self.continuous)
        total = np.where(known, self.continuous, 0.0).sum(axis=0, dtype=np.float64)
        means: Floats = (total / np.maximum(known.sum(axis=0), 1)).astype(np.float32)
        return means

    def centred(self, middle: Floats) -> Floats:
        """The continuous fields less their means (float32[c]), 0 where unknown: float32[U, c]."""
        centred: Floats = np.nan_to_num(self.continuous - middle, nan=0.0)
        return centred


@dataclass(frozen=True)
class ProfileWeights:
    """The profile part of a user vector, ``P_u``.

    ``P_u = bias + sum of one vector for each categorical value + the mean of each multivalent field's vectors
    + W (x_u - mean of x)``; what is unknown adds nothing.

    Attributes:
        bias: float32[h].
        categorical: of each field, float32[codes, h], row 0 is zero.
        multivalent: of each field, float32[codes, h], row 0 is zero.
        continuous: W transposed, float32[c, h].
        middle: the mean of x, float32[c].
    """

    bias: Floats
    categorical: dict[str, Floats]
    multivalent: dict[str, Floats]
    continuous: Floats
    middle: Floats

    @classmethod
    def none(cls, dim: int) -> "ProfileWeights":
        """Weights that make nothing of any profile."""
        return cls(np.zeros(dim, np.float32), {}, {}, np.zeros((0, dim), np.float32), np.zeros(0, np.float32))

    def of(self, profiles: Profiles) -> Floats:
        """``P_u`` of users, float32[U, h]; fields that have no weights add nothing.

        Raises:
            ValueError: when a field that has weights is not in the profiles.
        """
        absent = {*self.categorical, *self.multivalent} - {*profiles.categorical, *profiles.multivalent}
        if absent or (len(self.continuous) and profiles.continuous.shape[1] != len(self.continuous)):
            msg = (
                f"the encoder was fitted with {len(self.continuous)} continuous fields and {sorted(absent)}, which "
                "these profiles do not have"
            )
            raise ValueError(msg)
        part = np.repeat(self.bias[None], profiles.users, axis=0)  # (U, h)
        for name, table in self.categorical.items():
            part += table[profiles.categorical[name][0]]
        for name, table in self.multivalent.items():
            codes = profiles.multivalent[name][0]  # (U, width)
            known = np.maximum((codes > 0).sum(axis=1, keepdims=True), 1)
            part += table[codes].sum(axis=1) / known.astype(np.float32)
        if len(self.continuous):
            part += profiles.centred(self.middle) @ self.continuous  # (U, c) x (c, h)
        return part
