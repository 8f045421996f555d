"""Every plot whose cells are there is drawn, and no other."""

from pathlib import Path
from typing import Any

import pytest

from flows.offline.evaluation.plots import _lines, draw
from flows.offline.evaluation.stream_plot import stream_lines
from ralm.protocol.stream.rankers import RIVAL_ROWS

PNG = b"\x89PNG\r\n\x1a\n"


def cell(model: str, group: str, rng_seed: int, **more: Any) -> dict[str, Any]:
    figures = {"auc": {"uniform": 0.7 + rng_seed / 100, "matched": 0.6}, "prec10": 0.1, "gini": 0.5}
    return {
        "model": model,
        "group": group,
        "rng_seed": rng_seed,
        "figures": figures,
        "exposure": [0, 2, 5],
        "log": [],
        "cold": None,
        **more,
    }


def training_log(*figures: str) -> list[dict[str, Any]]:
    return [{"stage": "user tower", "epoch": epoch, **dict.fromkeys(figures, 1 / epoch)} for epoch in (1, 2)]


COLD = {
    "how": "held out",
    "items": 20,
    "points": [
        {"seeds": n, "negatives": k, "auc": 0.5, "prec10": 0.1} for n in (0, 10) for k in ("uniform", "matched")
    ],
}
MAIN = [cell("activity", "main", seed) for seed in (0, 1)]
OF_K = [cell("ralm-k5", "k", 0), cell("ralm", "main", 0), cell("ralm-unclustered", "clustering", 0)]
MERGE = [
    cell("youtube-dnn", "merge", 0, log=training_log("loss")),
    cell("youtube-dnn-merge", "merge", 0, log=training_log("loss", "auc")),
]
OURS = [cell("both", "main", 0, family="ours", cold=COLD), cell("lr", "main", 0, family="baselines", cold=COLD)]


@pytest.mark.parametrize(
    ("cells", "plots"),
    [
        ([], []),
        (MAIN, ["models", "exposure"]),
        (OF_K, ["models", "k", "exposure"]),
        (OF_K[:1], []),
        (MERGE, ["training"]),
        (MERGE[:1], []),
        ([cell("lr", "other", 0, cold=COLD)], ["cold"]),
        ([*OURS, *MAIN], ["models", "exposure", "cold"]),
    ],
    ids=["none", "main", "k", "one k", "merge", "no merge", "cold", "ours"],
)
def test_what_is_drawn(tmp_path: Path, cells: list[dict[str, Any]], plots: list[str]) -> None:
    written = draw(cells, "shop", tmp_path / "results")
    assert [path.name for path in written] == [f"shop-{plot}.png" for plot in plots]
    assert sorted((tmp_path / "results").iterdir()) == sorted(written)
    assert all(path.read_bytes().startswith(PNG) for path in written)


def test_our_lines_are_set_off_from_the_others() -> None:
    others = [cell(f"rival-{n}", "main", 0, family="baselines") for n in range(9)]
    lines = _lines([*OURS, *MAIN, *others])
    assert lines["both"]["linestyle"] == "-"
    assert all(line["linestyle"] != "-" for name, line in lines.items() if name not in ("both", "activity"))
    assert all(line["linewidth"] < lines["both"]["linewidth"] for name, line in lines.items() if name != "both")
    looks = [(line["color"], line["linestyle"]) for line in lines.values()]
    assert len(set(looks)) == len(looks)


def test_our_lines_of_a_stream_are_set_off_from_the_rivals() -> None:
    ours = [f"{name} {kind}" for name in ("spectral", "both", "third") for kind in ("frozen", "live", "live, last 5")]
    lines = stream_lines([*RIVAL_ROWS, *ours], "both live")
    assert list(lines) == [*RIVAL_ROWS, *ours]
    assert all(lines[row]["linestyle"] == "-" for row in ours)
    assert all(
        lines[row]["linestyle"] != "-" and lines[row]["linewidth"] < lines[ours[0]]["linewidth"] for row in RIVAL_ROWS
    )
    assert max(lines, key=lambda row: lines[row]["linewidth"]) == "both live"
    looks = {(line["color"], line["linestyle"], line["marker"]) for line in lines.values()}
    assert len(looks) == len(lines)
