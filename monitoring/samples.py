"""What metrics say at one moment, and the few questions that status page, demo and benchmarks ask of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from prometheus_client import CollectorRegistry, Metric


@dataclass(frozen=True)
class Samples:
    """All samples of some metrics: name and labels, and the value."""

    samples: list[tuple[str, dict[str, str], float]]

    @classmethod
    def of(cls, families: Iterable[Metric]) -> Self:
        """The samples of some families, as a registry collects or a parser reads them."""
        return cls([(s.name, s.labels, float(s.value)) for family in families for s in family.samples])

    @classmethod
    def now(cls, registry: CollectorRegistry) -> Self:
        """What a registry has now."""
        return cls.of(registry.collect())

    def only(self, names: Iterable[str]) -> Self:
        """The samples of some names."""
        wanted = frozenset(names)
        return type(self)([sample for sample in self.samples if sample[0] in wanted])

    def values(self, name: str, **labels: str) -> Iterable[tuple[dict[str, str], float]]:
        """The samples of a name that have these labels."""
        wanted = labels.items()
        return ((found, value) for sample, found, value in self.samples if sample == name and wanted <= found.items())

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples of a name that have these labels."""
        return sum(value for _, value in self.values(name, **labels))

    def by(self, name: str, label: str) -> dict[str, float]:
        """The values of a name by one of its labels, summed over the others."""
        sums: dict[str, float] = {}
        for found, value in self.values(name):
            sums[found[label]] = sums.get(found[label], 0.0) + value
        return sums

    def moment(self, name: str, *, newest: bool = True) -> float | None:
        """The newest (or oldest) timestamp of a name, seconds since the epoch; None where there is none yet."""
        moments = [value for _, value in self.values(name) if value > 0]
        if not moments:
            return None
        return max(moments) if newest else min(moments)

    def quantile(self, share: float, histogram: str, before: "Samples | None" = None) -> float | None:
        """A quantile of a histogram, as ``histogram_quantile`` of Prometheus finds it.

        Args:
            share: 0.99 is what 99 of 100 observations do not exceed.
            histogram: its name.
            before: earlier samples; only what was observed since then counts.

        Returns:
            In the histogram's unit; None where nothing was observed, and the last finite bound where it lies beyond.
        """
        name = f"{histogram}_bucket"
        counts, earlier = self.by(name, "le"), before.by(name, "le") if before else {}
        buckets = sorted((float(le), count - earlier.get(le, 0.0)) for le, count in counts.items())
        if not buckets or buckets[-1][1] <= 0:
            return None
        rank, low, below = share * buckets[-1][1], 0.0, 0.0
        for bound, count in buckets[:-1]:
            if count >= rank:
                return min(bound, low + (bound - low) * (rank - below) / max(count - below, 1e-12))
            low, below = bound, count
        return low
