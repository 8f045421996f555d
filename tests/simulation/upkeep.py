"""What becomes of stores, topics and settings while no process runs: what an operator does, and what time does."""

import json
from random import Random

from .checks import Break, Outcome, source_of
from .disk import Disk
from .kinds import Kind
from .model import Rules
from .process import Clustered
from .producers import Producers
from .rules import altered_rules, settings_of
from .scorer import Scorer
from .world import Record, World


class Upkeep:
    """The part of a schedule that lies between two lives of a process; the schedule has what is named here."""

    rng: Random
    kind: Kind
    outcome: Outcome
    world: World
    producers: Producers
    disks: list[Disk]
    counts: list[int]
    ends: list[dict[str, list[int]]]
    loses: float
    version: int
    loader: Scorer
    clustered: list[Clustered]

    def __init__(self, rules: Rules, partitions: int) -> None:
        self.first_rules = self.rules = rules
        self.settings = settings_of(rules)
        self.altered: dict[int, list[tuple[int, int, Rules]]] = {}
        self.breaks: list[Break] = []
        self.answered: set[bytes] = set()
        self.begun: dict[int, int] = {}  # where requests began at the first start, if not at their beginning
        # By partition what was compacted away of the candidates after it was read. It holds until the store is lost,
        # though what followed it may be bad.
        self.remembered: list[list[Record]] = [[] for _ in range(partitions)]
        self.copies: dict[int, list[dict[bytes, bytes]]] = {}  # of stores, by partition

    @property
    def partitions(self) -> int:
        """How many partitions the clicks topic has."""
        return self.counts[-1]

    def _lose(self) -> None:
        """Stores are lost, to be made again of what the topic has."""
        for number, disk in enumerate(self.disks):
            # Once the topic has grown a store has what its partition has not.
            if self.ends or disk.meta() is None or self.rng.random() >= self.loses:
                continue
            self._expire(number)
            disk.lose()
            self.remembered[number].clear()
            if self.kind.alters:  # all is read again with the settings that hold now
                self.altered[number] = [(0, 0, self.rules)]
                self.clustered = [each for each in self.clustered if each.partition != number]
            self.outcome.count("stores lost")

    def _keep_up(self) -> None:
        """Stores are put back, topics made anew, settings altered, a scorer started again: in schedules for that."""
        rng, kind = self.rng, self.kind
        if kind.restores:
            self._restore()
        if kind.breaks and rng.random() < kind.breaks:
            self._break(rng.choice(["clicks", "candidates", "requests", "centroids"]))
            self._send_meanwhile()
        if kind.alters and rng.random() < kind.alters:
            self._alter()
        if kind.reloads and rng.random() < kind.reloads:
            self.loader = Scorer(self.world, f"m{self.version}")

    def _send_meanwhile(self) -> None:
        """Producers go on while no process runs."""
        if self.kind.stops:
            for _ in range(self.rng.randrange(5)):
                self.world.clock.now += self.rng.choice([600, 3000])
                self.producers.click(most=2)
        elif self.rng.random() < 0.5:
            for kind in self.rng.choices(["click", "list", "ask"], k=self.rng.randrange(1, 6)):
                getattr(self.producers, kind)()

    def _restore(self) -> None:
        """Backups are made, and a store is put back from one at times."""
        for number, disk in enumerate(self.disks):
            if disk.meta() is not None:
                self.copies.setdefault(number, []).append(disk.copied())
            older = [copy for copy in self.copies.get(number, ()) if self._is_read_beyond(number, copy)]
            if older and self.rng.random() < self.kind.restores:
                disk.restore(self.rng.choice(older))
                self._forget_compacted(number)
                self.outcome.count("stores restored")

    def _is_read_beyond(self, number: int, copy: dict[bytes, bytes]) -> bool:
        """Whether the group has read beyond a copy of a store; what was said without a message nobody can know."""
        disk, committed = Disk(), self.world.committed
        disk.restore(copy)
        meta = disk.meta()
        assert meta is not None
        clicks, candidates = (committed.get((kind, number), (0, ""))[0] for kind in ("clicks", "candidates"))
        return clicks > meta.position or candidates > meta.candidates

    def _forget_compacted(self, number: int) -> None:
        """What a store has not read, and was compacted away, it will never read."""
        meta = self.disks[number].meta()
        read = 0 if meta is None else meta.candidates
        self.remembered[number] = [record for record in self.remembered[number] if record._offset < read]

    def _alter(self) -> None:
        """The settings are others from the next start on; a store goes on with them where it is."""
        self.rules = altered_rules(self.rng, self.rules)
        self.settings = settings_of(self.rules)
        for number, disk in enumerate(self.disks):
            meta = disk.meta()
            since = (0, 0) if meta is None else (meta.position, meta.candidates)
            self.altered.setdefault(number, []).append((*since, self.rules))
        self.outcome.count("settings")

    def _break(self, kind: str) -> None:
        """A topic is made anew, or loses messages, of those too that nobody has read."""
        topic, expires = self.world.topics[kind], kind in ("clicks", "requests") and self.rng.random() < 0.5
        self.world.clock.now += 1
        read = {each: self._read_of(each) for each in ("clicks", "candidates")}
        before = {each: [self._good_before(each, *at) for at in enumerate(read[each])] for each in read}
        if kind == "requests":
            asked = (r for log in topic.logs for r in log if r is not None and not self._is_bad(kind, r))
            self.answered |= {json.loads(record._value or b"")["request_id"].encode() for record in asked}
        if expires:
            for number, log in enumerate(topic.logs):
                topic.expire(number, self.rng.randint(0, len(log)))
        else:
            topic.make_anew()
            self._forget_letters(kind)
            if kind == "candidates":
                self.remembered = [[] for _ in self.disks]
            if kind == "requests":
                self.begun.clear()
            if kind == "centroids":
                self.loader = Scorer(self.world, f"m{self.version}")
        for each, positions in read.items():
            first = self.world.topics[each].first
            anew = each == kind and not expires
            starts = [0 if anew else max(at, first.get(number, 0)) for number, at in enumerate(positions)]
            self.breaks.append(Break(each, before[each], starts))
        self._note_ends(self.partitions)
        self.outcome.count(f"{kind} expired" if expires else f"{kind} made anew")

    def _read_of(self, kind: str) -> list[int]:
        """Up to where stores have read a topic, by partition."""
        metas = [disk.meta() for disk in self.disks]
        return [0 if meta is None else meta.position if kind == "clicks" else meta.candidates for meta in metas]

    def _good_before(self, kind: str, number: int, end: int) -> list[Record]:
        return [r for r in self._all_of(kind, number) if r._offset < end and not self._is_bad(kind, r)]

    def _is_bad(self, kind: str, record: Record) -> bool:
        return (kind, record._partition, record._offset) in self.producers.bad

    def _forget_letters(self, kind: str) -> None:
        """Offsets begin anew, those of bad messages too: dead letters of the old topic are looked at now."""
        log, bad = self.world.topics["dead_letters"].logs[0], self.producers.bad
        for place, record in enumerate(log):
            if record is None or (said := source_of(record))[0] != kind:
                continue
            if said not in bad:
                self.outcome.wrong.append(f"a dead letter of {said}")
            log[place] = None
        bad -= {each for each in bad if each[0] == kind}

    def _all_of(self, kind: str, partition: int) -> list[Record]:
        """What a partition's store has been told so far."""
        there = [record for record in self.world.topics[kind].logs[partition] if record is not None]
        gone = self.remembered[partition] if kind == "candidates" else []
        return sorted([*there, *gone], key=lambda record: record._offset)

    def _note_ends(self, partitions: int) -> None:
        self.ends.append({kind: self._read_of(kind) for kind in ("clicks", "candidates")})
        self.counts.append(partitions)

    def _expire(self, number: int) -> None:
        """The clicks topic may lack its beginning when it is read into a new store (``--rebuild partial``)."""
        log = self.world.topics["clicks"].logs[number]
        if self.rng.random() < 0.5:
            self.world.topics["clicks"].expire(number, self.rng.randint(0, len(log)))
            self.copies.pop(number, None)  # they have what the topic has no more
            if not self.ends:
                self.clustered = [each for each in self.clustered if each.partition != number]
            self.outcome.count("partial rebuilds")
