"""Whole state directories: stores with a history and recovery files that the real engine has written."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
import numpy as np
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, run_main
from store_history import N, Writer

from flows.admin.state.verify import PartitionReport, StateVerifier
from flows.recovery.sealed import seal, seal_position, unseal_position
from flows.seed_sets.keeper_state import OperatorSnapshot
from state.directory import mark_format

PARTS = 4


class Part(StatefulSourcePartition[tuple[str, int], bytes | None]):
    """Ends when its partition's position is reached, once it has been told to whoever asked."""

    def __init__(self, key: str, start: int, position: int, at_end: Callable[[], None]) -> None:
        self._key, self._at, self._position, self._at_end = key, start, position, at_end

    def next_batch(self) -> list[tuple[str, int]]:
        if self._at >= self._position:
            self._at_end()
            raise StopIteration
        self._at = self._position
        return [(self._key, self._position)]

    def snapshot(self) -> bytes | None:
        return seal_position(self._at)


class Source(FixedPartitionedSource[tuple[str, int], bytes | None]):
    def __init__(self, kind: str, positions: dict[int, int], at_end: Callable[[], None] = lambda: None) -> None:
        self._kind, self._positions, self._at_end = kind, positions, at_end

    def list_parts(self) -> list[str]:
        return [f"{self._kind}/{partition:05d}" for partition in self._positions]

    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> Part:
        del step_id
        partition = int(for_part.rpartition("/")[2])
        return Part(str(partition), unseal_position(resume_state) or 0, self._positions[partition], self._at_end)


class Keep(StatefulBatchLogic[int, int, bytes | None]):
    def __init__(self, encode: Callable[[int], bytes], snapshot: bytes | None) -> None:
        self._encode, self._snapshot = encode, snapshot

    def on_batch(self, values: list[int]) -> tuple[list[int], bool]:
        self._snapshot = self._encode(values[-1])
        return [], False

    def snapshot(self) -> bytes | None:
        return self._snapshot


def make_recovery(
    path: Path, positions: dict[int, int], flow: str = "look_alike", at_end: Callable[[], None] = lambda: None
) -> None:
    """Have the engine write recovery files whose snapshots are at positions; it waits while ``at_end`` is called."""
    if not path.exists():
        path.mkdir(parents=True)
        init_db_dir(path, PARTS)
    partitions = {str(position): partition for partition, position in positions.items()}
    nothing: np.ndarray[tuple[int], np.dtype[np.int64]] = np.empty(0, np.int64)

    def encode(position: int) -> bytes:
        number = partitions[str(position)]
        return seal(OperatorSnapshot(number, position, 0, 5, 0, ([], nothing, nothing), {}).encode())

    wired = Dataflow(flow)
    clicks = op.input("clicks", wired, Source("clicks", positions, at_end))
    kept = op.stateful_batch("seed_sets", clicks, lambda snapshot: Keep(encode, snapshot))
    op.output("centroids", kept, TestingSink([]))
    requests = op.input("requests", wired, Source("requests", {0: 11, 1: 12}))
    op.output("scores", requests, TestingSink([]))
    run_main(wired, epoch_interval=timedelta(0), recovery_config=RecoveryConfig(str(path)))


def kill_engine(path: Path, positions: dict[int, int]) -> None:
    """Have the engine go on to positions and leave the files as they are then, not closed."""
    left = path.with_name(path.name + "-left")

    def leave() -> None:
        if not left.exists():
            shutil.copytree(path, left)

    make_recovery(path, positions, at_end=leave)
    shutil.rmtree(path)
    left.rename(path)


def make_state(path: Path, rng_seed: int = 0, *, epochs: int = 12) -> dict[int, int]:
    """A state directory of two partitions, drained; their positions."""
    mark_format(path)
    positions = {}
    for partition in (0, 3):
        writer = Writer(path / "seeds" / f"{partition:05d}", rng_seed + partition, partition)
        writer.epochs(epochs + partition)
        writer.reopen()
        writer.epochs(3)
        positions[partition] = writer.store.position
        writer.store.close()
    make_recovery(path / "recovery" / "look-alike", positions)
    return positions


def verified(path: Path) -> tuple[list[PartitionReport], StateVerifier]:
    """What ``ralm state verify`` finds, and who found it."""
    verifier = StateVerifier(path, N)
    return list(verifier.run()), verifier
