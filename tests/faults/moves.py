"""``python -m tests.faults.moves``: kills the move of items between stores at each of its steps, and compares.

State directories of a topic that has grown, has grown twice, or was made anew with fewer partitions: a process brings
the items home and kills itself (SIGKILL) at one step. What the stores hold together must then be what they held before;
and once others have gone on, killed again or not, each store must be what it is where nobody was killed.
"""

import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import click
import numpy as np
import structlog

from flows.seed_sets import repartition
from flows.seed_sets.keeper_state import OpenWork
from flows.seed_sets.partitioners import crc32
from flows.seed_sets.repartition import SetRules
from flows.support.progress import bars
from ralm.seed_set import SeedSet, WindowClicks
from state.directory import note_begun, store_paths, write_format
from state.store.meta import TopicMark
from state.store.seed_store import CandidateEntry, Changes, ItemRecord, NothingWrittenError, SeedStore

from .die_at_step import arm

TOPIC, RULES = "clicks", SetRules(50)
ITEMS = 60
_IN_MEMORY = Path("/dev/shm")
"""A process that is killed loses nothing there, and a sync takes no time."""
CLOSED = 10_000
"""Windows until here are closed, ms."""


class Change(NamedTuple):
    """How the topic has changed: its partitions at each time, and now."""

    counts: tuple[int, ...]
    now: int


class Work(NamedTuple):
    """What is still to be done of a partition."""

    newest: int | None
    closed: int
    heard: int | None
    dirty: set[tuple[str, int, int]]
    pending: dict[str, int]
    dropped_until: int


CHANGES = {"grown": Change((3,), 5), "grown twice": Change((2, 3), 6), "fewer": Change((4,), 2)}
Held = dict[str, Any]


def make_state(state: Path, change: Change, rng: Random) -> None:
    """Write stores as a flow leaves them that was killed: with open windows, and with work that is not done."""
    names = [f"item-{number}" for number in range(ITEMS)]
    homes = {name: [crc32(name.encode(), count) for count in change.counts] for name in names}
    for partition in range(max(change.counts)):
        mine = [name for name in names if partition in homes[name]]
        changes = Changes(
            seeds=[(name, _seeds(rng, 0, CLOSED)) for name in mine],
            windows=[
                (name, WindowClicks(end, end, end - 900, _seeds(rng, end - 900, end)))
                for name in mine
                for end in rng.sample(range(CLOSED - 1000, CLOSED + 4000, 1000), 2)
            ],
            items={name: ItemRecord(rng.randrange(CLOSED), 9, rng.choice([0, 8000, 9000])) for name in mine},
            candidates={name: CandidateEntry(rng.choice([0, 20_000]), rng.randrange(90)) for name in mine[::3]},
            centroids={name: name.encode() for name in mine[::2]},
        )
        with closing(_open(state / "seeds" / f"{partition:05d}", partition)) as store:
            store.write(changes, position=100, resume=90, model_version="m", clicks_mark=TopicMark("", 3, 1000))
            gone = mine[1::4]
            records = {name: replace(changes.items[name], withdrawn=True) for name in gone}
            dirty, ends = mine[::2], np.full(len(mine[::2]), CLOSED)
            work = OpenWork(CLOSED + 500, CLOSED, 11_000, (dirty, ends, ends), dict.fromkeys(mine[::5], CLOSED), 7000)
            more: dict[str, Any] = {"candidates": 95, "resume_candidates": 80, "older_versions": ("l",)}
            store.write(Changes(items=records, withdrawn=gone), position=120, work=work.encode(), **more)
    write_format(state, partitions=sorted(change.counts))
    note_begun(state, "clicks", range(max(change.counts)))


def _seeds(rng: Random, first: int, end: int) -> SeedSet:
    users = sorted(rng.sample(range(200), rng.randrange(1, 30)))
    return SeedSet(np.array(users, np.uint64), np.array([rng.randrange(first, end) for _ in users]))


def _open(path: Path, partition: int) -> SeedStore:
    return SeedStore.open(path, topic=TOPIC, partition=partition, capacity=RULES.capacity)


def read(state: Path) -> dict[int, Held]:
    """All that each store says, but for how many batches it was written in."""
    found = {}
    for partition, path in store_paths(state).items():
        try:
            with closing(SeedStore.inspect(path, RULES.capacity)) as store:
                found[partition] = _held(store)
        except NothingWrittenError:
            continue
    return found


def _held(store: SeedStore) -> Held:
    work = OpenWork.of(store)
    known = None
    if work is not None:
        dirty = {*zip(work.dirty[0], work.dirty[1].tolist(), work.dirty[2].tolist(), strict=True)}
        known = Work(work.newest, work.closed, work.heard, dirty, work.pending, work.dropped_until)
    meta = store.meta
    return {
        "records": dict(store.items()),
        "seeds": {name: _plain(store.seeds(name)) for name, _ in store.items()},
        "closed": {name: _plain(store.seeds(name, CLOSED)) for name, _ in store.items()},
        "centroids": {name: store.centroids(name) for name, _ in store.items()},
        "candidates": dict(store.candidates()),
        "tombstones": {*store.unacked_tombstones()},
        "work": known,
        "models": {meta.model_version, *meta.older_versions},
        "offsets": (meta.position, meta.resume, meta.candidates, meta.resume_candidates, meta.clicks_mark),
    }


