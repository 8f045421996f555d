"""Where and with what the cells of a table were made, for its head."""

from collections.abc import Iterable
from typing import TypeAlias

from flows.offline.evaluation.cells import Cell

Run: TypeAlias = tuple[str, str, int]
"""A model, the kind of its cell, and its rng_seed."""


def made_on(cells: Iterable[Cell], here: str, runs: str = "rng_seeds") -> dict[str, str]:
    """Versions and machine; where cells were made in several places, those of most of them, then who is from elsewhere.

    Cells may be carried from one machine to another, and are not run again when packages change.

    Args:
        cells: as `collect_cells` gives them.
        here: this machine; cells that do not say where they were made count as made here.
        runs: what the numbers of runs are called.

    >>> new = {"machine": "B", "versions": {"torch": "2"}}
    >>> cells = [
    ...     {"model": "a", "rng_seed": 0, "made": {"task": {"machine": None, "versions": {}}, "cold": new}},
    ...     {"model": "b", "rng_seed": 0, "made": {"task": new}},
    ...     {"model": "b", "rng_seed": 1, "made": {"task": new}},
    ... ]
    >>> made_on(cells, "A")
    {'versions': 'torch 2', 'machine': 'B', 'made elsewhere': 'on A: `a` (but its cold curve)'}
    """
    places: dict[tuple[str, str], list[Run]] = {}
    for cell in cells:
        for kind, origin in cell["made"].items():
            versions = ", ".join(f"{name} {version}" for name, version in sorted(origin["versions"].items()))
            run = (cell["model"], kind, cell["rng_seed"])
            places.setdefault((origin["machine"] or here, versions), []).append(run)
    (most, _), *others = sorted(places.items(), key=lambda place: -len(place[1]))
    every = [run for made in places.values() for run in made]
    elsewhere = [
        f"on {machine}{versions and ' with '}{versions}: {_runs_of(made, every, runs)}"
        for (machine, versions), made in others
    ]
    found = {"versions": most[1], "machine": most[0]}
    return found | ({"made elsewhere": "; ".join(elsewhere)} if elsewhere else {})


def _runs_of(made: list[Run], every: list[Run], runs: str) -> str:
    """Names of the models of these runs, each with what of it they are where it is not all."""
    texts = []
    for model in dict.fromkeys(model for model, _, _ in made):
        mine = [(kind, seed) for name, kind, seed in made if name == model]
        whole = [(kind, seed) for name, kind, seed in every if name == model]
        seeds = ", ".join(map(str, sorted({seed for _, seed in mine})))
        kinds = {kind for kind, _ in mine}
        parts = [f"{runs} {seeds}"] if {seed for _, seed in mine} != {seed for _, seed in whole} else []
        if kinds != {kind for kind, _ in whole}:
            parts.append("its cold curve" if kinds == {"cold"} else "but its cold curve")
        texts.append(f"`{model}`" + (f" ({', '.join(parts)})" if parts else ""))
    return ", ".join(texts)
