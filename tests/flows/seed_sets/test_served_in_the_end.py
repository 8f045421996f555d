"""Whatever crashes, idles, is lost on the way or comes in whatever order: in the end the topic says what is served."""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from operator_maker import batch, listing, settle, tombstone
from seed_set_laws import IN_TIME, LAWS, TTL, Clicks, Disk, oracle

from flows.messages.batches import OutMessage
from flows.messages.codec import decode_centroids, split_centroids_key
from flows.messages.emission_order import EmissionOrder, order_of_centroids, order_of_tombstone
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.emitted_before import Emitted, EmittedBefore
from flows.seed_sets.keeper import SeedSetOperator

CHANGES = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["retired", "listed", "expiring"]), st.integers(1, 12_000)),
    max_size=6,
)


@dataclass
class Topic:
    """The centroids topic, of which a loader keeps each item's newest message, whatever the order of arrival."""

    newest: dict[str, tuple[EmissionOrder, int]] = field(default_factory=dict)

    def deliver(self, messages: list[OutMessage]) -> None:
        for message in messages:
            item = split_centroids_key(message.key)[1]
            if message.value is None:
                found, seeds = order_of_tombstone(message.headers), 0
                assert found is not None
            else:
                centroids = decode_centroids(message.value)
                found, seeds = order_of_centroids(centroids, message.value), centroids.seeds
            if item not in self.newest or found > self.newest[item][0]:
                self.newest[item] = (found, seeds)

    def served(self) -> dict[str, int]:
        """Seeds of the items that are served."""
        return {item: seeds for item, (order, seeds) in self.newest.items() if not order.retired}


class World:
    """A partition over all its processes, and what of its output arrives."""

    def __init__(self, disk: Disk, clicks: Clicks, changes: list[Any], random: Random) -> None:
        self.disk, self.clicks, self.changes, self.random = disk, clicks, changes, random
        self.topic = Topic()
        self.out: list[list[OutMessage]] = [[], []]  # of the epoch before, and of this one
        self.at = self.told = self.wall = self.read = 0
        self.anew = False
        self.came: list[int] = []  # when each click came to its topic
        self.operator = disk.open()

    def step(self) -> None:
        random, kind = self.random, self.random.randrange(8)
        if kind < 3:
            self.read_clicks(random.randrange(1, 6))
        elif kind == 3:
            count = random.randrange(1, 4)
            self.take(self.changes[self.told : self.told + count])
            self.told = min(len(self.changes), self.told + count)
        elif kind == 4:
            self.idle(random.choice([600, 1500, 5000]))
        elif kind == 5:
            self.out[1] += settle(self.operator)
        elif kind == 6:
            self.snapshot()
        else:
            self.crash()

    def read_clicks(self, count: int) -> None:
        clicks = self.clicks[self.at : self.at + count]
        self.wall = max(self.wall + 10, *(ts for *_, ts in clicks)) if clicks else self.wall
        self.came += [self.wall] * (self.at + len(clicks) - len(self.came))
        self.at += len(clicks)
        self.read = self.wall
        heard = self.came[self.at - 1] if clicks else None
        self.take([batch(self.at - len(clicks), *clicks, now=self.wall, heard=heard)])

    def idle(self, time: int) -> None:
        """Nothing comes for so long (ms), if all that there is was read; the reader says so."""
        if self.at == len(self.came) and self.came:
            self.wall += time
            self.take([batch(self.at, idle=self.wall - self.read, now=self.wall)])

    def take(self, batches: list[Any]) -> None:
        self.out[1] += self.operator.apply(batches)

    def snapshot(self) -> None:
        """An epoch ends: the sinks have settled the one before."""
        self.topic.deliver(self.out[0])
        self.operator.snapshot()
        self.out = [self.out[1], []]

    def crash(self) -> None:
        """What was not settled has arrived in part; it is read on where the store says, if that is not lost too."""
        lost = [*self.out[0], *self.out[1]]
        self.topic.deliver(lost[: self.random.randrange(len(lost) + 1)])
        self.out = [[], []]
        lost_too, there = self.random.random() < 0.3, self.told
        if lost_too:
            self.disk.close()
            rmtree(self.disk.folder)
            self.wall += 8000
        self.operator: SeedSetOperator = self.disk.open(self._emitted() if lost_too or self.anew else None)
        self.anew = self.anew or lost_too
        meta = self.operator._store.meta
        self.at, self.told, self.read = max(0, meta.resume), max(0, meta.resume_candidates), self.wall
        if lost_too:  # a new store gets the candidates first
            self.take(self.changes[:there])
            self.told = there

    def _emitted(self) -> EmittedBefore:
        """What a store that is filled anew is told of the topic."""
        items = {item: Emitted(order.window_end, not order.retired) for item, (order, _) in self.topic.newest.items()}
        return EmittedBefore(items, frozenset(items), clicks_end=len(self.came))

    def finish(self, idle: int) -> None:
        """Read all, and then nothing for so long (ms)."""
        while self.at < len(self.clicks) or self.told < len(self.changes):
            self.take(self.changes[self.told :])
            self.told = len(self.changes)
            self.read_clicks(len(self.clicks))
        for _ in range(0, idle, 500):
            self.idle(500)
            self.out[1] += settle(self.operator)
        for _ in range(2):
            self.snapshot()


def _messages(changes: list[tuple[str, str, int]]) -> list[Any]:
    made = {
        "retired": lambda n, item, _: tombstone(n, item),
        "listed": lambda n, item, _: listing(n, item),
        "expiring": lambda n, item, at: listing(n, item, expires_at=at),
    }
    return [made[kind](n, item, at) for n, (item, kind, at) in enumerate(changes)]


def _is_served(item: str, clicks: Clicks, changes: list[tuple[str, str, int]], now: int) -> bool:
    said = [(kind, at) for name, kind, at in changes if name == item]
    if said:
        kind, at = said[-1]
        return kind == "listed" or (kind == "expiring" and at > now)
    return max(ts for name, _, ts in clicks if name == item) >= now - TTL


@settings(LAWS, max_examples=30)
@given(IN_TIME, CHANGES, st.integers(0, 2**32))
def test_the_topic_says_in_the_end_what_is_served_of_how_many_seeds(
    pool: ClusteringPool, clicks: Clicks, changes: list[tuple[str, str, int]], number: int
) -> None:
    random = Random(number)
    with TemporaryDirectory() as folder:
        disk = Disk(pool, Path(folder) / "s", TTL)
        world = World(disk, clicks, _messages(changes), random)
        for _ in range(random.randrange(40)):
            world.step()
        idle = random.choice([3000, 6000])
        world.finish(idle)
        now = (max(ts for *_, ts in clicks) + world.wall - world.came[-1]) // 1000 * 1000
        kept = oracle(clicks, TTL)
        assert disk.seeds() == kept
        expected = {
            item: len(seeds)
            for item, seeds in kept.items()
            if len(seeds) >= 3 and _is_served(item, clicks, changes, now)
        }
        assert world.topic.served() == expected
        disk.close()
