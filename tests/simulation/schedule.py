"""A schedule: everything that happens in a world, drawn from one number; and what is wrong in the end."""

import traceback
from dataclasses import replace
from random import Random
from typing import Any, Final
from unittest.mock import patch

from .checks import Lost, Outcome, Past, check, check_older_models, check_scorers
from .disk import Crash, Disk, simulated_disks
from .kinds import kind_of
from .process import Clustered, Part, PlayedPool, Process
from .producers import Habits, Producers
from .rules import drawn_rules
from .scorer import Scorer
from .upkeep import Upkeep
from .world import World

USUAL: Final = {
    "click": 3,
    "list": 0.6,
    "sweep": 0.03,
    "ask": 0.4,
    "poll": 6,
    "apply": 4,
    "collect": 4,
    "epoch": 1.5,
    "clock": 3,
    "jump": 0.1,
    "rest": 0.1,
    "deliver": 0.25,
    "grow": 0.05,
    "compact": 0.1,
    "load": 0.5,
}
"""How often something happens, beside the rest."""
_COMES: Final = ("click", "list", "sweep", "ask")
"""What comes from without."""


def run(number: int) -> Outcome:
    """Play a schedule; what the process dies of is wrong too."""
    world_time = patch("flows.engine.source.time")
    with simulated_disks(), world_time as played:
        schedule = _Schedule(number, played)
        try:
            schedule.run()
        except Exception as error:
            schedule.outcome.wrong.append(f"it ends with {error!r} at {traceback.extract_tb(error.__traceback__)[-1]}")
        return schedule.outcome


