"""Runs a dataflow as a process: what must be true before it starts, how it stops, and what it exits with."""

import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from flows import look_alike, scores, seeds
from flows.config.settings import Settings
from flows.engine.launch import Dataflow, launch
from flows.messages.brake import RELEASE_SIGNAL, DeadLetterBrake
from flows.messages.codec import MAX_VALUE_BYTES, most_clusters
from flows.messages.rejects import REASONS
from flows.recovery.recovery_files import open_state_dir
from flows.runtime import Runtime, ScoreSide, SeedSide, score_side, seed_side
from flows.support.errors import ConfigError, RalmError
from flows.support.logs import get_logger
from flows.support.signals import StopFlag, watch_for_signals
from monitoring import metrics
from monitoring.health import Health
from monitoring.health_server import HealthServer, serve
from state.bundle.bundle import Bundle
from state.owner_lock import OwnedElsewhereError, OwnerLock

log = get_logger(__name__)


@dataclass(frozen=True)
class FlowSpec:
    """A dataflow that can be run.

    Attributes:
        wire: the diagram; takes the built sides.
        sides: build the parts.
        conditions: what must hold before it is ready.
    """

    wire: Callable[..., Dataflow]
    sides: tuple[Callable[[Runtime], SeedSide | ScoreSide], ...]
    conditions: tuple[str, ...]


FLOWS = {
    "look-alike": FlowSpec(look_alike.look_alike, (seed_side, score_side), look_alike.CONDITIONS),
    "seeds": FlowSpec(seeds.seeds, (seed_side,), seeds.CONDITIONS),
    "scores": FlowSpec(scores.scores, (score_side,), scores.CONDITIONS),
}


def run_flow(name: str, settings: Settings, version: str) -> None:
    """Run a dataflow until it is told to stop, then drain it.

    SIGTERM and SIGINT stop the sources; what was read is finished, delivered and snapshotted. SIGUSR1 releases the
    brakes on dead letters.

    Args:
        name: a key of ``FLOWS``.
        settings: the settings.
        version: of this program, for the metrics.

    Raises:
        BundleError: when there is no good bundle; nothing has been touched then.
        ConfigError: when the metrics port cannot be had, or an item's centroids might not fit into a message.
        RalmError: when the flow cannot go on; the message says what to do.
    """
    spec = FLOWS[name]
    health, stopping = Health(spec.conditions), StopFlag()
    brakes: dict[str, DeadLetterBrake] = {}
    _stop_on_signals(stopping, health, spec.conditions)
    _release_on_signal(brakes)
    bundle = Bundle.open(Path(settings.bundle))
    if seed_side in spec.sides:
        check_clusters(settings, bundle.towers.dim)
    health.set("bundle", True)
    metrics.declare(reasons=REASONS)
    metrics.BUILD_INFO.labels(version, bundle.version, name).set(1)
    with ExitStack() as stack:
        try:
            stack.enter_context(OwnerLock(Path(settings.state_dir), settings.process_id, name))
        except OwnedElsewhereError as error:
            raise RalmError(str(error)) from error
        known = open_state_dir(Path(settings.state_dir), name)
        port = settings.metrics_port and settings.metrics_port + settings.process_id
        server = stack.enter_context(closing(_serve(health, settings.metrics_host, port)))
        runtime = Runtime(settings, bundle, health, known, stopping, brakes=brakes)
        if settings.addresses:
            watch_for_signals(runtime.begun.is_set)
        if stopping.is_set():
            log.info("stopped before it had begun: nothing was read", flow=name)
            return
        log.info("starting", flow=name, model_version=bundle.version, metrics=f"{settings.metrics_host}:{server.port}")
        sides = [stack.enter_context(closing(build(runtime))) for build in spec.sides]
        launch(spec.wire(*sides), settings, name)
    log.info("drained", flow=name)


def check_clusters(s: Settings, dim: int) -> None:
    """See that an item's centroids fit into a message, once a bundle has said how many numbers (``dim``) a vector has.

    Raises:
        ConfigError: when they do not.
    """
    most = most_clusters(dim)
    if s.clusters > most:
        msg = (
            f"clusters = {s.clusters} with the bundle's vectors of {dim} numbers could make messages of centroids that "
            f"are longer than {MAX_VALUE_BYTES} bytes, which no broker would take: set clusters to {most} or fewer"
            if most
            else f"a bundle whose vectors have {dim} numbers cannot be served, since not even one centroid fits into a "
            f"message of {MAX_VALUE_BYTES} bytes: train with a smaller dim"
        )
        raise ConfigError(msg)


def _serve(health: Health, host: str, port: int) -> HealthServer:
    try:
        return serve(health, host, port)
    except OSError as error:
        raise ConfigError(str(error)) from error


def _stop_on_signals(stopping: StopFlag, health: Health, conditions: tuple[str, ...]) -> None:
    def stop(number: int, _: FrameType | None) -> None:
        stopping.set(number)  # and no more: the thread that is interrupted may hold any lock

    def tell() -> None:
        log.info("stopping", signal=signal.Signals(stopping.wait()).name)
        for condition in conditions:
            if condition.startswith("polling"):
                health.set(condition, False, "draining")

    threading.Thread(target=tell, name="stopping", daemon=True).start()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _release_on_signal(brakes: dict[str, DeadLetterBrake]) -> None:
    def release(_: int, __: FrameType | None) -> None:
        for brake in list(brakes.values()):
            brake.release()

    signal.signal(signal.Signals[RELEASE_SIGNAL], release)
