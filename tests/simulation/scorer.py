"""A scorer's index, filled from the centroids topic."""

from typing import Any

from flows.scoring.index_updates import IndexUpdates

from .process import DIM
from .world import World


class Scorer:
    """One that reads the topic in any order of its partitions.

    Args:
        world: has the topic.
        model_version: the bundle's.
    """

    def __init__(self, world: World, model_version: str) -> None:
        self._world = world
        self._updates = IndexUpdates("centroids", model_version, DIM, world.clock.time)
        self._position: dict[int, int] = {}
        self._index: dict[str, Any] = {}

    def read(self, most: int = 10**9) -> None:
        """Read at most so many messages of each partition, in an order that chance has."""
        logs = self._world.topics["centroids"].logs
        order = list(range(len(logs)))
        self._world.rng.shuffle(order)
        for partition in order:
            at = self._position.get(partition, 0)
            for record in logs[partition][at : at + most]:
                if record is not None:
                    self._updates.take(record)
            self._position[partition] = min(len(logs[partition]), at + most)
        self._index.update(self._updates.drain())

    def index(self) -> dict[str, list[float]]:
        """The items that can be scored, and what their centroids are."""
        return {item: entry.centroids[0].tolist() for item, entry in self._index.items() if entry is not None}
