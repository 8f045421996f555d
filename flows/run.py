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
from flows.kafka.config import consumer_config
from flows.kafka.topic_marks import TopicMarks
from flows.kafka.topic_watch import BrokerAsker, TopicWatch
from flows.kafka.topics import TopicNames
from flows.messages.brake import RELEASE_SIGNAL, DeadLetterBrake
from flows.messages.rejects import REASONS
from flows.preflight.findings import Verdict
from flows.preflight.preflight import look
from flows.preflight.topics import TopicUse
from flows.runtime import Runtime, ScoreSide, SeedSide, score_side, seed_side
from flows.seed_sets.state_facts import open_state_dir
from flows.support import ends
from flows.support.drain_count import DrainCount
from flows.support.errors import ConfigError, RalmError
from flows.support.last_start import LastStart
from flows.support.logs import get_logger
from flows.support.signals import StopFlag, stop_at_signals, watch_for_signals
from monitoring import metrics
from monitoring.address import host_port
from monitoring.health import Health
from monitoring.health_server import HealthServer, serve
from monitoring.status import Facts, StatusReport
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
        topics: those that it reads and writes.
    """

    wire: Callable[..., Dataflow]
    sides: tuple[Callable[[Runtime], SeedSide | ScoreSide], ...]
    conditions: tuple[str, ...]
    topics: TopicUse


FLOWS = {
    "look-alike": FlowSpec(
        look_alike.look_alike,
        (seed_side, score_side),
        look_alike.CONDITIONS,
        TopicUse(("clicks", "candidates", "requests", "centroids"), ("centroids", "scores", "dead_letters")),
    ),
    "seeds": FlowSpec(
        seeds.seeds, (seed_side,), seeds.CONDITIONS, TopicUse(("clicks", "candidates"), ("centroids", "dead_letters"))
    ),
    "scores": FlowSpec(
        scores.scores, (score_side,), scores.CONDITIONS, TopicUse(("requests", "centroids"), ("scores", "dead_letters"))
    ),
}


def run_flow(name: str, settings: Settings, version: str) -> None:
    """Run a dataflow until it is to stop, then drain it.

    SIGTERM, SIGINT and SIGHUP stop the sources; what was read is finished, delivered and snapshotted. SIGUSR1
    releases the brakes on dead letters.

    Args:
        name: a key of ``FLOWS``.
        settings: the settings.
        version: of this program, for the metrics.

    Raises:
        ConfigError: when something must be changed before it can start: bundle, topics, rights, port; nothing has been
            touched then.
        RalmError: when it cannot start or go on otherwise; the message says what to do.
    """
    spec = FLOWS[name]
    health, stopping = Health(spec.conditions), StopFlag()
    brakes: dict[str, DeadLetterBrake] = {}
    _stop_on_signals(stopping, health, spec.conditions)
    _release_on_signal(brakes)
    bundle = _looked_over(name, settings, stopping)
    if bundle is None:
        return
    health.set("bundle", True)
    metrics.declare(reasons=REASONS)
    metrics.BUILD_INFO.labels(version, bundle.version, name).set(1)
    with ExitStack() as stack:
        try:
            stack.enter_context(OwnerLock(Path(settings.state_dir), settings.process_id, name))
        except OwnedElsewhereError as error:
            raise RalmError(str(error)) from error
        open_state_dir(Path(settings.state_dir))
        drains = DrainCount(Path(settings.state_dir), settings.process_id)
        last_start = LastStart(Path(settings.state_dir), settings.process_id)
        stack.callback(last_start.ended)
        ends.once = last_start.crashed
        port = settings.metrics_port and settings.metrics_port + settings.process_id
        status = StatusReport(health, _facts(name, settings, bundle, version))
        server = stack.enter_context(closing(_serve(health, settings.metrics_host, port, status)))
        begun = threading.Event()
        if settings.addresses:
            watch_for_signals(begun.is_set)
        if _stopped(stopping, name):
            drains.drained()
            return
        log.info(
            "starting", flow=name, model_version=bundle.version, metrics=host_port(settings.metrics_host, server.port)
        )
        stack.callback(status.start(log.info))
        while True:
            state, marks = open_state_dir(Path(settings.state_dir)), TopicMarks()
            with closing(_watch(spec, settings, health, marks)) as watch:
                runtime = Runtime(
                    settings,
                    bundle,
                    health,
                    state,
                    stopping,
                    begun,
                    brakes=brakes,
                    watch=watch,
                    marks=marks,
                    last_start=last_start,
                )
                _run_once(spec, runtime)
            if stopping.is_set() or not runtime.clock.was_set_back():
                break
            back = f"{runtime.clock.set_back_by:.0f} s"
            log.warning("the wall clock was set back: what was read is processed, and the flow restarts", back=back)
        drains.drained()
    log.info("drained", flow=name)


def _run_once(spec: FlowSpec, runtime: Runtime) -> None:
    """Run the dataflow until its sources end, and all that they led to has settled."""
    with ExitStack() as stack:
        sides = [stack.enter_context(closing(build(runtime))) for build in spec.sides]
        for side in sides:
            side.prepare()
        runtime.watch.start()
        launch(spec.wire(*sides), runtime.settings)
        for side in sides:
            side.settled()


def _looked_over(name: str, settings: Settings, stopping: StopFlag) -> Bundle | None:
    """The bundle, once all that the flow needs was looked at; None when it was to stop meanwhile."""
    report, bundle = look(FLOWS[name].topics, settings, stopped=stopping.is_set)
    if _stopped(stopping, name):
        return None
    report.refuse_problems(name)
    for finding in report.of(Verdict.WARNING):
        log.warning(str(finding))
    unchecked = [finding.what for finding in report.of(Verdict.UNCHECKED)]
    log.info(report.summary(), **({"unchecked": unchecked} if unchecked else {}))
    return bundle


def _stopped(stopping: StopFlag, name: str) -> bool:
    if stopping.is_set():
        log.info("stopped before it had begun: nothing was read", flow=name)
    return stopping.is_set()


def _facts(name: str, settings: Settings, bundle: Bundle, version: str) -> Facts:
    """What the status page says that does not change."""
    topics = FLOWS[name].topics
    return Facts(
        flow=name,
        version=version,
        topics={kind: getattr(TopicNames.of(settings), kind) for kind in (*topics.reads, *topics.writes)},
        reads=topics.reads,
        writes=topics.writes,
        model={
            "model_version": bundle.version,
            "users": len(bundle.vectors),
            "dimensions": bundle.form.dim,
            "bundle": settings.bundle,
        },
        store={"directory": settings.state_dir},
        window_ms=settings.window,
        min_seeds=settings.min_seeds,
    )


def _watch(spec: FlowSpec, settings: Settings, health: Health, marks: TopicMarks) -> TopicWatch:
    """What watches the flow's topics; what is there now is what is watched."""
    names = TopicNames.of(settings)

    def tell(ok: bool, why: str) -> None:
        health.set("topics", ok, why)

    watch = TopicWatch(
        {kind: getattr(names, kind) for kind in spec.topics.all},
        read=frozenset(spec.topics.reads) - {"centroids"},
        kept=frozenset((*spec.topics.reads, "centroids")),
        asker=BrokerAsker(consumer_config(settings), marks),
        tell=tell,
        whole=frozenset(spec.topics.writes) & {"centroids"},
    )
    watch.begin()
    return watch


def _serve(health: Health, host: str, port: int, status: StatusReport) -> HealthServer:
    try:
        return serve(health, host, port, status=status)
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
    stop_at_signals(stop)


def _release_on_signal(brakes: dict[str, DeadLetterBrake]) -> None:
    def release(_: int, __: FrameType | None) -> None:
        for brake in list(brakes.values()):
            brake.release()

    signal.signal(signal.Signals[RELEASE_SIGNAL], release)
