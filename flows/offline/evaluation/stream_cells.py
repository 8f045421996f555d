"""Cells of the streaming protocol: one ranker replayed on one draw, a file each, so that none is replayed twice."""

import io
import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flows.offline.evaluation.cells import digest
from ralm.protocol.stream.rankers import Variant
from ralm.protocol.stream.replay import Replayed
from ralm.protocol.stream.requests import Requests
from state.atomic_file import atomic_write
from state.nesting import json_of

STREAM_FORMAT = 1
"""Raised when figures are made in another way, which makes all cells be run again."""


@dataclass(frozen=True)
class StreamSpec:
    """A cell.

    Attributes:
        ranker: its name in the catalogue.
        options: what it is, as text.
        part: ``validation`` or ``test``.
        draw: of the withheld items, and rng_seed of the ranker.
        share: before the cut.
        fingerprint: of the data.
    """

    ranker: str
    options: str
    part: str
    draw: int
    share: float
    fingerprint: str

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"stream-{self.ranker}-{self.part}-{self.draw}-{digest([STREAM_FORMAT, asdict(self)])}.npz"


def read_stream_cell(folder: Path, spec: StreamSpec) -> Replayed | None:
    """A cell, None when it is not there or is not whole."""
    try:
        with np.load(folder / spec.file, allow_pickle=False) as columns:
            found = {name: columns[name] for name in columns.files}
        requests = Requests(found["users"], found["times"], found["asked_after"])
        variants = tuple(Variant(*values) for values in json_of(str(found["variants"])))
        return Replayed(
            requests,
            found["judged"],
            variants,
            found["hit"],
            found["exposed"],
            found["tail_places"],
            found["first_exposure"],
            found["candidates"],
        )
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None


def read_made(folder: Path, spec: StreamSpec) -> dict[str, Any] | None:
    """The machine and versions that a cell was made with; None when it does not say."""
    try:
        with np.load(folder / spec.file, allow_pickle=False) as columns:
            made: dict[str, Any] = json_of(str(columns["made"]))
        return made
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None


def write_stream_cell(folder: Path, spec: StreamSpec, replayed: Replayed, made: dict[str, Any]) -> None:
    """Keep a cell and the machine and versions that it was made with; it is there whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    columns: dict[str, Any] = {
        "users": replayed.requests.users,
        "times": replayed.requests.times,
        "asked_after": replayed.requests.asked_after,
        "made": np.array(json.dumps(made)),
        "variants": np.array(json.dumps([list(asdict(variant).values()) for variant in replayed.variants])),
    }
    for name in ("judged", "hit", "exposed", "tail_places", "first_exposure", "candidates"):
        columns[name] = getattr(replayed, name)
    packed = io.BytesIO()
    np.savez_compressed(packed, **columns)
    with atomic_write(folder / spec.file) as work:
        work.write_bytes(packed.getvalue())
