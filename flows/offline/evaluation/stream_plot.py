"""The plot of the streaming protocol: hit rates against the position in the session."""

from pathlib import Path

from matplotlib.figure import Figure

from flows.offline.evaluation.stream_report import StreamResult
from ralm.protocol.stream.replay import ITEM_GROUPS
from ralm.protocol.stream.requests import ASKED_AFTER


def draw_stream(result: StreamResult, name: str, folder: Path) -> Path:
    """Draw a panel for each group, as ``NAME.png``, and say where."""
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    panels = figure.subplots(1, len(ITEM_GROUPS))
    for axes, group in zip(panels, ITEM_GROUPS, strict=True):
        for place, row in enumerate(result.variants):
            rates = [result.rates[row, group, str(after)] for after in ASKED_AFTER]
            width = 3.0 if row == result.chosen else 1.3
            means = [rate.mean for rate in rates]
            style = {"color": f"C{place % 10}", "linestyle": ("-", "--")[place // 10 % 2]}
            axes.plot(range(len(rates)), means, marker="o", ms=3, label=row, linewidth=width, **style)
        axes.set_xticks(range(len(ASKED_AFTER)), [str(after + 1) for after in ASKED_AFTER])
        axes.set(xlabel="before the user's click number", ylabel="hit rate at 10", title=f"{group} items")
        axes.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=9)
    figure.suptitle(name)
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=110)
    return path
