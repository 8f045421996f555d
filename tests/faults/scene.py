"""One round: topics and a state directory of its own, a cluster that works on them, and everything that checks it."""

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from flows.config.settings import Settings
from flows.kafka.admin import make_topics
from state.store.seed_store import StoreError

from .checks import (
    Stored,
    behind,
    read_stores,
    unanswered,
    wrong_answers,
    wrong_centroids,
    wrong_dead_letters,
    wrong_seed_sets,
)
from .cluster import Cluster, Ended
from .generator import Traffic
from .journal import Journal, Place
from .oracle import Oracle
from .tally import Tally
from .world import World

CAPACITY = 40
MIN_SEEDS = 3
REQUEST_TIMEOUT_MS = 300_000
_LOOK_AGAIN_S = 0.5
_STARTS = 4


@dataclass(frozen=True)
class Limits:
    """How long things may take, seconds.

    Attributes:
        settle: until everything is as it must be, once the flow works.
        pause: the longest that something is held or away (a stopped process, the broker).
        portion: clicks of a portion of traffic.
    """

    settle: float = 90.0
    pause: float = 20.0
    portion: int = 60


@dataclass
class Scene:
    """A round.

    Attributes:
        world: what all rounds share.
        name: of the round; its topics begin with it.
        rng: decides every random choice of the round.
        tally: of the run.
        limits: how long things may take.
        shift: what the traffic's event time is shifted by at the start, ms.
        fault: name of the fault that is under way.
        partitions: how many the topics have now that clicks and requests come in.
    """

    world: World
    name: str
    rng: Random
    tally: Tally
    limits: Limits
    shift: int = 0
    fault: str = "start"
    partitions: int = 4
    clock_is_back: bool = False
    over: bool = False
    """Whether no other fault of the round may follow."""
    redriven: set[Place] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.home = self.world.folder / self.name
        self.home.mkdir()
        self.state = self.home / "disk" / "state"
        self.settings = Settings.model_validate(
            {
                "bootstrap_servers": self.world.broker.bootstrap_servers,
                "topic_prefix": f"{self.world.prefix}{self.name}.",
                "bundle": str(self.world.bundle),
                "state_dir": str(self.state),
                "partitions": self.partitions,
                "window": "1s",
                "allowed_lateness": "100ms",
                "idle_after": "500ms",
                "item_ttl": "0",
                "min_seeds": MIN_SEEDS,
                "max_seeds": CAPACITY,
                "clusters": 5,
                "snapshot_interval": "400ms",
                "delivery_timeout": "30s",
                "request_timeout": f"{REQUEST_TIMEOUT_MS}ms",
            }
        )
        make_topics(self.settings)
        servers, prefix = self.settings.bootstrap_servers, self.settings.topic_prefix
        self.traffic = Traffic(servers, prefix, self.rng, self.shift)
        self.journal = Journal(servers, prefix)
        self.oracle = Oracle(CAPACITY)
        self.cluster = Cluster(self.settings, self.home)
        self._checked: dict[str, int] = {}

    def close(self) -> None:
        """End what runs and add the round to the tally."""
        self.cluster.kill()
        self.journal.close()
        self.tally.clicks += self.traffic.delivered["clicks"]
        self.tally.requests += self.traffic.delivered["requests"]
        self.tally.items += len(self.oracle.seed_sets())

    # Traffic and moments

    def busy(self, least: float = 0.1, most: float = 1.5) -> None:
        """Send traffic until a random moment."""
        until = time.monotonic() + self.rng.uniform(least, most)
        while True:
            self.portion()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, self.rng.uniform(0.02, 0.2)))

    def portion(self) -> None:
        """Send a portion of traffic."""
        self.traffic.some(self.limits.portion, 4, bad=self.rng.random() < 0.3)

    # Starting, stopping, and what it says

    def start(self, count: int | None = None) -> None:
        """Start the cluster as a supervisor would; there is no reason for it to refuse."""
        for _ in range(_STARTS):
            ended = self.cluster.start(count)
            if ended is None:
                return
            self.bad_end(f"does not start: {ended}")
        msg = f"{self.name}: the flow does not start after {self.fault}: {ended}"
        raise GaveUpError(msg)

    def drain(self) -> None:
        """SIGTERM must end it with 0; the stores are then exact at their positions."""
        ended = self.cluster.terminate()
        if any(code != 0 for code in ended.codes):
            self.bad_end(f"SIGTERM did not drain it: {ended}")
        self.check_positions()

    def end(self, *, drained: bool) -> None:
        """End all processes: with SIGTERM and a drain, or with SIGKILL."""
        if drained:
            self.drain()
            return
        self.cluster.kill()
        self.tally.kills += 1

    def bad_end(self, text: str) -> None:
        """Take note of an end that should not be."""
        self.tally.wordless.append(f"{self.name}, {self.fault}: {text}")
        self.problem(text)

    def problem(self, text: str) -> None:
        """Take note of something that is wrong."""
        self.tally.problems.append(f"{self.name}, {self.fault}: {text}")

    # Checks

    def check_positions(self) -> None:
        """While nothing runs: every store is the seed sets of exactly the clicks before its position."""
        self.read_on()
        self.tally.checks += 1
        try:
            wrong = [
                text
                for state in self.cluster.hosts or [self.state]
                for text in wrong_seed_sets(read_stores(state), self.oracle)
            ]
        except StoreError as error:
            wrong = [f"the stores cannot be read: {error}"]
        self.tally.seed_sets += len(wrong)
        for text in wrong:
            self.problem(text)

    def settle(self) -> None:
        """Wait until everything is as it must be, restarting a flow that ends in words; what stays wrong is counted."""
        for _ in range(_STARTS):
            ended = self.wait_exact()
            if ended is None:
                return
            if ended.in_words:
                self.tally.stops.append(f"{self.name}, {self.fault}: {ended}")
            else:
                self.bad_end(f"it ended by itself: {ended}")
            self.start()
        msg = f"{self.name}: the flow ends again and again after {self.fault}: {ended}"
        raise GaveUpError(msg)

    def take_in(self) -> None:
        """Wait until all clicks are in the stores, whatever else is to be done."""
        until = time.monotonic() + self.limits.settle
        self.read_on()
        while late := behind(self._stored(), self.oracle):
            if self.cluster.has_ended() or time.monotonic() > until:
                msg = f"{self.name}: not all clicks are taken in ({late}); ends: {self.cluster.codes()}"
                raise GaveUpError(msg)
            time.sleep(_LOOK_AGAIN_S)

    def wait_exact(self) -> Ended | None:
        """Wait until everything is as it must be, count what stays wrong; or say how the flow ended."""
        self.traffic.flush()
        until = time.monotonic() + self.limits.settle
        while True:
            if self.cluster.has_ended():
                return self.cluster.collect()
            found = self._differences()
            if not any(found.values()):
                break
            if time.monotonic() > until:
                return self._count(found)
            time.sleep(_LOOK_AGAIN_S)
        return self._count({"answers": self._new_wrong_answers()})

    def _differences(self) -> dict[str, list[str]]:
        """What is not as it must be, by the count that it belongs to; later checks wait for the earlier ones."""
        self.read_on()
        try:
            stored = self._stored()
        except StoreError as error:
            return {"unreadable": [str(error)]}
        late = behind(stored, self.oracle)
        if late:
            return {"seed_sets": late + wrong_seed_sets(stored, self.oracle)}
        return {
            "seed_sets": wrong_seed_sets(stored, self.oracle),
            "centroids": wrong_centroids(self.journal, self.oracle, self.world.vectors, MIN_SEEDS),
            "unanswered": unanswered(self.journal),
            "dead_letters": self._wrong_dead_letters(),
        }

    def _stored(self) -> Stored:
        """What the stores hold that are written to: of several state directories each process has its partitions."""
        hosts = self.cluster.hosts
        if not hosts:
            return read_stores(self.state)
        owned = [read_stores(host, lambda p, n=n: p % len(hosts) == n) for n, host in enumerate(hosts)]
        merged = Stored({}, {})
        for each in owned:
            merged.add(each)
        return merged

    def _count(self, found: dict[str, list[str]]) -> Ended | None:
        """Add to the tally; a store that cannot be read is as if the flow had said so, and it is stopped for that."""
        self.tally.checks += 1
        if found.get("unreadable"):
            self.cluster.terminate()
            return Ended([1], found["unreadable"][0], [])
        for name, texts in found.items():
            setattr(self.tally, name, getattr(self.tally, name) + len(texts))
            for text in texts:
                self.problem(text)
        return None

    def read_on(self) -> None:
        """Have the oracle know everything that was sent."""
        self.traffic.flush()
        self.journal.read_on()
        for place, click in self.journal.clicks:
            item, user = str(click["item_id"]), str(click["user_id"])
            self.oracle.add(place.partition, place.offset, item, user, click["ts"])
        self.journal.clicks.clear()
        if self.clock_is_back:
            for place, reason in self.journal.dead.items():
                if place.topic == "clicks" and reason == "future_time" and place not in self.journal.bad:
                    self.oracle.refused.add((place.partition, place.offset))

    def redrive(self) -> None:
        """Once the clock is right again: send the clicks that it had made dead letters, as an operator would."""
        self.read_on()
        self.clock_is_back = False
        for place in [p for p in self.journal.dead if (p.partition, p.offset) in self.oracle.refused]:
            if place.topic == "clicks" and place not in self.redriven:
                self.redriven.add(place)
                key, value = self.journal.values[place]
                self.traffic.send("clicks", key, value, [])

    def _wrong_dead_letters(self) -> list[str]:
        refused = {Place("clicks", *place) for place in self.oracle.refused}
        return wrong_dead_letters(self.journal, refused)

    def _new_wrong_answers(self) -> list[str]:
        answers = self.journal.answers
        new = [name for name, found in answers.items() if len(found) > self._checked.get(name, 0)]
        self._checked |= {name: len(answers[name]) for name in new}
        return wrong_answers(self.journal, new, self.world.vectors, REQUEST_TIMEOUT_MS, self.world.version)

    def move_away(self, path: Path) -> None:
        """Do as the message says: move a directory away."""
        with suppress(FileNotFoundError):
            shutil.move(path, self.home / f"moved-away-{time.monotonic_ns()}")


class GaveUpError(Exception):
    """A round that cannot go on; what is wrong is in the tally."""
