"""Our models against the best of the others, figure by figure, with a paired bootstrap."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from flows.offline.evaluation.cells import Cell
from ralm.accuracy import Doubles
from ralm.models.catalogue import MAIN_GROUP, OURS
from ralm.protocol.bootstrap import paired_difference
from ralm.protocol.negatives import NEGATIVE_KINDS

AGAINST_COLUMNS = ("asked", "figure", "negatives", "seeds", "model", "rival", "difference", "low", "high", "p")
Units = Callable[[Cell], list[float | None] | None]
"""What a figure of a cell is the mean of: of each user or item a number."""


def against_rows(cells: list[Cell]) -> list[dict[str, Any]]:
    """The difference of each of our models to the best rival, of every figure that users or items have of their own.

    The best rival of a figure is the model of the main group that is not ours whose mean over its runs is best. A
    user's or an item's figures are averaged over a model's runs first: what is drawn is who was asked.

    Returns:
        Rows with `AGAINST_COLUMNS`; ``asked`` is ``warm`` or ``cold``, ``seeds`` None for what is warm.
    """
    return [
        {**about, **row}
        for about, units in [*_warm(), *_cold(cells)]
        for row in _compared({name: _means(cells, name, units) for name in _names(cells)}, cells)
    ]


def _warm() -> Iterator[tuple[dict[str, Any], Units]]:
    for kind in NEGATIVE_KINDS:
        about = {"asked": "warm", "figure": "auc_item", "negatives": kind, "seeds": None}
        yield about, lambda cell, kind=kind: (cell.get("by_item") or {}).get(kind)  # type: ignore[misc]
    yield {"asked": "warm", "figure": "prec10", "negatives": None, "seeds": None}, lambda cell: cell.get("by_user")


def _cold(cells: list[Cell]) -> Iterator[tuple[dict[str, Any], Units]]:
    points = [point for cell in cells if cell.get("cold") for point in cell["cold"]["points"] if "by_item" in point]
    for seeds in sorted({point["seeds"] for point in points} - {0}):
        for kind in NEGATIVE_KINDS:
            about = {"asked": "cold", "figure": "auc", "negatives": kind, "seeds": seeds}
            yield about, _of_point(seeds, kind, "by_item")
        about = {"asked": "cold", "figure": "prec10", "negatives": None, "seeds": seeds}
        yield about, _of_point(seeds, NEGATIVE_KINDS[0], "by_user")


def _of_point(seeds: int, kind: str, unit: str) -> Units:
    def units(cell: Cell) -> list[float | None] | None:
        points = (cell.get("cold") or {}).get("points", ())
        return next((point[unit] for point in points if (point["seeds"], point["negatives"]) == (seeds, kind)), None)

    return units


def _compared(means: dict[str, Doubles | None], cells: list[Cell]) -> Iterator[dict[str, Any]]:
    known = {name: mean for name, mean in means.items() if mean is not None}
    entry = {cell["model"]: cell for cell in cells}
    rivals = [n for n in known if entry[n].get("family") != OURS and entry[n]["group"] == MAIN_GROUP]
    if not rivals:
        return
    rival = max(rivals, key=lambda name: float(np.nanmean(known[name])))
    for name, mean in known.items():
        if entry[name].get("family") == OURS:
            found = paired_difference(mean, known[rival])
            yield {
                "model": name,
                "rival": rival,
                "difference": found.mean,
                "low": found.low,
                "high": found.high,
                "p": found.p,
            }


def _means(cells: list[Cell], model: str, units: Units) -> Doubles | None:
    """Of each user or item its mean over a model's runs, float64[n], NaN where nothing was asked in any."""
    runs = [found for cell in cells if cell["model"] == model and (found := units(cell)) is not None]
    if not runs:
        return None
    values = np.array(runs, np.float64)  # (runs, n)
    asked = np.isfinite(values)
    total = np.where(asked, values, 0.0).sum(axis=0)
    means: Doubles = np.where(asked.any(axis=0), total / np.maximum(asked.sum(axis=0), 1), np.nan)
    return means


def _names(cells: list[Cell]) -> list[str]:
    return list(dict.fromkeys(cell["model"] for cell in cells))
