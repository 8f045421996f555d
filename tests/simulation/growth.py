"""The clicks topic grows: items go to the partition where their clicks come from then on, on simulated disks."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flows.config.groups import SeedSettings
from flows.seed_sets import repartition
from flows.seed_sets.item_places import ItemPlaces
from flows.seed_sets.partitioners import crc32

from .disk import Disk

_SEEDS = Path("/simulated/seeds")


def home(item: str, partitions: int) -> int:
    """The partition of an item's clicks."""
    return crc32(item.encode(), partitions)


@contextmanager
def on_simulated_disks(disks: list[Disk]) -> Iterator[None]:
    """Where stores begin is fixed in those that lie on these disks, by partition."""

    class Stores:
        """Opens them."""

        @staticmethod
        def open(path: Path, *, topic: str, partition: int, capacity: int) -> Any:
            del path, topic
            return disks[partition].open(partition, capacity, 0)

    places = "flows.seed_sets.first_positions"
    noting = patch(f"{places}.file_lock", lambda _: nullcontext()), patch(f"{places}.note_begun", lambda *_: None)
    with patch(f"{places}.SeedStore", Stores), patch(f"{places}.forget_moved", lambda *_: None), noting[0], noting[1]:
        yield


def follow(disks: list[Disk], counts: list[int], settings: SeedSettings) -> None:
    """What a process does before it reads a topic that has grown.

    Args:
        disks: by partition.
        counts: how many partitions there were at each time.
        settings: of the seeds.
    """
    if len(set(counts)) == 1:
        return

    class Stores:
        """Opens what lies on the simulated disks."""

        @staticmethod
        def open(path: Path, *, topic: str, partition: int, capacity: int, max_gap: int) -> Any:
            del path, topic
            return disks[partition].open(partition, capacity, max_gap)

        @staticmethod
        def inspect(path: Path) -> Any:
            return disks[int(path.name)].open(int(path.name), settings.max_seeds, 0)

    there = {n: _SEEDS / f"{n:05d}" for n, disk in enumerate(disks) if disk.meta() is not None}
    stores = (patch.object(repartition, "SeedStore", Stores), patch.object(repartition, "holds_data", lambda _: True))
    rules = repartition.SetRules(settings.max_seeds, settings.item_ttl)
    with stores[0], stores[1], patch.object(repartition, "note_moved", lambda *_: None):
        items = {number: repartition._items(path) for number, path in there.items()}
        places = ItemPlaces(items, sorted(set(counts)), counts[-1])
        repartition._bring_home(_SEEDS, "clicks", places, rules, "crc32")


__all__ = ["follow", "home", "on_simulated_disks"]
