"""Plans a run from its ``rng_seed``, makes the faults round by round, and counts."""

import shutil
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from flows.kafka.embedded_broker import EmbeddedBroker

from . import damage, disk, faults, wall_clock  # noqa: F401 (they register their faults)
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
    servers: str = ""


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
    tally, started = Tally(), time.monotonic()
    order = _order(plan, tally)
    with _broker(plan, folder) as broker:
        world = World.make(folder, broker, f"f{uuid4().hex[:8]}." if plan.servers else "", plan.rng_seed)
        done = rounds = 0
        while done < len(order) and not _late(plan, started):
            rounds += 1
            done = _round(plan, world, tally, order, done, rounds, told, started)
    tally.seconds = round(time.monotonic() - started, 1)
    told("done", done, len(order), tally)
    if not tally.wrong and not plan.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return tally, folder


def _broker(plan: Plan, folder: Path) -> AbstractContextManager[Any]:
    if plan.servers:
        return nullcontext(SimpleNamespace(bootstrap_servers=plan.servers))
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
        scene.start(rng.choice([1, 2]))
        scene.settle()
        for name in order[done : done + _ROUND]:
            if _late(plan, started):
                break
            told(name, done, len(order), tally)
            scene.fault, done = name, done + 1
            tally.faults[name] = tally.faults.get(name, 0) + 1
            before = tally.wrong
            REGISTRY[name].strike(scene)
            if tally.wrong > before:
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