def _plain(seeds: SeedSet) -> dict[int, int]:
    return dict(zip(seeds.users.tolist(), seeds.times.tolist(), strict=True))


def together(held: dict[int, Held]) -> Held:
    """What stores hold together: each item's seed set, and which items are listed and have a tombstone to be sent."""
    seeds: dict[str, dict[int, int]] = {}
    for each in held.values():
        for name, found in each["seeds"].items():
            known = seeds.setdefault(name, {})
            for user, time in found.items():
                known[user] = max(time, known.get(user, 0))
    for name, known in seeds.items():
        newest = sorted(known.items(), key=lambda seed: (seed[1], seed[0]), reverse=True)
        seeds[name] = dict(newest[: RULES.capacity])
    listed = {name for each in held.values() for name in each["candidates"]}
    tombstones = {name for each in held.values() for name in each["tombstones"]}
    return {"seeds": seeds, "listed": listed, "tombstones": tombstones}


def differences(right: Any, found: Any, where: str = "") -> Iterator[str]:
    """Where two things differ."""
    if isinstance(right, dict) and isinstance(found, dict):
        for key in sorted(right.keys() | found.keys(), key=str):
            yield from differences(right.get(key), found.get(key), f"{where}/{key}")
    elif not _is_as(right, found):
        yield f"{where}: {right} expected, {found} found"


def _is_as(right: Any, found: Any) -> bool:
    """Whether two things are equal; a move that was cut off may say later ends, and be less sure of what was said."""
    if isinstance(right, ItemRecord) and isinstance(found, ItemRecord):
        more = found.emitted >= right.emitted and found.unsure >= right.unsure
        return more and replace(found, emitted=right.emitted, unsure=right.unsure) == right
    if isinstance(right, Work) and isinstance(found, Work):
        return found.dropped_until >= right.dropped_until and found[:-1] == right[:-1]
    return bool(right == found)


class FailedError(Exception):
    """What is wrong."""


def forked(work: Callable[[], Any]) -> int:
    """Do something in a process of its own, since RocksDB's threads do not survive a fork; how it ended."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except FailedError as error:
            print(error, file=sys.stderr, flush=True)  # noqa: T201 (of a command)
        finally:
            if sys.exc_info()[0] not in (None, FailedError):
                sys.excepthook(*sys.exc_info())
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def bring_home(state: Path, change: Change, fatal: int = 0) -> bool:
    """Bring the items home in a process; whether it got to the end, and was not killed at a step."""

    def work() -> None:
        arm(fatal)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
        repartition.follow_partitions(state, TOPIC, change.now, RULES, "crc32")

    code = forked(work)
    if code not in (0, -signal.SIGKILL):
        msg = f"bringing items home ended with {code}, killed at step {fatal}"
        raise FailedError(msg)
    return code == 0


def kill_at_each_step(folder: Path, change: Change, rng_seed: int, every: int, told: Callable[[int], None]) -> int:
    """Kill it at each step, or at every n-th; how many processes were killed.

    Raises:
        FailedError: when something is lost, or not as it is where nobody is killed.
    """
    begun, done, state = folder / "begun", folder / "done", folder / "state"
    if forked(lambda: make_state(begun, change, Random(rng_seed))):
        msg = "the stores cannot be made"
        raise FailedError(msg)
    shutil.copytree(begun, done)
    bring_home(done, change)
    rng, kills, step = Random(rng_seed), 0, 1 + rng_seed % every
    while True:
        shutil.rmtree(state, ignore_errors=True)
        shutil.copytree(begun, state)
        if bring_home(state, change, step):
            shutil.rmtree(folder)
            return kills
        kills += 1
        where = f"killed at step {step}"
        _compare(state, begun, where, lambda path: together(read(path)))
        for _ in range(rng.choice([0, 0, 1, 2])):
            again = rng.randrange(1, 30)
            where += f", then {again}"
            kills += not bring_home(state, change, again)
        bring_home(state, change)
        _compare(state, done, where, read)
        step += every
        told(kills)


def _compare(state: Path, right: Path, where: str, of: Callable[[Path], Any]) -> None:
    def work() -> None:
        wrong = list(differences(of(right), of(state)))
        if wrong:
            raise FailedError("\n".join([where, *wrong[:20]]))

    if forked(work):
        msg = f"{where}: it is not as it must be; kept: {state}"
        raise FailedError(msg)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rng-seed", type=click.IntRange(0), default=0, show_default=True, help="fixes what the stores hold")
@click.option("--every", type=click.IntRange(1), default=1, show_default=True, help="only every n-th step")
@click.option("--change", type=click.Choice(list(CHANGES)), multiple=True, help="how the topic has changed; all")
def main(rng_seed: int, every: int, change: tuple[str, ...]) -> None:
    """Kill the move of items between stores at each of its steps."""
    counts = []
    with bars() as progress:
        for name in change or CHANGES:
            task = progress.add_task(name, total=None)
            folder = Path(tempfile.mkdtemp(prefix="ralm-moves-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None))
            try:
                kills = kill_at_each_step(
                    folder,
                    CHANGES[name],
                    rng_seed,
                    every,
                    lambda n, task=task: progress.update(task, note=f"kills {n}"),
                )
            except FailedError as error:
                click.echo(f"{name}: {error}", err=True)
                sys.exit(1)
            counts.append(f"{name} {kills}")
    click.echo(f"kills: {', '.join(counts)}; wrong 0")


if __name__ == "__main__":
    main()
