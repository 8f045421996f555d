"""What a flow and the embedded broker cost while no message flows."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from flows.bench.ingest import bench_settings, write_bench_bundle
from flows.config.flow_process import FlowProcess
from flows.kafka.admin import make_topics
from flows.kafka.embedded_broker import EmbeddedBroker
from flows.support.errors import RalmError


@dataclass(frozen=True)
class IdleFigures:
    """What was measured, in percent of a core.

    Attributes:
        seconds: how long it was measured.
        flow: the dataflow.
        broker: the embedded broker.
        long_poll: the process before the broker that lets empty fetches wait.
    """

    seconds: float
    flow: float
    broker: float
    long_poll: float

    @property
    def total(self) -> float:
        """All of them together."""
        return self.flow + self.broker + self.long_poll


def measure_idle(
    folder: Path, flow: str, seconds: float, settle: float, progress: Callable[[str], None]
) -> IdleFigures:
    """Start an embedded broker and a dataflow on empty topics, and measure their processor time.

    Args:
        folder: an empty folder to work in.
        flow: name of the dataflow.
        seconds: how long to measure.
        settle: seconds from readiness to the begin of the measurement.
        progress: called with what begins.

    Raises:
        RalmError: when the broker or the flow fails, or the machine has no /proc.
    """
    write_bench_bundle(folder / "bundle")
    with EmbeddedBroker(folder / "broker") as broker:
        settings = bench_settings(folder, broker.bootstrap_servers, "0")
        make_topics(settings)
        progress(f"starting {flow}")
        with FlowProcess(flow, settings, config=folder / "ralm.toml", log=folder / "flow.log") as process:
            process.wait_ready()
            progress(f"letting it settle for {settle:g} s")
            time.sleep(settle)
            progress(f"measuring for {seconds:g} s")
            pids = (process.pid, *broker.pids)
            began, before = time.monotonic(), _cpu_seconds(pids)
            time.sleep(seconds)
            took, after = time.monotonic() - began, _cpu_seconds(pids)
            process.drain()
            broker.check()
    return IdleFigures(took, *(100 * (end - begin) / took for begin, end in zip(before, after, strict=True)))


def _cpu_seconds(pids: Iterable[int]) -> list[float]:
    """Processor time of each process so far, all its threads, user and system."""
    ticks = os.sysconf("SC_CLK_TCK")
    seconds = []
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError as error:
            msg = f"the processor time of process {pid} cannot be read: {error}; this benchmark needs Linux"
            raise RalmError(msg) from error
        seconds.append((int(fields[11]) + int(fields[12])) / ticks)
    return seconds
