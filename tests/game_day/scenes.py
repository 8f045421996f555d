"""The scenes: a fault, the alert that must fire, and what else may since the fault is its cause too."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.toys import toy_bundle

from .stage import STRANGERS, USERS, Stage


@dataclass(frozen=True)
class Scene:
    """One fault.

    Attributes:
        what: in a sentence.
        fault: makes it; what goes on is left in ``Stage.moved``.
        alert: the alert that must fire; none where nobody may be woken.
        also: alerts that the same fault causes.
        settings: of the flow.
        users: who clicks and asks.
        start: the processes.
        seconds: how long it may take, of quick time.
        cold: whether the fault is there from the start, before any item is live.
    """

    what: str
    fault: Callable[[Stage], None]
    alert: str | None
    also: frozenset[str] = frozenset()
    settings: dict[str, Any] = field(default_factory=dict)
    users: list[str] = field(default_factory=lambda: USERS)
    start: tuple[str, ...] = ("look-alike",)
    seconds: float = 150.0
    cold: bool = False


def _nothing(_: Stage) -> None:
    """It has been so from the start."""


def _kill(stage: Stage) -> None:
    stage.flows["look-alike"].kill()


def _pause(stage: Stage) -> None:
    stage.flows["look-alike"].send(signal.SIGSTOP)


def _again(stage: Stage, number: signal.Signals) -> None:
    # A start takes as long as ever while the rules are quick: in their time requests would wait for minutes.
    stage.asking = False
    for _ in range(4):
        flow = stage.flows["look-alike"]
        flow.send(number)
        flow.stop()
        stage.start("look-alike", state_dir=str(stage.folder / "state-0"))
        stage.play(3)


def _crashes(stage: Stage) -> None:
    _again(stage, signal.SIGKILL)


def _releases(stage: Stage) -> None:
    _again(stage, signal.SIGTERM)


def _broker_away(stage: Stage) -> None:
    stage.broker.stop()


def _bad_messages(stage: Stage) -> None:
    stage.bad = 3


def _stutter(stage: Stage) -> None:
    """It stands still for most of the time, a second and a half at a time."""
    flow, began = stage.flows["look-alike"], time.monotonic()

    def move() -> None:
        stands = (time.monotonic() - began) % 2.4 < 1.8
        flow.send(signal.SIGSTOP if stands else signal.SIGCONT)

    stage.moved = move


def _other_bundle(stage: Stage) -> None:
    toy_bundle(stage.folder / "other", USERS, dim=16, scale=0.3, rng_seed=9)
    port = stage.flows["scores"].server.port
    stage.flows["scores"].drain()
    folder = stage.folder
    stage.start("scores", metrics_port=port, state_dir=str(folder / "state-1"), bundle=str(folder / "other"))


SCENES = {
    "kill": Scene("the process is killed and does not come back", _kill, "RalmFlowDown"),
    "pause": Scene("the process stands still", _pause, "RalmFlowDown"),
    "crashes": Scene("the process crashes again and again", _crashes, "RalmRestarting"),
    "releases": Scene("four releases one after another, each drained", _releases, None, seconds=30.0),
    "broker": Scene(
        "the broker is away",
        _broker_away,
        "RalmKafkaErrors",
        frozenset({"RalmSnapshotStale", "RalmNotReady", "RalmWriteErrors"}),
    ),
    "cold": Scene("no item has enough seeds", _nothing, "RalmAnswersNotOk", settings={"min_seeds": 1000}, cold=True),
    "strangers": Scene("all who click and ask are unknown", _nothing, "RalmUsersUnknown", users=STRANGERS, cold=True),
    "letters": Scene("many clicks cannot be used", _bad_messages, "RalmDeadLetters"),
    "brake": Scene(
        "so many that they are not read any more",
        _bad_messages,
        "RalmDeadLetterBrake",
        frozenset({"RalmDeadLetters", "RalmNotReady", "RalmLagging"}),
        settings={"dead_letter_max_ratio": 0.05, "dead_letter_min_sample": 300},
    ),
    "slow": Scene("it stands still for most of each second", _stutter, "RalmScoresSlow"),
    "bundle": Scene(
        "the scorer was given another bundle than the seed side",
        _other_bundle,
        "RalmCentroidsStale",
        frozenset({"RalmAnswersNotOk"}),
        start=("seeds", "scores"),
    ),
}
