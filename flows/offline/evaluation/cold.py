"""The curve of quality against seeds, for cold items: its task, its rows and its part of the report."""

from typing import Any

import numpy as np

from flows.offline.datasets.layout import Dataset
from flows.offline.evaluation.cells import Cell
from flows.offline.evaluation.plan import Protocol
from ralm.features import Interactions
from ralm.protocol.cold import ColdTask, cold_task
from ralm.protocol.negatives import KINDS

COLUMNS = ("model", "negatives", "seeds", "auc", "auc_sd", "prec10", "prec10_sd")


def cold_task_of(dataset: Dataset, data: Interactions, protocol: Protocol) -> ColdTask | None:
    """The cold items of a data set; None when too few items have enough clickers."""
    return cold_task(data, dataset.time_at(protocol.cut) if dataset.timed else None, floors=protocol.floors)


def cold_rows(cells: list[Cell]) -> list[dict[str, Any]]:
    """Mean and sample standard deviation over the rng_seeds of every point of every model's curve."""
    rows = []
    for model in dict.fromkeys(cell["model"] for cell in cells if cell["cold"]):
        points = [
            point for cell in cells if cell["model"] == model and cell["cold"] for point in cell["cold"]["points"]
        ]
        for negatives in KINDS:
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
