"""Runs a dataflow as a process: what must be true before it starts, how it stops, and what it exits with."""

import fcntl
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from flows import look_alike, scores, seeds
from flows.config.rules import check_clusters
from flows.config.settings import Settings
from flows.engine.failures import first_failure
from flows.engine.launch import set_engine_api
from flows.recovery.recovery_files import open_state_dir
from flows.runtime import Runtime
from flows.support.errors import ConfigError, FlowFailedError, RalmError, StoppedError
from flows.support.logs import get_logger
from flows.support.signals import StopFlag, watch_for_signals
from monitoring import metrics
from monitoring.health import Health
from monitoring.health_server import HealthServer, serve
from state.bundle.bundle import Bundle, BundleError
from state.owner_lock import OwnedElsewhereError, OwnerLock
from state.store.seed_store import StoreError

log = get_logger(__name__)

_DISK = (
    "Look for a full or failing disk under {recovery}; once it is mended, start again: nothing is lost. If a file "
    "there is damaged, restore the state directory (stores and recovery together) from a backup, or move it away as "
    "a whole: the seed sets are then rebuilt from the topic of clicks as far back as it is kept."
)


@dataclass(frozen=True)
class FlowSpec:
    """A dataflow that can be run: how it is wired, what must hold before it is ready, whether it makes centroids."""

    wire: Callable[[Runtime], Dataflow]
    conditions: tuple[str, ...]
    clusters: bool = True


FLOWS = {
    "look-alike": FlowSpec(look_alike.look_alike, look_alike.CONDITIONS),
    "seeds": FlowSpec(seeds.seeds, seeds.CONDITIONS),
    "scores": FlowSpec(scores.scores, scores.CONDITIONS, clusters=False),
}


def run_flow(name: str, settings: Settings, version: str) -> None:
    """Run a dataflow until it is told to stop, then drain it.

    SIGTERM and SIGINT stop the sources; what was read is finished, delivered and snapshotted.

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
    _stop_on_signals(stopping, health, spec.conditions)
    bundle = Bundle.open(Path(settings.bundle))
    if spec.clusters:
        check_clusters(settings, bundle.towers.dim)
    health.set("bundle", True)
    metrics.BUILD_INFO.labels(version, bundle.version, name).set(1)
    with ExitStack() as stack:
        try:
            stack.enter_context(OwnerLock(Path(settings.state_dir), settings.process_id, name))
        except OwnedElsewhereError as error:
            raise RalmError(str(error)) from error
        known = open_state_dir(Path(settings.state_dir), name)
        port = settings.metrics_port and settings.metrics_port + settings.process_id
        server = stack.enter_context(closing(_serve(health, settings.metrics_host, port)))
        runtime = stack.enter_context(closing(Runtime(settings, bundle, health, known, stopping)))
        if settings.addresses:
            watch_for_signals(lambda: runtime.begun)
        if stopping.is_set():
            log.info("stopped before it had begun: nothing was read", flow=name)
            return
        log.info("starting", flow=name, model_version=bundle.version, metrics=f"{settings.metrics_host}:{server.port}")
        _run(spec.wire(runtime), settings, name)
    log.info("drained", flow=name)


def _serve(health: Health, host: str, port: int) -> HealthServer:
    try:
        return serve(health, host, port)
    except OSError as error:
        raise ConfigError(str(error)) from error


def _run(flow: Dataflow, settings: Settings, name: str) -> None:
    addresses = [address.strip() for address in settings.addresses.split(",") if address.strip()]
    recovery = Path(settings.state_dir) / "recovery" / name
    set_engine_api(settings)
    try:
        _prepare_recovery(recovery, settings.recovery_partitions)
        cli_main(
            flow,
            workers_per_process=settings.workers,
            process_id=settings.process_id if addresses else None,
            addresses=addresses or None,
            epoch_interval=timedelta(milliseconds=settings.snapshot_interval),
            recovery_config=RecoveryConfig(str(recovery)),
        )
    except BaseException as error:
        known = _known_cause(error) or _known_cause(first_failure()) or _engine_cause(error, recovery)
        if known is None:
            raise
        if isinstance(known, StoppedError):
            log.info(str(known))
            return
        raise FlowFailedError(str(known)) from error


def _prepare_recovery(path: Path, partitions: int) -> None:
    """The engine's recovery data; made once, by whichever process of a cluster comes first."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (path.parent / f"{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not any(path.glob("part-*.sqlite3")):
                _make_recovery(path, partitions)
    except OSError as error:
        raise RalmError(f"the recovery data cannot be made: {error}. {_DISK.format(recovery=path)}") from error


def _make_recovery(path: Path, partitions: int) -> None:
    with TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        init_db_dir(folder, partitions)
        # Whole or not at all: a process that is killed meanwhile leaves no half of it.
        Path(folder).rename(path)
        Path(folder).mkdir()


def _known_cause(error: BaseException | None) -> BaseException | None:
    """The engine wraps what a step raised; find the error that was written for people."""
    while error is not None:
        if isinstance(error, RalmError | StoreError | BundleError | StoppedError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _engine_cause(error: BaseException, recovery: Path) -> RalmError | None:
    """What the engine itself could not do, in words; None for a fault of the program."""
    if "SqliteFailure" in str(error):
        return RalmError(f"the engine cannot use its recovery data: {error}. {_DISK.format(recovery=recovery)}")
    if type(error).__name__ == "PanicException" and first_failure() is None:
        # In a cluster a thread of the engine tells nobody why it ended.
        why = "the engine has given up without a reason: another process of the cluster has ended, and its log says why"
        return RalmError(f"{why}; or it could not use its recovery data. {_DISK.format(recovery=recovery)}")
    return None


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
