"""A panel, and the few PromQL patterns that panels are made of.

A timestamp of 0 means "not yet" and is left out of ages.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Unit: TypeAlias = Literal["s", "percentunit", "mps", "reqps", "cps", "short", "bytes", "dtdurations"]


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: the question that it answers.
        unit: Grafana's name of the unit.
        description: how to read it and what to do.
        queries: PromQL by legend; of numbers only the first is drawn large.
        width: of 24.
        shape: lines over time, a number of now, or the legends of what there is now.
        bad_from: drawn red from here on.
        bad_below: drawn red below this.
    """

    title: str
    unit: Unit
    description: str
    queries: dict[str, str]
    width: int = 8
    shape: Literal["lines", "number", "names"] = "lines"
    bad_from: float | None = None
    bad_below: float | None = None


RARE = "15m"
"""Over which rates of what happens once a window are taken: three of the default windows, so that none is missed."""


def here(metric: str) -> str:
    """A metric of the chosen processes."""
    return f'{metric}{{job="$job",instance=~"$instance"}}'


def age(metric: str, by: str) -> str:
    """Seconds since a timestamp, the oldest of each group."""
    return f"time() - min by ({by}) ({here(metric)} > 0)"


def rate(metric: str, by: str, over: str = "$__rate_interval") -> str:
    """Increase a second of a counter, by group."""
    return f"sum by ({by}) (rate({here(metric)}[{over}]))"


def _quantile(share: float, histogram: str, over: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({here(histogram + '_bucket')}[{over}])))"


def quantiles(histogram: str, over: str = "$__rate_interval") -> dict[str, str]:
    """Median and 99th percentile."""
    return {"median": _quantile(0.5, histogram, over), "p99": _quantile(0.99, histogram, over)}


def share(part: str) -> str:
    """The share of answers, of all that were given."""
    answers = f"sum(rate({here('ralm_requests_total')}[$__rate_interval]))"
    return f"sum(rate({here(part)}[$__rate_interval])) / {answers}"
