"""Whole state directories: stores with a history."""

from pathlib import Path

import numpy as np
from store_history import N, Writer

from flows.admin.state.verify import PartitionReport, StateVerifier
from flows.seed_sets.keeper_state import OpenWork
from state.directory import write_format
from state.store.seed_store import Changes


def make_state(path: Path, rng_seed: int = 0, *, epochs: int = 12) -> dict[int, int]:
    """A state directory with the stores of two of four partitions, drained; their positions."""
    write_format(path, partitions=[4])
    positions = {}
    nothing: np.ndarray[tuple[int], np.dtype[np.int64]] = np.empty(0, np.int64)
    work = OpenWork(5, 0, None, False, ([], nothing, nothing), {"item-1": 5})
    for partition in (0, 3):
        writer = Writer(path / "seeds" / f"{partition:05d}", rng_seed + partition, partition)
        writer.epochs(epochs + partition)
        writer.reopen()
        writer.epochs(3)
        at = positions[partition] = writer.store.position
        writer.store.write(Changes(), position=at, work=work.encode(), resume=at, resume_candidates=0)
        writer.store.close()
    return positions


def verified(path: Path) -> tuple[list[PartitionReport], StateVerifier]:
    """What ``ralm state verify`` finds, and who found it."""
    verifier = StateVerifier(path, N)
    return list(verifier.run()), verifier
