"""Whether anything grows: the last third of the days against the third before it, and the slope over both."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from statistics import median

from .sample import Sample


@dataclass(frozen=True)
class Bound:
    """How much more there may be in the last third than in the one before: a share of that, and so much besides."""

    share: float
    more: float


BOUNDS = {
    "items": Bound(0.10, 8),
    "seeds": Bound(0.10, 100),
    "listed": Bound(0.10, 20),
    "index": Bound(0.15, 8),
    "held": Bound(0.15, 8),
    "rss_mib": Bound(0.04, 4),
    "threads": Bound(0.0, 4),  # a client of Kafka that comes and goes has so many
    "descriptors": Bound(0.05, 6),
    "children": Bound(0.0, 0),
    "state_mib": Bound(0.15, 0.5),
    "state_files": Bound(0.10, 6),
    "temporary": Bound(0.0, 0),
    "log_kib": Bound(0.20, 12),
    "series": Bound(0.0, 6),
    "status_kib": Bound(0.10, 1),
    "groups": Bound(0.0, 0),
    "topics": Bound(0.0, 0),
}
"""Of each thing that is measured. A series of a partition is there once the process has read a message of it."""


@dataclass(frozen=True)
class Verdict:
    """What is found of one measure.

    Attributes:
        name: the measure's.
        middle: median of the middle third.
        last: median of the last third.
        slope: the median of the slopes between any two days of both, times their number: what it grows by, if it does.
        allowed: how much it may grow by.
    """

    name: str
    middle: float
    last: float
    slope: float
    allowed: float

    @property
    def grows(self) -> bool:
        """Whether it grows, at once or slowly."""
        return max(self.last - self.middle, self.slope) > self.allowed

    def __str__(self) -> str:
        said = f"{self.name}: {self.middle:g} in the middle third, {self.last:g} in the last, trend {self.slope:+.3g}"
        return f"{said} (at most {self.allowed:+.3g})"


def judge(samples: Sequence[Sample]) -> list[Verdict]:
    """Compare thirds and fit a slope, of each measure."""
    third = len(samples) // 3
    names = [each.name for each in fields(Sample) if each.name in BOUNDS]
    return [_verdict(name, [float(getattr(sample, name)) for sample in samples], third) for name in names]


def _verdict(name: str, values: list[float], third: int) -> Verdict:
    middle, last, bound = median(values[third : 2 * third]), median(values[2 * third :]), BOUNDS[name]
    return Verdict(name, middle, last, robust_slope(values[third:]) * third, bound.share * middle + bound.more)


def robust_slope(values: Sequence[float]) -> float:
    """The median of the slopes between any two values (Theil and Sen), per step.

    >>> robust_slope([1.0, 2.0, 3.0, 400.0, 5.0])
    1.0
    """
    pairs = [(a, b) for b in range(len(values)) for a in range(b)]
    return median((values[b] - values[a]) / (b - a) for a, b in pairs) if pairs else 0.0