class _Schedule(Upkeep):
    def __init__(self, number: int, played_time: Any) -> None:
        self.rng = rng = Random(number)
        self.outcome = Outcome(number)
        self.kind = kind_of(number)
        habits = replace(Habits.drawn(rng), **self.kind.habits)
        self.seldom = habits.seldom
        rules = replace(drawn_rules(rng, seldom=self.seldom), **self.kind.rules)
        grows = rng.random() < 0.3
        self.grows = grows if self.kind.grows is None else self.kind.grows
        loses = rng.choice([0.02, 0.02, 0.3, 0.7])  # how likely a store is lost between two lives
        self.loses = loses if self.kind.loses is None else self.kind.loses
        partitions = rng.choice([1, 1, 2])
        self.counts = [self.kind.partitions or partitions]
        super().__init__(rules, self.partitions)
        self.world = World(rng, self.partitions, rng.choice([1, 3]))
        self.lost: list[Lost] = []
        self.ends: list[dict[str, list[int]]] = []  # of clicks and candidates, at each time when they grew
        clock = self.world.clock
        played_time.monotonic, played_time.time_ns = clock.monotonic, clock.time_ns
        self.disks = [Disk() for _ in range(self.partitions)]
        self.version = self.versions = 1
        switches = rng.choice([0.2, 0.2, 0.7])  # how likely the model is another one in the next life
        self.switches = switches if self.kind.switches is None else self.kind.switches
        self.crashes_left = rng.choice([0, 1, 3, 6])
        self.dies = False
        self.steps: int | None = None
        self.epochs: int | None = None
        self.loader = Scorer(self.world, "m1")
        self.clustered: list[Clustered] = []
        # How often what happens is drawn for the schedule, so that each is of a kind of its own.
        self.weights = {kind: weight * rng.choice([0.3, 1, 3]) for kind, weight in USUAL.items()}
        if self.seldom:
            self.weights |= {"rest": 1.5, "click": 1.5, "list": 0.2, "sweep": 0.0}
        self.weights |= self.kind.weights
        self.producers = Producers(self.world, habits, self.rules.window)

    def run(self) -> None:
        if self.kind.listed:
            self.producers.sweep({})
        for _ in range(self.rng.choice(self.kind.lives)):
            self._life(self.rng.randrange(20, 120), last=False)
        self.world.clock.wrong_by = 0
        process = self._life(0, last=True)
        assert process is not None
        self._check(process)

    def _check(self, process: Process) -> None:
        past = Past(
            self.world,
            self.first_rules,
            self.counts,
            self.ends,
            self.producers.bad,
            self.remembered,
            self.begun,
            self.clustered,
            self.lost,
            self.altered,
            self.breaks,
            self.answered,
        )
        expected, served = check(past, process, self.outcome)
        older = [f"m{number}" for number in range(1, self.versions + 1) if number != self.version]
        readers = {
            "the scorer that read along": self.loader,
            "a scorer that starts": Scorer(self.world, f"m{self.version}"),
        }
        check_scorers(readers, expected, self.outcome.wrong)
        check_older_models(self.world, older, served, self.outcome.wrong)

    def _life(self, things: int, *, last: bool) -> Process | None:
        """A process until it ends; the last one until all is quiet."""
        rng = self.rng
        self._between_lives(crashes=self.crashes_left > 0 and not last and rng.random() < 0.8, last=last)
        try:
            process = self._start()
            if self.kind.stops:
                self._read_first(process)
            quiet = rng.random() < 0.25  # nothing comes: what is lost in it stays lost
            for _ in range(things):
                self._thing(process, quiet=quiet)
            if last:
                self._settle(process)
                return process
            if rng.random() < 0.5:
                process.drain()
                self.outcome.count("drains")
            else:
                self._crash()
        except Crash:
            self._crash()
        return None

    def _start(self) -> Process:
        world = self.world
        if world.start_from == "latest" and not world.has_read_requests:
            for partition, log in enumerate(world.topics["requests"].logs):
                if ("requests", partition) not in world.committed:
                    self.begun[partition] = len(log)
        pool = PlayedPool(f"m{self.version}", self.rules.min_seeds, self.rng, self.clustered, len(self.ends))
        return Process(self.world, self.disks, self.settings, pool, self._step, self.counts)

    def _grow_clicks(self) -> None:
        """The topic grows as the docs have it: once all is read, and the process has ended, whichever way."""
        self._read_all()
        self._note_ends(self.partitions + 1)
        self.disks.append(Disk())
        self.remembered.append([])
        self.world.grow()
        self.outcome.count("growth of clicks")

    def _read_all(self) -> None:
        """A process reads all that is there, and ends, whichever way."""
        self.steps = None
        for disk in self.disks:
            disk.crash_at = None
        process = self._start()
        if self.kind.lags:
            self._lag()
        ends = [len(log) for log in self.world.topics["clicks"].logs]
        while not self._has_read_all(process, ends):
            self._turn(process)
            self.world.clock.now += 100
        if self.rng.random() < 0.5:
            self._rest(process)
        if self.rng.random() < 0.5:
            process.drain()
        else:
            for _ in range(self.rng.randrange(3)):
                process.end_epoch()
            process.snapshot()  # and dies before all is delivered
            self._crash()

    def _lose_grown(self, *, last: bool) -> None:
        """A store is lost once clicks have grown; what is at home elsewhere moves there at a start after the next."""
        self._read_all()
        number = self.rng.randrange(self.partitions)
        before = {kind: self._all_of(kind, number) for kind in ("clicks", "candidates")}
        self._note_ends(self.partitions)
        self._expire(number)
        self.disks[number].lose()
        self.remembered[number].clear()
        self.lost.append(Lost(len(self.ends), number, before))
        self.outcome.count("stores lost after growth")
        self._send_meanwhile()
        for _ in range(0 if self.rules.item_ttl else self.rng.choice([0, 1, 1, 3])):
            self._cut_off()  # what lies before and after a gap may move apart, so that nobody sees it
        if not last:
            self._read_all()
            self._note_ends(self.partitions)

    def _cut_off(self) -> None:
        """A process that fills a store is cut off, maybe while it moves items; what is at home elsewhere moves then."""
        rng = self.rng
        self.steps = rng.randrange(2, 80) if rng.random() < 0.5 else None
        for disk in self.disks:
            disk.crash_at, disk.after = (disk.writes + rng.randrange(1, 12), rng.random() < 0.5)
        try:
            process = self._start()
            for _ in range(rng.randrange(1, 30)):
                self._work(
                    rng.choice(["poll", "poll", "apply", "collect", "epoch"]), process, rng.choice(process.parts)
                )
                self.world.clock.now += rng.choice([1, 100, 600])
        except Crash:
            pass
        self._crash()
        self._note_ends(self.partitions)
        self.outcome.count("fillings cut off")

    def _between_lives(self, *, crashes: bool, last: bool) -> None:
        """What happens before a start, and when the process will die."""
        rng = self.rng
        self._send_meanwhile()
        if self.grows and self.partitions < 4 and rng.random() < 0.5:
            self._grow_clicks()
            self._send_meanwhile()
        if self.kind.loses_grown and self.ends and rng.random() < 0.5:
            self._lose_grown(last=last)
        self._lose()
        self._keep_up()
        if rng.random() < self.switches:
            # A new one, or one that was used before.
            self.version = rng.choice([self.versions + 1, self.versions + 1, rng.randint(1, self.versions)])
            self.versions = max(self.versions, self.version)
            self.loader = Scorer(self.world, f"m{self.version}")
            self.outcome.count("models")
        self.dies = crashes
        self.steps = rng.randrange(1, 150) if crashes and rng.random() < 0.5 else None
        self.epochs = rng.randrange(1, 6) if crashes and rng.random() < self.kind.halves else None
        for disk in self.disks:
            at = rng.randrange(1, 30) if crashes and rng.random() < 0.5 else None
            disk.crash_at, disk.after = None if at is None else disk.writes + at, rng.random() < 0.5

    def _read_first(self, process: Process) -> None:
        """What came while no process ran is read before anything is clustered."""
        for part in process.parts:
            for _ in range(3):
                process.poll(part, "clicks")
            process.apply(part)

    def _lag(self) -> None:
        """The partitions get their clicks one long after the other, late ones last."""
        order = list(range(self.partitions))
        self.rng.shuffle(order)
        for partition in order:
            self.world.clock.now += self.rng.choice([600, 3000])
            for ago in (0, 0, self.rng.choice([600, 3000])):
                self.producers.click(ago, partition)

    def _crash(self) -> None:
        rng = self.rng
        self.crashes_left -= 1
        self.outcome.count("crashes")
        if rng.random() < 0.5:  # what was on its way arrives, or the first of it
            self.world.deliver(rng.randint(0, len(self.world.waiting)))
        self.world.waiting.clear()
        if rng.random() < 0.5:
            self.outcome.count("power cuts")
            for disk in self.disks:
                disk.power_cut(rng)
        for number, disk in enumerate(self.disks):
            disk.crash_at = None
            self._forget_compacted(number)

    def _step(self) -> None:
        if self.steps is not None:
            self.steps -= 1
            if self.steps <= 0:
                raise Crash

    def _thing(self, process: Process, *, quiet: bool) -> None:
        """One thing that happens."""
        (kind,) = self.rng.choices(list(self.weights), list(self.weights.values()))
        if quiet and kind in _COMES:
            kind = "poll"
        part = self.rng.choice(process.parts)
        if kind in _COMES:
            getattr(self.producers, kind)()
        elif kind in ("poll", "apply", "collect", "epoch"):
            self._work(kind, process, part)
        elif kind == "compact":
            self._compact(process)
        elif kind == "waver":
            self._waver(process)
        elif kind == "rest":
            (self._click_of_before if self.seldom and not quiet else self._rest)(process)
        else:
            getattr(self, f"_{kind}")()

    def _work(self, kind: str, process: Process, part: Part) -> None:
        """The process does something."""
        rng = self.rng
        if kind == "poll":
            process.poll(part, rng.choice(["clicks", "clicks", "candidates", "requests"]))
        elif kind == "apply":
            process.apply(part)
        elif kind == "collect":
            process.pool.failures += rng.random() < 0.05
            process.collect(part, rng.randrange(4))
            sent = {kind for kind, _ in self.world.waiting}
            if self.dies and self.kind.stops and "centroids" in sent and rng.random() < 0.6:
                self.world.deliver()  # what was sent arrives, and is noted nowhere
                raise Crash
        else:
            self._end_epoch(process)

    def _end_epoch(self, process: Process) -> None:
        """An epoch ends, or the process dies in the midst of it."""
        process.snapshot()
        if self.epochs is not None:
            self.epochs -= 1
            if self.epochs <= 0:
                raise Crash
        process.delivered()

    def _waver(self, process: Process) -> None:
        """An item is listed and taken down in turn; meanwhile it may be clustered, and epochs may end."""
        rng = self.rng
        for _ in range(rng.randrange(2, 6)):
            self.producers.list_or_retire()
            for _ in range(rng.randrange(1, 5)):
                if rng.random() < 0.5:
                    self.producers.click()
                self._turn(process)
                self.world.clock.now += rng.choice([600, 1000])
            if rng.random() < 0.6:
                self._end_epoch(process)

    def _rest(self, process: Process) -> None:
        """Nothing comes for a while, and the process comes to see it."""
        for _ in range(self.rng.randrange(2, 6)):
            self._turn(process)
            self.world.clock.now += self.rng.choice([600, 3000])

    def _click_of_before(self, process: Process) -> None:
        """Nothing comes for a while, and then clicks of windows that idleness has reached."""
        since = self.world.clock.now
        self._rest(process)
        for _ in range(self.rng.randrange(6)):
            self.producers.click(self.world.clock.now - since)

    def _clock(self) -> None:
        self.world.clock.now += self.rng.choice([1, 100, 600, 600, 3000])

    def _jump(self) -> None:
        self.world.clock.wrong_by = self.rng.choice([0, 5000, -5000, 3_600_000, -3_600_000])
        self.outcome.count("clock jumps")

    def _load(self) -> None:
        self.loader.read(self.rng.randrange(1, 20))

    def _grow(self) -> None:
        self.world.topics["centroids"].grow(self.rng.randrange(1, 3))
        self.outcome.count("growth of centroids")

    def _compact(self, process: Process) -> None:
        kind = self.rng.choice(["candidates", "centroids"])
        topic = self.world.topics[kind]
        partition = self.rng.randrange(len(topic.logs))
        gone = topic.compact(partition)
        if kind == "candidates":
            part = process.parts[partition]
            read = max(part.candidates.position, part.store.meta.candidates)
            self.remembered[partition] += [record for record in gone if record._offset < read]

    def _deliver(self) -> None:
        self.world.deliver(self.rng.randint(0, len(self.world.waiting)))  # the producer sends in the background

    def _settle(self, process: Process) -> None:
        """A last click in each partition, then silence until nothing is to be done any more."""
        if self.seldom:
            self._click_of_before(process)
        self.producers.last_clicks()
        rules = self.rules
        quiet = rules.lateness + rules.idle_after + 9 * rules.window + self.rng.choice([0, 3000, 6000, 30_000])
        ends = [len(log) for log in self.world.topics["clicks"].logs]
        until, step = None, self.rng.choice([200, 1000, 3000])
        process.pool.failures += self.rng.random() < 0.3
        for _ in range(2000):
            self._turn(process)
            if until is None and self._has_read_all(process, ends):
                until = self.world.clock.now + quiet
            if until is not None and self.world.clock.now >= until and not process.is_busy():
                break
            if until is None or self.world.clock.now < until:
                self.world.clock.now += step
            if self.rng.random() < 0.2:
                process.end_epoch()
        else:
            self.outcome.wrong.append("it never comes to rest")
        for _ in range(3):
            process.end_epoch()

    def _turn(self, process: Process) -> None:
        for part in process.parts:
            process.poll(part, "clicks")
            process.poll(part, "candidates")
            process.poll(part, "requests")
            process.apply(part)
            process.collect(part, 5)

    def _has_read_all(self, process: Process, ends: list[int]) -> bool:
        read = all(part.clicks.position == end for part, end in zip(process.parts, ends, strict=True))
        return read and all(s._reader.lag(p.number) == 0 for p in process.parts for s in (p.candidates, p.requests))
