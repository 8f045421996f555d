"""The plots of an experiment, as PNG files beside its table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from flows.evaluation.cells import Cell
from flows.evaluation.cold import cold_rows
from flows.evaluation.table import Row, rows_of
from ralm.protocol.exposure import lorenz
from ralm.protocol.negatives import KINDS

PLOTS = ("models", "k", "training", "exposure", "cold")
OF_K = {"ralm-average": 1, "ralm-k5": 5, "ralm-k10": 10, "ralm": 20, "ralm-k50": 50, "ralm-k100": 100}
"""The k of each model of the comparison of numbers of clusters."""
UNCLUSTERED = "ralm-unclustered"
TRAINED = {
    "user tower": {"youtube-dnn-merge": "attention merge", "youtube-dnn": "concatenation"},
    "look-alike towers": {"ralm": "attention merge", "ralm-concat": "concatenation"},
}
"""Of each stage of training the models whose logs are compared."""
_MARKS = {"uniform": "o", "matched": "s"}
_STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "figure.dpi": 120,
    "font.size": 10,
    "legend.frameon": False,
}


def draw(cells: list[Cell], name: str, folder: Path) -> list[Path]:
    """Draw every plot whose cells are there.

    Args:
        cells: of one data set and split.
        name: what the files' names begin with.
        folder: where they go.

    Returns:
        The files that were written.
    """
    makers: tuple[Callable[[list[Cell]], Any], ...] = (_models, _clusters, _training, _exposure, _cold)
    written = []
    with plt.rc_context(_STYLE):
        for kind, make in zip(PLOTS, makers, strict=True):
            figure = make(cells)
            if figure is not None:
                written.append(folder / f"{name}-{kind}.png")
                # Without the version of matplotlib in it, the same figures make the same file.
                figure.savefig(written[-1], bbox_inches="tight", metadata={"Software": None})
                plt.close(figure)
    return written


def _main(cells: list[Cell]) -> list[Cell]:
    """The judged cells of the main comparison, or all when none of it was run."""
    judged = [cell for cell in cells if cell["figures"]]
    return [cell for cell in judged if cell["group"] == "main"] or judged


def _models(cells: list[Cell]) -> Any:
    rows = rows_of(_main(cells))
    if not rows:
        return None
    names = list(dict.fromkeys(row["model"] for row in rows))
    figure, axes = plt.subplots(1, 3, figsize=(11, 1.4 + 0.33 * len(names)), sharey=True)
    for axis, figure_name, title in zip(
        axes, ("auc_item", "prec10", "ndcg10"), ("AUC by item", "prec@10", "NDCG@10"), strict=True
    ):
        for shift, negatives in enumerate(KINDS if figure_name == "auc_item" else KINDS[:1]):
            of = [row for row in rows if row["negatives"] == negatives]
            places = np.arange(len(of)) + (0.24 * shift - 0.12 if figure_name == "auc_item" else 0)
            label = f"{negatives} negatives" if figure_name == "auc_item" else None
            _bars(axis, places, of, figure_name, fmt=_MARKS[negatives], color=f"C{shift}", label=label)
        axis.set_title(title)
        axis.set_yticks(range(len(names)), names)
    axes[0].axvline(0.5, color="0.5", linestyle=":", linewidth=1)
    axes[0].invert_yaxis()
    figure.legend(loc="lower center", ncols=2, bbox_to_anchor=(0.5, -0.02))
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    return figure


def _bars(axis: Any, places: Any, rows: list[Row], figure_name: str, **style: Any) -> None:
    spread = [row[f"{figure_name}_sd"] or 0 for row in rows]
    axis.errorbar([row[figure_name] for row in rows], places, xerr=spread, capsize=3, linestyle="none", **style)


def _clusters(cells: list[Cell]) -> Any:
    rows = [row for row in rows_of(cells) if row["model"] in OF_K]
    rows.sort(key=lambda row: OF_K[row["model"]])
    if len({row["model"] for row in rows}) < 2:
        return None
    figure, axis = plt.subplots(figsize=(6, 4))
    for colour, negatives in enumerate(KINDS):
        of = [row for row in rows if row["negatives"] == negatives]
        _line(axis, [OF_K[row["model"]] for row in of], of, "auc_item", label=f"{negatives} negatives", color=colour)
        for row in rows_of(cells):
            if (row["model"], row["negatives"]) == (UNCLUSTERED, negatives):
                label = f"unclustered, {negatives}"
                axis.axhline(row["auc_item"], color=f"C{colour}", linestyle="--", linewidth=1, label=label)
    ks = [OF_K[row["model"]] for row in rows]
    axis.set_xscale("log")
    axis.set_xticks(ks, [str(k) for k in ks])
    axis.minorticks_off()
    axis.set(xlabel="k, clusters of an item's seeds", ylabel="AUC by item")
    axis.legend()
    return figure


def _line(axis: Any, places: Any, rows: list[Row], figure_name: str, *, label: str, color: int, **style: Any) -> None:
    mean, spread = [row[figure_name] for row in rows], [row[f"{figure_name}_sd"] or 0 for row in rows]
    axis.errorbar(places, mean, yerr=spread, capsize=3, label=label, color=f"C{color}", marker="o", **style)


def _training(cells: list[Cell]) -> Any:
    stages = {stage: models for stage, models in TRAINED.items() if any(_logs(cells, stage, name) for name in models)}
    if not stages:
        return None
    figure, axes = plt.subplots(len(stages), 2, figsize=(10, 3.4 * len(stages)), squeeze=False)
    for (stage, models), (losses, aucs) in zip(stages.items(), axes, strict=True):
        for colour, (name, label) in enumerate(models.items()):
            logs = _logs(cells, stage, name)
            _course(losses, logs, "loss", f"{label}, training", f"C{colour}", "-")
            _course(losses, logs, "val_loss", f"{label}, validation", f"C{colour}", "--")
            _course(aucs, logs, "auc", label, f"C{colour}", "-")
        for axis, ylabel in ((losses, "loss"), (aucs, "AUC on validation")):
            axis.set(xlabel="epoch", ylabel=ylabel, title=stage)
            if axis.lines:
                axis.legend(fontsize=8)
    figure.tight_layout()
    return figure


def _logs(cells: list[Cell], stage: str, model: str) -> list[list[dict[str, Any]]]:
    """The log of a stage in each run of a model, where it has one."""
    logs = [[entry for entry in cell.get("log", []) if entry["stage"] == stage] for cell in cells]
    return [log for cell, log in zip(cells, logs, strict=True) if cell["model"] == model and log]


def _course(axis: Any, logs: list[list[dict[str, Any]]], key: str, label: str, colour: str, line: str) -> None:
    """Mean and range over the runs; only epochs that all of them reached, since validation may end one sooner."""
    values = [[entry[key] for entry in log if key in entry] for log in logs]
    shortest = min((len(course) for course in values), default=0)
    if not shortest:
        return
    of = np.array([course[:shortest] for course in values], np.float64)
    epochs = np.arange(1, shortest + 1)
    axis.plot(epochs, of.mean(axis=0), line, color=colour, label=label, marker=".")
    axis.fill_between(epochs, of.min(axis=0), of.max(axis=0), color=colour, alpha=0.15, linewidth=0)


def _exposure(cells: list[Cell]) -> Any:
    cells = _main(cells)
    if not cells:
        return None
    figure, axis = plt.subplots(figsize=(6.4, 5))
    for number, name in enumerate(dict.fromkeys(cell["model"] for cell in cells)):
        curves = [lorenz(np.array(cell["exposure"])) for cell in cells if cell["model"] == name]
        share = np.linspace(0, 1, len(curves[0]))
        axis.plot(share, np.mean(curves, axis=0), label=name, **_look(number))
    axis.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1, label="all items alike")
    axis.set(xlabel="share of the items, least exposed first", ylabel="share of all exposures among the best 10")
    axis.legend(loc="upper left", fontsize=8)
    return figure


def _cold(cells: list[Cell]) -> Any:
    rows = cold_rows(cells)
    if not rows:
        return None
    given = sorted({row["seeds"] for row in rows})
    panels = [("auc", kind, f"AUC by item, {kind} negatives") for kind in KINDS]
    panels.append(("prec10", KINDS[0], "prec@10 among the cold items"))
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2))
    for axis, (figure_name, negatives, title) in zip(axes, panels, strict=True):
        for number, name in enumerate(dict.fromkeys(row["model"] for row in rows)):
            of = [row for row in rows if row["model"] == name and row["negatives"] == negatives]
            mean, spread = [row[figure_name] for row in of], [row[f"{figure_name}_sd"] or 0 for row in of]
            axis.errorbar(range(len(of)), mean, yerr=spread, capsize=2, label=name, markersize=4, **_look(number))
        axis.set(title=title, xlabel="first seeds given")
        axis.set_xticks(range(len(given)), [str(n) for n in given])
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=6, fontsize=9)
    figure.tight_layout(rect=(0, 0.1, 1, 1))
    return figure


def _look(number: int) -> dict[str, Any]:
    """Ten colours, then the same with other lines."""
    return {"color": f"C{number % 10}", "linestyle": ("-", "--", ":")[number // 10 % 3]}
