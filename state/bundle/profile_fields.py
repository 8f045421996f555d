"""The profile fields of a bundle: what their values are coded as, so that a new user is coded as in training."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from ralm.encoders.encoder import EncoderPart
from ralm.encoders.profiles import MOST_VALUES, SEPARATOR, Profiles
from ralm.features import Ints

_KINDS = {"categorical", "multivalent", "continuous"}
_Codes = dict[str, dict[str, int]]


@dataclass(frozen=True)
class CodedProfiles:
    """Profiles as numbers.

    Attributes:
        profiles: of U users.
        known: how many of each user's values the bundle knows, int64[U].
        unknown: how many values it does not, of fields that it knows or of others, of all users together.
    """

    profiles: Profiles
    known: Ints
    unknown: int


@dataclass(frozen=True)
class ProfileFields:
    """The fields by name.

    Attributes:
        categorical: the values in the order of their codes, which begin with 1.
        multivalent: the same.
        continuous: the least and the greatest number in training, which are coded as 0 and 1.
    """

    categorical: Mapping[str, Sequence[str]]
    multivalent: Mapping[str, Sequence[str]]
    continuous: Mapping[str, tuple[float, float]]

    @classmethod
    def of_json(cls, fields: Any) -> Self:
        """From what a bundle's file holds.

        Raises:
            ValueError: when it is something else.
        """
        if not isinstance(fields, dict) or not all(isinstance(part, dict) for part in fields.values()):
            msg = "it is not an object of objects"
            raise ValueError(msg)
        if fields.keys() - _KINDS:
            msg = f"it has {sorted(fields)[:9]}, where only {sorted(_KINDS)} may be"
            raise ValueError(msg)
        coded = {kind: {n: _values(n, v) for n, v in fields.get(kind, {}).items()} for kind in _KINDS - {"continuous"}}
        continuous = {name: _bounds(name, ends) for name, ends in fields.get("continuous", {}).items()}
        names = [*coded["categorical"], *coded["multivalent"], *continuous]
        if len(set(names)) < len(names):
            msg = "a field is of two kinds"
            raise ValueError(msg)
        return cls(coded["categorical"], coded["multivalent"], continuous)

    def check(self, parts: Iterable[EncoderPart]) -> None:
        """See that the encoder's weights are of these fields.

        Raises:
            ValueError: when a field, a code or a number is missing.
        """
        for part in parts:
            weights = part.profile
            for kind, tables in (("categorical", weights.categorical), ("multivalent", weights.multivalent)):
                for name, table in tables.items():
                    values = getattr(self, kind).get(name)
                    if values is None or len(table) != len(values) + 1:
                        found = "is not there" if values is None else f"has {len(values)} values"
                        msg = f"the {kind} field {name[:80]!r} {found}; the weights are of {len(table) - 1}"
                        raise ValueError(msg)
            if len(weights.middle) not in (0, len(self.continuous)):
                msg = f"there are {len(self.continuous)} continuous fields; the weights are of {len(weights.middle)}"
                raise ValueError(msg)

    def coded(self, profiles: Sequence[Mapping[str, str]]) -> CodedProfiles:
        """Profiles given as text, several values of a field joined by ``|``.

        A number beyond those of training counts as the nearest of these. What is not known, and values of a field
        beyond the most, are left out.
        """
        known, given = np.zeros(len(profiles), np.int64), 0
        categorical: dict[str, tuple[Ints, int]] = {}
        multivalent: dict[str, tuple[Ints, int]] = {}
        continuous = np.full((len(profiles), len(self.continuous)), np.nan, np.float32)
        for name, codes in self._codes_of["categorical"].items():
            column = np.array([codes.get(profile.get(name, ""), 0) for profile in profiles], np.int64)
            categorical[name] = column, len(codes) + 1
            known += column > 0
        for name, codes in self._codes_of["multivalent"].items():
            rows = [_known(profile.get(name, ""), codes) for profile in profiles]
            padded = np.zeros((len(rows), max((len(row) for row in rows), default=0) or 1), np.int64)
            for place, row in enumerate(rows):
                padded[place, : len(row)] = row
            multivalent[name] = padded, len(codes) + 1
            known += (padded > 0).sum(axis=1)
        for place, (name, (low, high)) in enumerate(self.continuous.items()):
            numbers = np.array([_number(profile.get(name, "")) for profile in profiles], np.float64)
            continuous[:, place] = np.clip((numbers - low) / ((high - low) or 1.0), 0.0, 1.0)
            known += np.isfinite(numbers)
        given = sum(
            text.count(SEPARATOR) + 1 if name in self.multivalent else 1
            for profile in profiles
            for name, text in profile.items()
        )
        return CodedProfiles(Profiles(categorical, multivalent, continuous), known, given - int(known.sum()))

    @cached_property
    def _codes_of(self) -> dict[str, _Codes]:
        return {
            kind: {name: {value: code for code, value in enumerate(values, 1)} for name, values in fields.items()}
            for kind, fields in (("categorical", self.categorical), ("multivalent", self.multivalent))
        }


def _known(text: str, codes: Mapping[str, int]) -> list[int]:
    """The codes of the known ones among joined values, as many as may count."""
    return [codes[value] for value in text.split(SEPARATOR) if value in codes][:MOST_VALUES]


def _number(text: str) -> float:
    """A number; NaN where it is none, or not finite."""
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _values(name: str, values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        msg = f"the values of the field {name[:80]!r} are not text"
        raise ValueError(msg)
    if len(set(values)) < len(values):
        msg = f"a value of the field {name[:80]!r} is there twice"
        raise ValueError(msg)
    return values


def _bounds(name: str, ends: Any) -> tuple[float, float]:
    numbers = isinstance(ends, list) and all(type(end) in (int, float) and math.isfinite(end) for end in ends)
    if not numbers or len(ends) != 2 or ends[0] > ends[1]:
        msg = f"the field {name[:80]!r} has no least and greatest number"
        raise ValueError(msg)
    return float(ends[0]), float(ends[1])
