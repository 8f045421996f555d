"""``ralm state verify``: the stores against their checksums and against what their values must be."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.messages.codec import decode_centroids
from flows.messages.rejects import InvalidMessage
from flows.seed_sets.keeper_state import OpenWork
from flows.support.errors import RalmError
from flows.support.text import counted
from state.directory import NAME as FORMAT_NAME
from state.directory import STORES, UnreadableFormatError, check_format, refuse_cut_off, store_paths
from state.owner_lock import OwnedElsewhereError, owners
from state.store.check import StoreReport, check_store
from state.store.layout import DamagedValueError, StoreError


def no_backup(path: Path) -> RalmError:
    """That what is to be restored has no stores."""
    return RalmError(f"{path} is not a backup: it has no stores. `ralm state backup DIRECTORY` makes one")


def no_stores(state_dir: Path) -> RalmError:
    """That a state directory has no stores."""
    return RalmError(
        f"there are no stores in {state_dir / STORES}: a flow that reads clicks makes them when it starts. Is "
        "--state-dir the one that the flow has?"
    )


@dataclass
class PartitionReport:
    """What was found of a partition.

    Attributes:
        partition: its number.
        store: what was found in its store.
    """

    partition: int
    store: StoreReport

    @property
    def whole(self) -> bool:
        """Whether all could be read, and nothing is damaged."""
        return not self.store.damages

    def line(self) -> str:
        """The report in one line, without the damages."""
        meta, store = self.store.meta, self.store
        verdict = "whole" if self.whole else "NOT READ" if store.unread else "DAMAGED"
        parts = [f"partition {self.partition}: {verdict}"]
        if meta is not None:
            seeds = f"{counted(store.seeds, 'seed')} in base sets and {store.delta_seeds:,} beside them"
            parts.append(f"{counted(store.items, 'item')}, {seeds}, position {meta.position}")
        return "; ".join([*parts, *store.notes])

    def as_json(self) -> dict[str, Any]:
        """The report for programs."""
        meta = self.store.meta
        return {
            "partition": self.partition,
            "whole": self.whole,
            "unread": self.store.unread,
            "topic": meta and meta.topic,
            "position": meta and meta.position,
            "items": self.store.items,
            "seeds": self.store.seeds,
            "delta_seeds": self.store.delta_seeds,
            "resume": meta and meta.resume,
            "damages": self.store.damages,
            "notes": self.store.notes,
        }


class StateVerifier:
    """Verifies a state directory, read-only, also beside the flow that runs on it.

    Args:
        state_dir: the directory.
        capacity: N, the most seeds of an item.

    Attributes:
        damages: messages: what is damaged beside the stores.
        notes: messages about what is unusual but not damaged.

    Raises:
        RalmError: when there is nothing to verify.
    """

    def __init__(self, state_dir: Path, capacity: int) -> None:
        self._capacity = capacity
        self.damages: list[str] = []
        self.notes: list[str] = []
        try:
            refuse_cut_off(state_dir)
            self._paths = store_paths(state_dir)
        except StoreError as error:
            raise RalmError(str(error)) from error
        if not self._paths and not (state_dir / FORMAT_NAME).exists():
            raise no_stores(state_dir)
        try:
            check_format(state_dir)
        except UnreadableFormatError as error:
            self.damages.append(str(error))
        except StoreError as error:
            raise RalmError(str(error)) from error
        try:
            self.notes += [
                f"a flow is running on it ({who}), so that it changes meanwhile" for who in owners(state_dir)
            ]
        except OwnedElsewhereError as error:
            self.notes.append(str(error))

    def run(self) -> Iterator[PartitionReport]:
        """Verify one partition after the other."""
        for partition, path in self._paths.items():
            store = check_store(path, self._capacity, _wrong_centroids, _wrong_work)
            if store.meta is not None and store.meta.partition != partition:
                store.damages.append(f"{path} holds the store of partition {store.meta.partition}")
            yield PartitionReport(partition, store)


def _wrong_centroids(value: bytes) -> str | None:
    try:
        decode_centroids(value)
    except InvalidMessage as error:
        return str(error)
    return None


def _wrong_work(value: bytes) -> str | None:
    try:
        OpenWork.decode(value)
    except DamagedValueError as error:
        return str(error)
    return None
