"""What must hold in the end: all that is there is compared with the model of what is promised."""

import json
from copy import deepcopy
from dataclasses import dataclass, field

from state.user_keys import user_keys

from .growth import home
from .model import Click, Listing, Model, Rules
from .process import Clustered, Part, Process, digest
from .scorer import Scorer
from .world import Record, World

USERS = [f"u{number}" for number in range(24)]
KEYS = dict(zip(USERS, user_keys(USERS).tolist(), strict=True))


@dataclass
class Outcome:
    """What came of a schedule: what is wrong, and what happened in it."""

    number: int
    wrong: list[str] = field(default_factory=list)
    happened: dict[str, int] = field(default_factory=dict)

    def count(self, what: str, more: int = 1) -> None:
        """Note that something happened."""
        self.happened[what] = self.happened.get(what, 0) + more


@dataclass(frozen=True)
class Lost:
    """A store that was lost after clicks had grown.

    Attributes:
        age: how many times are before it, as ``Past.counts`` counts them.
        partition: whose it was.
        before: of clicks and candidates what had come to it.
    """

    age: int
    partition: int
    before: dict[str, list[Record]]


@dataclass(frozen=True)
class Break:
    """What a topic that stores are filled from was when one was made anew, or had lost messages, while no process ran.

    Attributes:
        kind: of the topic.
        before: by partition the good messages of it that were read into the store.
        starts: by partition where it is read on then.
    """

    kind: str
    before: list[list[Record]]
    starts: list[int]


@dataclass(frozen=True)
class Past:
    """What has happened.

    Attributes:
        world: what is there now.
        rules: the settings.
        counts: how many partitions the clicks topic had at each time.
        ends: where each partition of clicks and candidates ended when they grew, each time; or when a store was lost
            once they had, and when it was filled again.
        bad: the bad messages: topic, partition and offset.
        remembered: candidates that were compacted away once they were in their partition's store.
        begun: where a partition of requests began at the first start, if not at its beginning.
        clustered: all jobs that the pool was given.
        lost: the stores that were lost once clicks had grown.
        altered: by partition the settings since offsets of clicks and candidates, after the first ones.
        breaks: what has become of topics.
        answered: requests of topics that are gone; they may have an answer.
    """

    world: World
    rules: Rules
    counts: list[int]
    ends: list[dict[str, list[int]]]
    bad: set[tuple[str, int, int]]
    remembered: list[list[Record]]
    begun: dict[int, int]
    clustered: list[Clustered]
    lost: list[Lost] = field(default_factory=list)
    altered: dict[int, list[tuple[int, int, Rules]]] = field(default_factory=dict)
    breaks: list[Break] = field(default_factory=list)
    answered: set[bytes] = field(default_factory=set)


def check(past: Past, process: Process, outcome: Outcome) -> tuple[dict[str, list[float]], set[str]]:
    """Compare all but the index; returns what that must hold, and the items that are served if it has them."""
    return _Checks(past, outcome).check(process)


