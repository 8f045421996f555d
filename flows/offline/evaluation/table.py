"""The tables of an experiment: mean and spread over the rng_seeds of every figure, as rows and as CSV."""

import csv
from collections.abc import Iterable, Sequence
from math import isfinite, nan
from pathlib import Path
from typing import Any

import numpy as np

from flows.offline.evaluation.cells import Cell
from ralm.protocol.negatives import NEGATIVE_KINDS

BY_NEGATIVES = ("auc", "auc_item")
PLAIN = ("prec10", "prec50", "ndcg10", "recall50", "coverage", "gini", "tail", "categories", "entropy")
OF_CATEGORIES = ("categories", "entropy")
"""Where no item has a category, these say nothing: they are left empty."""
FIGURES = (*BY_NEGATIVES, *PLAIN)
COLUMNS = ("model", "negatives", *(f"{name}{end}" for name in FIGURES for end in ("", "_sd")), "seeds", "seconds")
COLD_COLUMNS = ("model", "negatives", "seeds", "auc", "auc_sd", "prec10", "prec10_sd")
Row = dict[str, Any]


def rows_of(cells: list[Cell]) -> list[Row]:
    """A row for each model and kind of negatives, in the order of the cells.

    ``seeds`` is how many rng_seeds were run, ``seconds`` the mean time of fitting and scoring. The figures that do not
    depend on negatives stand in both rows. Where no item has categories their figures are NaN.
    """
    judged = [cell for cell in cells if cell["figures"] is not None]
    rows = []
    for model in dict.fromkeys(cell["model"] for cell in judged):
        runs = [cell for cell in judged if cell["model"] == model]
        for negatives in NEGATIVE_KINDS:
            row: Row = {"model": model, "negatives": negatives}
            for name in FIGURES:
                values = [run["figures"][name] for run in runs]
                if name in BY_NEGATIVES:
                    values = [value[negatives] for value in values]
                row[name], row[f"{name}_sd"] = mean_and_sd(values)
            row["seeds"] = len(runs)
            row["seconds"] = mean_and_sd([run["seconds_fit"] + run["seconds_score"] for run in runs])[0]
            rows.append(row)
    return rows if any(row[OF_CATEGORIES[0]] for row in rows) else [_without_categories(row) for row in rows]


def _without_categories(row: Row) -> Row:
    return row | {f"{name}{end}": empty for name in OF_CATEGORIES for end, empty in (("", nan), ("_sd", None))}


def cold_rows(cells: list[Cell]) -> list[dict[str, Any]]:
    """Mean and sample standard deviation over the rng_seeds of every point of every model's curve."""
    rows = []
    for model in dict.fromkeys(cell["model"] for cell in cells if cell["cold"]):
        points = [
            point for cell in cells if cell["model"] == model and cell["cold"] for point in cell["cold"]["points"]
        ]
        for negatives in NEGATIVE_KINDS:
            for seeds in sorted({point["seeds"] for point in points}):
                same = [p for p in points if p["negatives"] == negatives and p["seeds"] == seeds]
                if not same:
                    continue
                row: dict[str, Any] = {"model": model, "negatives": negatives, "seeds": seeds}
                for figure in ("auc", "prec10"):
                    row[figure], row[f"{figure}_sd"] = mean_and_sd([point[figure] for point in same])
                rows.append(row)
    return rows


def mean_and_sd(values: list[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation; of one value there is none.

    >>> mean_and_sd([1.0, 3.0]), mean_and_sd([2.0])
    ((2.0, 1.4142135623730951), (2.0, None))
    """
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write rows; numbers with six digits, nothing where there is none."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _written(value) for name, value in row.items()})


def shown(row: Row, name: str, digits: int = 3) -> str:
    """A figure as people read it, with its spread if there is one; a dash where there is no figure.

    >>> shown({"auc": 0.71234, "auc_sd": 0.00411}, "auc"), shown({"auc": 0.5, "auc_sd": None}, "auc")
    ('0.712 ± 0.004', '0.500')
    >>> shown({"entropy": float("nan"), "entropy_sd": None}, "entropy")
    '-'
    """
    mean, spread = row[name], row[f"{name}_sd"]
    if not isfinite(mean):
        return "-"
    return f"{mean:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")


def _written(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6g}" if isfinite(value) else ""
    return value
