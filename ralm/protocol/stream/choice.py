"""Which numbers a row is shown with: those that did best on a stream that was cut out of what is learned from."""

from collections.abc import Mapping, Sequence

import numpy as np

from ralm.protocol.stream.rankers import Variant
from ralm.protocol.stream.replay import Replayed

LATER = 5
"""Clicks of the user in the stream from which on a ranking is valued: *from the sixth click on*."""

NOT_JUDGED = -1.0
"""The value of a variant that no validation stream asks anything of: below every hit rate."""


def value(replayed: Replayed, place: int) -> float:
    """What a variant is worth: the mean over the groups of its hit rate from the sixth click on; NaN of no request."""
    judged = replayed.judged & (replayed.requests.asked_after >= LATER)
    if not judged.any():
        judged = replayed.judged
    rates = [hit[asked].mean() for hit, asked in zip(replayed.hit[place], judged, strict=True) if asked.any()]
    return float(np.mean(rates)) if rates else float("nan")


def best_variants(draws: Sequence[Replayed]) -> dict[str, tuple[Variant, float]]:
    """Of each row the variant with the greatest mean value over the draws, and that value.

    Args:
        draws: of one ranker, on validation streams; all have the same variants. Where nothing is judged in any of
            them the value is `NOT_JUDGED`, and the variant is the first.
    """
    found: dict[str, tuple[Variant, float]] = {}
    for place, variant in enumerate(draws[0].variants):
        values = [worth for draw in draws if not np.isnan(worth := value(draw, place))]
        mean = float(np.mean(values)) if values else NOT_JUDGED
        if variant.row not in found or mean > found[variant.row][1]:
            found[variant.row] = (variant, mean)
    return found


def best_row(rows: Mapping[str, tuple[Variant, float]], ending: str) -> str | None:
    """The row of greatest value among those whose name ends so; None when there is none, or none was judged."""
    able = [name for name, (_, worth) in rows.items() if name.endswith(ending) and worth > NOT_JUDGED]
    return max(able, key=lambda name: rows[name][1], default=None)