class _Checks:
    def __init__(self, past: Past, outcome: Outcome) -> None:
        self.past, self.world, self.outcome = past, past.world, outcome
        self.counts, self.ends, self.bad = past.counts, past.ends, past.bad

    def _good(self, kind: str, partition: int) -> list[Record]:
        """The good messages of a partition that are there, or were when they were read into its store."""
        return [r for r in self._all(kind, partition) if (kind, partition, r._offset) not in self.bad]

    def _all(self, kind: str, partition: int) -> list[Record]:
        there = [record for record in self.world.topics[kind].logs[partition] if record is not None]
        if kind == "candidates":
            there = sorted([*there, *self.past.remembered[partition]], key=lambda record: record._offset)
        return there

    def _models(self) -> list[Model]:
        """The partitions' models at the end."""
        models = list[Model]()
        for age, partitions in enumerate(self.counts):
            models += [Model(self.past.rules) for _ in range(partitions - len(models))]
            if age:
                self._move(models, age)
            for lost in self.past.lost:
                if lost.age == age:
                    models[lost.partition] = Model(self.past.rules)
            for partition, model in enumerate(models):
                self._follow(age, partition, model)
        for partition, model in enumerate(models):
            last = self.world.topics["clicks"].logs[partition][-1]
            assert last is not None
            model.heard = last._at
        return models

    def _move(self, models: list[Model], age: int) -> None:
        """Items are at home after the topic has grown."""
        for partition, model in enumerate(models):
            for item in list(model.kept):
                target = models[home(item, len(models))]
                if target is not model:
                    target.take_over(item, model, age)
            for item in [*model.listings, *model.elsewhere]:
                target = models[home(item, len(models))]
                if target is not model:
                    target.hear_from(item, model, self.ends[age - 1]["candidates"][partition])
        for model in models:
            model.forget()

    def _follow(self, age: int, partition: int, model: Model) -> None:
        """Take what came to a partition while there were so many; check what was clustered of it."""
        here = (age, partition)
        given = sorted((c for c in self.past.clustered if (c.age, c.partition) == here), key=lambda c: c.position)
        altered = self.past.altered.get(partition, [])
        model.rules = self.past.rules
        clicks = [(since, rules) for since, _, rules in altered]
        for record in self._came("clicks", age, partition):
            while given and given[0].position <= record._offset:
                self._check_clustered(given.pop(0), model, clicks)
            while clicks and clicks[0][0] <= record._offset:
                model.cut(clicks.pop(0)[1])
            model.take(_click(record))
        for each in given:
            self._check_clustered(each, model, clicks)
        for _, rules in clicks:
            model.cut(rules)
        self._follow_candidates(age, partition, model)

    def _follow_candidates(self, age: int, partition: int, model: Model) -> None:
        altered = self.past.altered.get(partition, [])
        candidates = [(since, rules) for _, since, rules in altered]
        for record in self._came("candidates", age, partition):
            while candidates and candidates[0][0] <= record._offset:
                model.follow(candidates.pop(0)[1])
            model.say(_listing(record))
        for _, rules in candidates:
            model.follow(rules)

    def _came(self, kind: str, age: int, partition: int) -> list[Record]:
        """The good messages that came to a partition while there were so many, or to its store since it was lost."""
        if self.past.breaks:
            return self._came_of_broken(kind, age, partition)
        lost = [each for each in self.past.lost if each.partition == partition and each.age >= age]
        later = [each for each in lost if each.age > age]
        known = later[0].before[kind] if later else self._all(kind, partition)
        before = self.ends[age - 1][kind] if age else []
        anew = lost[:1] != later[:1] or partition >= len(before)
        first = 0 if anew else before[partition]
        end = self.ends[age][kind][partition] if age < len(self.ends) else 10**9
        there = [record for record in known if first <= record._offset < end]
        return [record for record in there if (kind, partition, record._offset) not in self.bad]

    def _came_of_broken(self, kind: str, age: int, partition: int) -> list[Record]:
        """The same where a topic was made anew, or has lost messages: each time begins with that, then."""
        breaks = [each for each in self.past.breaks if each.kind == kind]
        first = breaks[age - 1].starts[partition] if age else 0
        if age < len(breaks):
            return [record for record in breaks[age].before[partition] if record._offset >= first]
        return [record for record in self._good(kind, partition) if record._offset >= first]

    def _check_clustered(self, given: Clustered, model: Model, altered: list[tuple[int, Rules]]) -> None:
        """Whether a set that was clustered is that of its window's end, before or after settings were altered there."""
        expected = [model.seeds(given.item, given.until, given.most)]
        if given.seeds != expected[0]:
            model = deepcopy(model)
            for rules in (rules for since, rules in altered if since <= given.position):
                model.cut(rules)
                expected.append(model.seeds(given.item, given.until, given.most))
        if given.seeds not in expected:
            self.outcome.wrong.append(f"{given} was clustered, not {expected[-1]}")

    def check(self, process: Process) -> tuple[dict[str, list[float]], set[str]]:
        wrong, expected, served = self.outcome.wrong, dict[str, list[float]](), set[str]()
        for part, model in zip(process.parts, self._models(), strict=True):
            self.outcome.count("clicks", len(self._good("clicks", part.number)))
            self._check_store(part, model)
            now = process.last_idle.get(part.number, 0)
            mine = {item for item in model.items() if home(item, len(process.parts)) == part.number}
            served |= {item for item in mine if model.is_served(item, model.reached(now))}
            expected |= {item: digest(seeds).tolist() for item, seeds in model.index(now).items() if item in mine}
        self.outcome.count("items served", len(expected))
        self._check_answers()
        begun = {("requests", partition): offset for partition, offset in self.past.begun.items()}
        bad = {place for place in self.bad if place[2] >= begun.get(place[:2], 0)}
        lettered = {source_of(r) for r in self.world.topics["dead_letters"].logs[0] if r is not None}
        gone = {place for place in bad - lettered if self._is_gone(*place)}
        if lettered - bad or bad - lettered - gone:
            wrong.append(f"dead letters of {sorted(lettered - bad)}, none of {sorted(bad - lettered)}")
        self.outcome.count("dead letters", len(lettered))
        return expected, served

    def _is_gone(self, kind: str, partition: int, offset: int) -> bool:
        """Whether a message may have been compacted away, or have expired, before it was read."""
        return kind == "candidates" or offset < self.world.topics[kind].first.get(partition, 0)

    def _check_store(self, part: Part, model: Model) -> None:
        """Whether a store holds what its topics say, all of it, and nothing is left to be done."""
        wrong, store = self.outcome.wrong, part.store
        stored = {item: store.seeds(item) for item, _ in store.items()}
        found = {item: dict(zip(s.users.tolist(), s.times.tolist(), strict=True)) for item, s in stored.items()}
        wanted = {item: model.seeds(item) for item in model.items()}
        for item in sorted(found.keys() | wanted.keys()):
            if found.get(item) != wanted.get(item):
                wrong.append(f"seeds of {item}: {found.get(item)}, not {wanted.get(item)}")
        ends = tuple(len(self.world.topics[kind].logs[part.number]) for kind in ("clicks", "candidates"))
        meta = store.meta
        if (meta.position, meta.resume, meta.candidates, meta.resume_candidates) != (*ends[:1] * 2, *ends[1:] * 2):
            wrong.append(f"partition {part.number} ends at {ends}, and its store says {meta}")
        if store.unacked_tombstones():
            wrong.append(f"tombstones of {store.unacked_tombstones()} are not acknowledged")

    def _check_answers(self) -> None:
        """Whether each good request has an answer, and nothing else has, and the group has come to the end."""
        answered = {record._value for record in self.world.topics["scores"].logs[0] if record is not None}
        asked = set[bytes]()
        for partition, log in enumerate(self.world.topics["requests"].logs):
            good = [r for r in self._good("requests", partition) if r._offset >= self.past.begun.get(partition, 0)]
            asked |= {json.loads(record._value or b"")["request_id"].encode() for record in good}
            committed, _ = self.world.committed["requests", partition]
            if committed != len(log):
                self.outcome.wrong.append(f"of the requests [{partition}] {committed} of {len(log)} are committed")
        self.outcome.count("requests", len(asked))
        more = answered - asked - self.past.answered
        if asked - answered or more:
            self.outcome.wrong.append(f"no answer to {sorted(asked - answered)}, answers {sorted(more)}")


