"""The experiment's plots, PNG, from its cells; a plot whose cells were not run is not drawn."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flows.offline.evaluation.table import cold_rows, mean_and_sd
from ralm.models.catalogue import MAIN_GROUP, OURS
from ralm.protocol.exposure import lorenz
from ralm.protocol.negatives import NEGATIVE_KINDS

CONTROL = "activity"
"""The model that every figure stands beside."""
_PLAIN_K = 20
"""Clusters of the model that is called plainly ``ralm``."""
_TITLES = {"uniform": "negatives drawn uniformly", "matched": "negatives as active as the positives"}
_OUR_COLOURS = ("tab:orange", "tab:pink", "tab:red", "tab:brown", "gold", "salmon", "crimson", "peru")
_OTHER_COLOURS = ("tab:blue", "tab:green", "tab:purple", "tab:cyan", "tab:olive", "navy")
_STYLES = ("--", ":", "-.")
"""Of the others: so many colours, then the same with another line."""
_STAGE = "user tower"
_COMPARED = {
    "youtube-dnn": "concatenation, m = 32",
    "youtube-dnn-merge": "attention merge, m = 32",
    "youtube-dnn-m128": "concatenation, m = 128",
    "youtube-dnn-merge-m128": "attention merge, m = 128",
}
"""Models that differ in nothing but how fields are put together and in the length m of their embeddings."""
_LEAST_COMPARED = 2
_PANELS = {"loss": "loss, training", "val_loss": "loss, held-out clicks", "auc": "AUC, held-out clicks"}

PLOTS = ("models", "k", "training", "exposure", "cold")
"""What there is to draw."""


def draw(cells: list[dict[str, Any]], name: str, folder: Path) -> list[Path]:
    """Draw every plot whose cells are there, as ``<name>-<plot>.png``.

    Args:
        cells: what was run.
        name: of the data set (and split), for titles and files.
        folder: made if it is not there.

    Returns:
        The files written, of ``models``, ``k``, ``training``, ``exposure`` and ``cold`` those that could be drawn.
    """
    plots = {"models": _models, "k": _k, "training": _training, "exposure": _exposure, "cold": _cold}
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for plot, drawn in plots.items():
        figure = drawn(cells)
        if figure is not None:
            figure.suptitle(name)
            written.append(folder / f"{name}-{plot}.png")
            figure.savefig(written[-1], dpi=120)
    return written


def _models(cells: list[dict[str, Any]]) -> Figure | None:
    """AUC of both kinds of negatives and precision, with a line where the control is."""
    main = [cell for cell in cells if cell["group"] == MAIN_GROUP]
    if not main:
        return None
    names = sorted(_names(main), key=lambda name: _mean_sd(main, name, _auc("matched"))[0])
    figure = Figure(figsize=(12, 1.6 + 0.36 * len(names)), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, of, title in zip(
        panels,
        [*map(_auc, NEGATIVE_KINDS), lambda cell: cell["figures"]["prec10"]],
        [*(f"AUC, {_TITLES[kind]}" for kind in NEGATIVE_KINDS), "prec@10"],
        strict=True,
    ):
        mean, spread = np.transpose([_mean_sd(main, name, of) for name in names])
        ours = _ours(main)
        colours = ["tab:gray" if name == CONTROL else "tab:red" if name in ours else "tab:blue" for name in names]
        axes.barh(names, mean, xerr=spread, color=colours, ecolor="black", capsize=3)
        if CONTROL in names:
            axes.axvline(mean[names.index(CONTROL)], color="tab:gray", linestyle="--", linewidth=1)
        _zoomed(axes, mean, spread, title)
        axes.set_title(title, fontsize=10)
        axes.grid(axis="x", alpha=0.3)
    return figure


def _zoomed(axes: Axes, mean: Any, spread: Any, title: str) -> None:
    """AUCs are shown from a little below the least on; the bars of a precision begin at 0."""
    if title.startswith("AUC"):
        low = np.floor((mean - spread).min() * 20 - 0.5) / 20
        axes.set_xlim(low, min(1.0, (mean + spread).max() + 0.02))


def _k(cells: list[dict[str, Any]]) -> Figure | None:
    """AUC and precision against the number of clusters (figure 6), and a line for all seeds unclustered."""
    of_k = {k: name for name in _names(cells) if (k := _clusters(name))}
    if len(of_k) < 2:
        return None
    figure = Figure(figsize=(14, 4), layout="constrained")
    shown = [(f"AUC, {_TITLES[kind]}", _auc(kind)) for kind in NEGATIVE_KINDS] + [("prec@10", _prec10)]
    for axes, (title, of) in zip(figure.subplots(1, 3), shown, strict=True):
        counts = sorted(of_k)
        mean, spread = np.transpose([_mean_sd(cells, of_k[k], of) for k in counts])
        axes.errorbar(counts, mean, spread, marker="o", capsize=3, label="ralm, k-means")
        if "ralm-unclustered" in _names(cells):
            mean_all, spread_all = _mean_sd(cells, "ralm-unclustered", of)
            axes.axhline(mean_all, color="tab:orange", linestyle="--", label="ralm, unclustered")
            axes.axhspan(mean_all - spread_all, mean_all + spread_all, color="tab:orange", alpha=0.15)
        axes.set_xscale("log")
        axes.set_xticks(counts, [str(k) for k in counts])
        axes.minorticks_off()
        axes.set(xlabel="clusters k")
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def _clusters(name: str) -> int | None:
    if name == "ralm":
        return _PLAIN_K
    found = re.fullmatch(r"ralm-k(\d+)", name)
    return int(found[1]) if found else None


def _training(cells: list[dict[str, Any]]) -> Figure | None:
    """Loss and AUC of the user tower during training: attention merge against concatenation (figure 5).

    A panel for each figure that was logged: a thin line for each run and a thick one for their mean.

    Returns:
        None when fewer than two of the compared models were run, or none logged anything.
    """
    logs = {model: [_of_stage(cell) for cell in cells if cell["model"] == model] for model in _COMPARED}
    logs = {model: [log for log in runs if log] for model, runs in logs.items()}
    logs = {model: runs for model, runs in logs.items() if runs}
    panels = [key for key in _PANELS if all(any(key in log[0] for log in runs) for runs in logs.values())]
    if len(logs) < _LEAST_COMPARED or not panels:
        return None
    figure = Figure(figsize=(4.6 * len(panels), 4), layout="constrained")
    for axes, key in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        for place, (model, runs) in enumerate(logs.items()):
            curves = [{line["epoch"]: line[key] for line in log if key in line} for log in runs]
            for curve in curves:
                axes.plot(*zip(*sorted(curve.items()), strict=True), color=f"C{place}", linewidth=0.7, alpha=0.4)
            epochs = sorted(set.intersection(*map(set, curves)))
            mean = [np.mean([curve[epoch] for curve in curves]) for epoch in epochs]
            axes.plot(
                epochs, mean, color=f"C{place}", linewidth=2, marker="o", ms=3, label=f"{model} ({_COMPARED[model]})"
            )
        axes.set(xlabel="epoch", ylabel=_PANELS[key])
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return figure


def _of_stage(cell: dict[str, Any]) -> list[dict[str, Any]]:
    return [line for line in cell.get("log") or () if line["stage"] == _STAGE]


def _exposure(cells: list[dict[str, Any]]) -> Figure | None:
    """Lorenz curves of the first run of each main model."""
    main = [cell for cell in cells if cell["group"] == MAIN_GROUP and len(cell["exposure"])]
    if not main:
        return None
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    lines = _lines(main)
    for name in _names(main):
        cell = next(cell for cell in main if cell["model"] == name)
        curve = lorenz(np.array(cell["exposure"]))
        share = np.linspace(0, 1, len(curve))
        axes.plot(share, curve, label=f"{name} (Gini {cell['figures']['gini']:.2f})", **lines[name])
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, label="all items alike")
    axes.set(xlabel="share of the items, least exposed first", ylabel="share of the exposure (best 10 of each user)")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize=9)
    return figure


def _cold(cells: list[dict[str, Any]]) -> Figure | None:
    """AUC and precision of cold items against their seeds, of the main models if any of them was run."""
    curved = [cell for cell in cells if cell["cold"]]
    curved = [cell for cell in curved if cell["group"] == MAIN_GROUP] or curved
    rows = cold_rows(curved)
    if not rows:
        return None
    one = curved[0]["cold"]
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    panels = figure.subplots(1, 3)
    models, lines = list(dict.fromkeys(row["model"] for row in rows)), _lines(curved)
    turns = sorted({row["seeds"] for row in rows})
    for axes, kind, of in zip(panels, [*NEGATIVE_KINDS, NEGATIVE_KINDS[0]], ["auc", "auc", "prec10"], strict=True):
        for model in models:
            points = [row for row in rows if row["model"] == model and row["negatives"] == kind]
            at = [turns.index(row["seeds"]) for row in points]
            spread = [row[f"{of}_sd"] or 0.0 for row in points]
            axes.errorbar(
                at, [row[of] for row in points], spread, marker="o", ms=4, capsize=3, label=model, **lines[model]
            )
        axes.set_xticks(range(len(turns)), [str(seeds) for seeds in turns])
        axes.set(xlabel="seeds of the item", ylabel="AUC within an item" if of == "auc" else "prec@10 among cold items")
        axes.set_title(_TITLES[kind] if of == "auc" else f"{one['items']} items, {one['how']}", fontsize=10)
        axes.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=9)
    return figure


def _names(cells: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(cell["model"] for cell in cells))


def _auc(kind: str) -> Any:
    return lambda cell: cell["figures"]["auc"][kind]


def _mean_sd(cells: list[dict[str, Any]], name: str, of: Any) -> tuple[float, float]:
    """Mean and sample standard deviation (0 of one run) of a figure over the runs of a model."""
    mean, spread = mean_and_sd([of(cell) for cell in cells if cell["model"] == name])
    return mean, spread or 0.0


def _prec10(cell: dict[str, Any]) -> float:
    return float(cell["figures"]["prec10"])


def _ours(cells: list[dict[str, Any]]) -> set[str]:
    return {cell["model"] for cell in cells if cell.get("family") == OURS}


def _lines(cells: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """How each model's line is drawn: ours thick and whole, the others thin and broken, the control grey."""
    ours, lines = _ours(cells), dict[str, dict[str, Any]]()
    others = [name for name in _names(cells) if name not in ours and name != CONTROL]
    for place, name in enumerate(name for name in _names(cells) if name in ours):
        colour = _OUR_COLOURS[place % len(_OUR_COLOURS)]
        lines[name] = {"color": colour, "linestyle": "-", "linewidth": 2.6, "zorder": 3}
    for place, name in enumerate(others):
        style = _STYLES[place // len(_OTHER_COLOURS) % len(_STYLES)]
        lines[name] = {"color": _OTHER_COLOURS[place % len(_OTHER_COLOURS)], "linestyle": style, "linewidth": 1.2}
    return {**lines, CONTROL: {"color": "tab:gray", "linestyle": "-", "linewidth": 1.2}}
