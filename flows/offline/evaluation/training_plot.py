"""Loss and AUC of the user tower during training: attention merge against concatenation (section 5.1 of the paper)."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

STAGE = "user tower"
COMPARED = {"youtube-dnn": "concatenation", "youtube-dnn-merge": "attention merge"}
"""The two models that differ in nothing but how fields are put together."""
_PANELS = {"loss": "loss, training", "val_loss": "loss, held-out clicks", "auc": "AUC, held-out clicks"}


def training(cells: list[dict[str, Any]]) -> Figure | None:
    """A panel for each figure that was logged: a thin line for each run and a thick one for their mean.

    Returns:
        None when not both of the compared models were run, or neither logged anything.
    """
    logs = {model: [_of_stage(cell) for cell in cells if cell["model"] == model] for model in COMPARED}
    logs = {model: [log for log in runs if log] for model, runs in logs.items()}
    panels = [key for key in _PANELS if all(any(key in log[0] for log in runs) for runs in logs.values())]
    if not panels:
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
                epochs, mean, color=f"C{place}", linewidth=2, marker="o", ms=3, label=f"{model} ({COMPARED[model]})"
            )
        axes.set(xlabel="epoch", ylabel=_PANELS[key])
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return figure


def _of_stage(cell: dict[str, Any]) -> list[dict[str, Any]]:
    return [line for line in cell.get("log") or () if line["stage"] == STAGE]