def check_scorers(scorers: dict[str, Scorer], expected: dict[str, list[float]], wrong: list[str]) -> None:
    """Whether what can be scored is what it must be, whoever has read the centroids topic."""
    for who, scorer in scorers.items():
        scorer.read()
        found = scorer.index()
        for item in sorted(found.keys() | expected.keys()):
            if found.get(item) != expected.get(item):
                wrong.append(f"{who} has {found.get(item)} of {item}, not {expected.get(item)}")


def check_older_models(world: World, older: list[str], served: set[str], wrong: list[str]) -> None:
    """Of the models before this one the newest is kept, as far as its items are served; the others are gone."""
    found = dict[str, list[str]]()
    for model in older:
        scorer = Scorer(world, model)
        scorer.read()
        for item in scorer.index():
            found.setdefault(item, []).append(model)
    for item, models in found.items():
        if len(models) > 1 or item not in served:
            wrong.append(f"centroids of {item} are left of {models}")


def _click(record: Record) -> Click:
    said = json.loads(record._value or b"")
    return Click(record._at, said["item_id"], KEYS[said["user_id"]], said["ts"])


def _listing(record: Record) -> Listing:
    said = {"retired": True} if record._value is None else json.loads(record._value)
    return Listing((record._key or b"").decode(), said.get("retired", False), said.get("expires_at"), record._offset)


def source_of(record: Record) -> tuple[str, int, int]:
    """Of which message a dead letter is: topic, partition and offset."""
    said = {name: (value or b"").decode() if isinstance(value, bytes) else value for name, value in record._headers}
    return str(said["topic"]), int(str(said["partition"])), int(str(said["offset"]))
