"""Cells: one run of one model with one rng_seed on one task, each a file of its own, so that none is run twice.

A cell's file is named by all that its figures depend on: the data, the task, the model with its options, and the
rng_seed. Whatever of these changes makes another cell. A file is written whole and then renamed; one that cannot be
read is run again.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from state.atomic_file import atomic_write
from state.nesting import json_of

Cell = dict[str, Any]
"""``key`` (what it depends on), ``model``, ``group``, ``family``, ``rng_seed``, and what ``worker`` adds."""
CELL_FORMAT = 2
"""Raised when figures are made in another way, which makes all cells be run again."""


@dataclass(frozen=True)
class CellSpec:
    """A cell that is to be run.

    Attributes:
        kind: ``task``, or ``cold`` for the curve of quality against seeds.
        model: its name in the catalogue.
        group: its group there.
        rng_seed: of model and negatives.
        options: what the model is, as text.
        task: what is asked, as plain values.
        fingerprint: of the data.
        family: of the model, in the catalogue.
    """

    kind: str
    model: str
    group: str
    rng_seed: int
    options: str
    task: dict[str, Any]
    fingerprint: str
    family: str = ""

    @property
    def key(self) -> dict[str, Any]:
        """All that the figures depend on."""
        names = ("kind", "model", "rng_seed", "options", "task", "fingerprint")
        return {"format": CELL_FORMAT, **{name: getattr(self, name) for name in names}}

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"{self.kind}-{self.model}-{self.rng_seed}-{digest(self.key)}.json"


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits that stand for a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def options_of(model: object) -> str:
    """What a new model or ranker is, as text: its class, and its ``config`` or else all that its constructor kept."""
    state = getattr(model, "config", None)
    if state is None:
        state = sorted(vars(model).items())
    return f"{type(model).__module__}.{type(model).__qualname__} {state!r}"


def read_cell(folder: Path, spec: CellSpec) -> Cell | None:
    """A cell, None when it is not there or is not whole."""
    try:
        cell: Cell = json_of((folder / spec.file).read_text())
        return cell if cell["key"] == spec.key and cell["result"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_cell(folder: Path, spec: CellSpec, result: dict[str, Any]) -> None:
    """Keep the result of a cell; it is there whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / spec.file) as work:
        work.write_text(json.dumps({"key": spec.key, "result": result}))


def made_with(result: dict[str, Any]) -> dict[str, Any]:
    """The ``machine`` that a result was made on (None: its cell does not say) and the ``versions``."""
    return {"machine": result.get("machine"), "versions": result.get("versions", {})}


def collect_cells(specs: Iterable[CellSpec], folder: Path) -> list[Cell]:
    """The results of all cells that are there, one for each model and rng_seed: what is cold beside what is not.

    Returns:
        Cells with ``model``, ``group``, ``family``, ``rng_seed``, the result of the task, ``cold`` (None without
        one), and ``made``: of each kind that is there, where and with what it was made (`made_with`).
    """
    found: dict[tuple[str, int], Cell] = {}
    for spec in specs:
        cell = read_cell(folder, spec)
        if cell is None:
            continue
        of = found.setdefault(
            (spec.model, spec.rng_seed),
            {
                **{name: getattr(spec, name) for name in ("model", "group", "family", "rng_seed")},
                "figures": None,
                "cold": None,
                "made": {},
            },
        )
        of["made"][spec.kind] = made_with(cell["result"])
        of.update({"cold": cell["result"]["cold"]} if spec.kind == "cold" else cell["result"])
    return list(found.values())
