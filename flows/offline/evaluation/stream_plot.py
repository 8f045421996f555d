"""The plot of the streaming protocol: hit rates against the position in the session."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from flows.offline.evaluation.stream_report import StreamResult
from ralm.protocol.stream.rankers import RIVAL_ROWS
from ralm.protocol.stream.replay import ITEM_GROUPS
from ralm.protocol.stream.requests import ASKED_AFTER

_OUR_MAPS, _MARKERS = ("Oranges", "RdPu"), "os^DvP"
"""The rows of one encoder (their first word) are shades of one colour; of more encoders, with another marker."""
_RIVAL_COLOURS = {"item-knn": "tab:blue", "popularity": "tab:green"}


def draw_stream(result: StreamResult, name: str, folder: Path) -> Path:
    """Draw a panel for each group, as ``NAME.png``, and say where."""
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    panels, lines = figure.subplots(1, len(ITEM_GROUPS)), stream_lines(result.variants, result.chosen)
    for axes, group in zip(panels, ITEM_GROUPS, strict=True):
        for row in result.variants:
            means = [result.rates[row, group, str(after)].mean for after in ASKED_AFTER]
            axes.plot(range(len(means)), means, ms=4, label=row, **lines[row])
        axes.set_xticks(range(len(ASKED_AFTER)), [str(after + 1) for after in ASKED_AFTER])
        axes.set(xlabel="before the user's click number", ylabel="hit rate at 10", title=f"{group} items")
        axes.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=9)
    figure.suptitle(name)
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=110)
    return path


def stream_lines(rows: Iterable[str], chosen: str | None) -> dict[str, dict[str, Any]]:
    """How each row's line is drawn: ours whole, the chosen one thick, the rivals thin and broken."""
    names = list(rows)
    encoders: dict[str, list[str]] = {}
    for row in names:
        if row not in RIVAL_ROWS:
            encoders.setdefault(row.split()[0], []).append(row)
    lines: dict[str, dict[str, Any]] = {
        row: {"color": _RIVAL_COLOURS.get(row, "tab:gray"), "linestyle": style, "linewidth": 1.3, "marker": "."}
        for row, style in zip(RIVAL_ROWS, (":", "-.", "--", "--"), strict=True)
    }
    for place, of_encoder in enumerate(encoders.values()):
        shades = colormaps[_OUR_MAPS[place % len(_OUR_MAPS)]](np.linspace(0.95, 0.4, len(of_encoder))[::-1])
        marker = _MARKERS[place // len(_OUR_MAPS) % len(_MARKERS)]
        for row, shade in zip(of_encoder, shades, strict=True):
            lines[row] = {"color": tuple(shade), "linestyle": "-", "linewidth": 1.8, "marker": marker, "zorder": 3}
    if chosen is not None:
        lines[chosen] |= {"linewidth": 3.4, "zorder": 4}
    return {row: lines[row] for row in names}
