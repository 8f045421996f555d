"""Hands a dataflow to the engine, and finds the reason when it ends; sets up the engine's own pages."""

import gc
import os
from datetime import timedelta
from pathlib import Path

from bytewax.dataflow import Dataflow
from bytewax.run import cli_main
from threadpoolctl import threadpool_limits

from flows.config.fields import split_list
from flows.config.rules import ENGINE_API_PORT
from flows.config.settings import Settings
from flows.engine.failures import first_failure, only_our_words
from flows.support.errors import FlowFailedError, RalmError
from state.bundle.bundle import BundleError
from state.store.seed_store import StoreError

__all__ = ["Dataflow", "launch", "set_engine_api"]

ENABLED = "BYTEWAX_DATAFLOW_API_ENABLED"
PORT = "BYTEWAX_DATAFLOW_API_PORT"
CACHE = "BYTEWAX_DATAFLOW_API_CACHE_PATH"
_COLLECTOR = (200_000, 20, 100)
"""Allocations before a young collection, young before a middle one, middle before a full one."""


def launch(flow: Dataflow, settings: Settings) -> None:
    """Run a dataflow until its sources end and everything that they led to has settled.

    The engine keeps no recovery files: the stores and the consumer group know where to go on.

    Raises:
        FlowFailedError: when it cannot go on; the message says what to do.
    """
    addresses = split_list(settings.addresses)
    set_engine_api(settings)
    try:
        _calm_collector()
        # One numeric thread: a second one waits by spinning, and on a busy machine the dataflow waits for it.
        with threadpool_limits(1), only_our_words():
            cli_main(
                flow,
                workers_per_process=settings.workers,
                process_id=settings.process_id if addresses else None,
                addresses=addresses or None,
                epoch_interval=timedelta(milliseconds=settings.snapshot_interval),
            )
    except BaseException as error:
        known = _known_cause(error) or _known_cause(first_failure()) or _engine_cause(error)
        if known is None:
            raise
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


def _known_cause(error: BaseException | None) -> BaseException | None:
    """The engine wraps what a step raised; find the error that was written for people."""
    while error is not None:
        if isinstance(error, RalmError | StoreError | BundleError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _engine_cause(error: BaseException) -> RalmError | None:
    """Why the engine gave up by itself; None for a programming error."""
    if "failed to initialize networking" in str(error):
        return RalmError(
            f"this process cannot listen at its entry in addresses: {error}. Stop what listens there, or see that the "
            "name server knows it, and start again: nothing was read"
        )
    if type(error).__name__ == "PanicException" and first_failure() is None:
        # In a cluster a thread of the engine tells nobody why it ended.
        msg = (
            "another process of the cluster has ended, and this one cannot continue without it. Start all of them "
            "again: nothing is lost. If it ends again, the last line of its log says why"
        )
        return RalmError(msg)
    return None
