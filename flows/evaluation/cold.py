"""Cold items in the experiment: the part of a cell, and the rows of ``<data set>-cold.csv``."""

import statistics
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from ralm.models.model import Model, Report, SeedModel, silent
from ralm.protocol.cold import ColdTask, judge_cold

COLUMNS = ("model", "negatives", "seeds", "auc", "auc_sd", "prec10", "prec10_sd", "runs")


def cold_cell(
    make: Callable[[], Model], cold: ColdTask, rng_seed: int, report: Report = silent
) -> dict[str, Any] | None:
    """Fit a model without the cold items and judge it on them.

    Args:
        make: makes the model, untrained.
        cold: the items.
        rng_seed: of the fit, the negatives and the order of ties.
        report: told of the fit's progress.

    Returns:
        The ``cold`` part of a cell; None when the model cannot answer from seeds.
    """
    model = make()
    if not isinstance(model, SeedModel):
        return None
    model.fit(cold.train, rng_seed, report)
    return {
        "how": cold.how,
        "items": len(cold.task.items),
        "users": len(cold.task.users),
        "positives": int(cold.task.wanted.sum()),
        "left_out": cold.task.left_out,
        "points": judge_cold(model, cold, rng_seed),
    }


def cold_rows(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and sample standard deviation over the runs, in the order of the cells, then of negatives and seeds.

    Returns:
        Rows of `COLUMNS`; a spread is None when there is only one run.
    """
    points: dict[tuple[str, str, int], list[dict[str, Any]]] = defaultdict(list)
    for cell in cells:
        for point in (cell.get("cold") or {"points": ()})["points"]:
            points[cell["model"], point["negatives"], point["seeds"]].append(point)
    models = list(dict.fromkeys(model for model, _, _ in points))
    order = sorted(points, key=lambda key: (models.index(key[0]), key[1], key[2]))
    return [
        {"model": model, "negatives": kind, "seeds": seeds, **_over_runs(points[model, kind, seeds])}
        for model, kind, seeds in order
    ]


def _over_runs(points: list[dict[str, Any]]) -> dict[str, float | int | None]:
    row: dict[str, float | int | None] = {}
    for figure in ("auc", "prec10"):
        values = [point[figure] for point in points]
        row[figure] = statistics.fmean(values)
        row[f"{figure}_sd"] = statistics.stdev(values) if len(values) > 1 else None
    return {**row, "runs": len(points)}
