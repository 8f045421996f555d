"""Plans a run from its ``rng_seed``, makes the faults round by round, and counts."""

import json
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from flows.kafka.embedded_broker import EmbeddedBroker
from tests.brokers.apache_kafka import ApacheKafka
from tests.brokers.choice import EMBEDDED, KAFKA

from . import append_time, damage, disk, faults, growth, hosts, lost, wall_clock  # noqa: F401 (they register their faults)
from .registry import REGISTRY
from .scene import GaveUpError, Limits, Scene
from .tally import Tally
from .world import World

_ROUND = 8
"""Faults of a round: then topics and state begin anew."""
Told = Callable[[str, int, int, Tally], None]


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Attributes:
        rng_seed: fixes the messages, the faults' order and their moments (not how fast the machine is).
        faults: names of the faults that are made, each ``repeat`` times.
        kills: how many times the fault ``kill`` is made, if it is among them.
        repeat: how many times each other fault is made.
        minutes: no fault is begun after so long; 0 = no limit.
        limits: how long things may take.
        folder: where it all lies; None is a folder of its own under the system's temporary one.
        keep: keep the folder of a good run too.
        broker: ``embedded`` or ``kafka``, of the run's own.
        processes: how many processes a round may have.
        resume: file in which the run keeps how far it has come, and from which it goes on.
        servers: brokers that run already, to be shared with others: no fault of the broker can be made on them. Without
            it the run has an embedded broker of its own.
    """

    rng_seed: int
    faults: tuple[str, ...]
    kills: int = 5
    repeat: int = 1
    minutes: float = 0.0
    limits: Limits = field(default_factory=Limits)
    folder: Path | None = None
    keep: bool = False
    broker: str = EMBEDDED
    processes: tuple[int, ...] = (1, 2)
    resume: Path | None = None
    servers: str = ""

    def key(self) -> dict[str, Any]:
        """What must be the same for a run to be gone on with."""
        limits = (self.limits.settle, self.limits.pause, self.limits.portion)
        what = (self.rng_seed, list(self.faults), self.kills, self.repeat, self.broker, list(self.processes))
        return {"what": list(what), "limits": list(limits)}


def run(plan: Plan, told: Told = lambda *_: None) -> tuple[Tally, Path]:
    """Make the plan's faults.

    Args:
        plan: what to do.
        told: called before each fault with its name, how many are done, how many there are, and the counts so far.

    Returns:
        The counts, and the folder, which is gone if the run was good.
    """
    folder = plan.folder or Path(tempfile.mkdtemp(prefix="ralm-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    tally, done, rounds = _begun(plan)
    order = _order(plan, tally)
    before = tally.seconds
    with _broker(plan, folder) as broker:
        world = World.make(folder, broker, f"f{uuid4().hex[:8]}." if plan.servers else "", plan.rng_seed)
        while done < len(order) and not _late(plan, started):
            rounds += 1
            done = _round(plan, world, tally, order, done, rounds, told, started)
            tally.seconds = round(before + time.monotonic() - started, 1)
            _keep(plan, tally, done, rounds)
    told("done", done, len(order), tally)
    if not tally.wrong and not plan.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return tally, folder


def _begun(plan: Plan) -> tuple[Tally, int, int]:
    """How far a run has come that was cut off: its counts, faults that are done, and rounds.

    Raises:
        ValueError: when the file is of another run.
    """
    if plan.resume is None or not plan.resume.exists():
        return Tally(), 0, 0
    kept = json.loads(plan.resume.read_text())
    if kept["key"] != plan.key():
        msg = f"{plan.resume} is of another run ({kept['key']}): give the same options, or another file"
        raise ValueError(msg)
    return Tally(**kept["tally"]), kept["done"], kept["rounds"]


def _keep(plan: Plan, tally: Tally, done: int, rounds: int) -> None:
    if plan.resume is None:
        return
    plan.resume.parent.mkdir(parents=True, exist_ok=True)
    work = plan.resume.with_suffix(".new")
    kept = {"key": plan.key(), "done": done, "rounds": rounds, "tally": asdict(tally)}
    work.write_text(json.dumps(kept, indent=2) + "\n")
    work.replace(plan.resume)


def _broker(plan: Plan, folder: Path) -> AbstractContextManager[Any]:
    if plan.servers:
        return nullcontext(SimpleNamespace(bootstrap_servers=plan.servers))
    if plan.broker == KAFKA:
        return ApacheKafka(folder / "broker")
    return EmbeddedBroker(folder / "broker")


def _order(plan: Plan, tally: Tally) -> list[str]:
    names: list[str] = []
    for name in plan.faults:
        why = REGISTRY[name].missing()
        if why:
            tally.skipped[name] = why
        else:
            names += [name] * (plan.kills if name == "kill" else plan.repeat)
    Random(f"{plan.rng_seed}/order").shuffle(names)
    return names


def _round(
    plan: Plan, world: World, tally: Tally, order: list[str], done: int, number: int, told: Told, started: float
) -> int:
    """Make faults in a world of their own, until there are enough or something is wrong; how many are done then."""
    rng = Random(f"{plan.rng_seed}/{number}")
    hours = 2 * 3_600_000 * order[done : done + _ROUND].count("backlog")
    scene = Scene(world, f"round-{number:02d}", rng, tally, plan.limits, shift=-hours)
    try:
        scene.portion()
        scene.start(rng.choice(plan.processes))
        scene.settle()
        for name in order[done : done + _ROUND]:
            if _late(plan, started):
                break
            told(name, done, len(order), tally)
            scene.fault, done = name, done + 1
            tally.faults[name] = tally.faults.get(name, 0) + 1
            before = tally.wrong
            REGISTRY[name].strike(scene)
            if tally.wrong > before or scene.over:
                break  # what is wrong would be counted again after each fault
        else:
            scene.fault = "last drain"
            scene.drain()
    except GaveUpError as error:
        scene.problem(str(error))
    except Exception:
        tally.broken += 1
        scene.problem(f"the harness itself failed: {traceback.format_exc()}")
    finally:
        scene.close()
    return done


def _late(plan: Plan, started: float) -> bool:
    return bool(plan.minutes) and time.monotonic() - started > plan.minutes * 60
