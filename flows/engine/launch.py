"""Hands a dataflow to the engine, and finds the reason when it ends: recovery data, the engine's own pages, causes."""

import gc
import os
import shutil
from datetime import timedelta
from pathlib import Path

from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main
from threadpoolctl import threadpool_limits

from flows.config.fields import split_list
from flows.config.rules import ENGINE_API_PORT
from flows.config.settings import Settings
from flows.engine.failures import first_failure
from flows.support.errors import FlowFailedError, RalmError, StoppedError
from flows.support.logs import get_logger
from state.atomic_file import unused_name
from state.bundle.bundle import BundleError
from state.owner_lock import file_lock
from state.store.seed_store import StoreError

__all__ = ["Dataflow", "launch", "set_engine_api"]

log = get_logger(__name__)

ENABLED = "BYTEWAX_DATAFLOW_API_ENABLED"
PORT = "BYTEWAX_DATAFLOW_API_PORT"
CACHE = "BYTEWAX_DATAFLOW_API_CACHE_PATH"
_COLLECTOR = (200_000, 20, 100)
"""Allocations before a young collection, young before a middle one, middle before a full one."""
_DISK = (
    "Look for a full or failing disk under {recovery}; once it is mended, start again: nothing is lost. If a file "
    "there is damaged, restore the state directory (stores and recovery together) from a backup, or move it away as "
    "a whole: the seed sets are then rebuilt from the clicks topic as far back as it is kept."
)


def launch(flow: Dataflow, settings: Settings, name: str) -> None:
    """Run a dataflow until its sources end.

    Raises:
        FlowFailedError: when it cannot go on; the message says what to do.
    """
    addresses = split_list(settings.addresses)
    recovery = Path(settings.state_dir) / "recovery" / name
    set_engine_api(settings)
    try:
        _prepare_recovery(recovery, settings.recovery_partitions)
        _calm_collector()
        # One numeric thread: a second one waits by spinning, and on a busy machine the dataflow waits for it.
        with threadpool_limits(1):
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


def _calm_collector() -> None:
    """Leave what was imported out of the cycle collector, and let it look less often.

    Each message is an object that it counts, so with the usual thresholds it walks over all imports again and again:
    four tenths of the time of taking clicks in, with the interpreter's lock held. Call it once the process is up.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR)


def set_engine_api(settings: Settings) -> None:
    """Put the engine's variables as ``engine_api`` has it; call it before the engine starts.

    The engine opens its pages on every address of the machine, asks nobody who is there, and writes ``dataflow.json``
    into the working folder, as soon as a variable is set to anything, even to 0. Images for the engine set it.
    When it is on, process i gets the port 3030 + i (or the variable's number + i), and ``dataflow.json`` goes into the
    state directory.
    """
    if not settings.engine_api:
        os.environ.pop(ENABLED, None)
        return
    folder = Path(settings.state_dir) / f"engine-{settings.process_id}"
    folder.mkdir(parents=True, exist_ok=True)
    first = os.environ.get(PORT, "")
    os.environ[ENABLED] = "1"
    os.environ[PORT] = str((int(first) if first.isdecimal() else ENGINE_API_PORT) + settings.process_id)
    os.environ[CACHE] = str(folder)


def _prepare_recovery(path: Path, partitions: int) -> None:
    """The engine's recovery data; made once, by whichever process of a cluster comes first."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(path.parent / f"{path.name}.lock"):
            if not any(path.glob("part-*.sqlite3")):
                _make_recovery(path, partitions)
    except OSError as error:
        raise RalmError(f"the recovery data cannot be made: {error}. {_DISK.format(recovery=path)}") from error


def _make_recovery(path: Path, partitions: int) -> None:
    work = unused_name(path)
    work.mkdir()
    try:
        init_db_dir(str(work), partitions)
        # Whole or not at all: a process that is killed meanwhile leaves no half of it.
        work.rename(path)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _known_cause(error: BaseException | None) -> BaseException | None:
    """The engine wraps what a step raised; find the error that was written for people."""
    while error is not None:
        if isinstance(error, RalmError | StoreError | BundleError | StoppedError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _engine_cause(error: BaseException, recovery: Path) -> RalmError | None:
    """What the engine itself could not do; None for a programming error."""
    if "SqliteFailure" in str(error):
        return RalmError(f"the engine cannot use its recovery data: {error}. {_DISK.format(recovery=recovery)}")
    if "failed to initialize networking" in str(error):
        return RalmError(
            f"this process cannot listen at its entry in addresses: {error}. Stop what listens there, or see that the "
            "name server knows it, and start again: nothing was read"
        )
    if type(error).__name__ == "PanicException" and first_failure() is None:
        # In a cluster a thread of the engine tells nobody why it ended.
        why = "the engine has given up without a reason: another process of the cluster has ended, and its log says why"
        return RalmError(f"{why}; or it could not use its recovery data. {_DISK.format(recovery=recovery)}")
    return None
