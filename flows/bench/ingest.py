"""How fast one process takes clicks in, beside how fast the Kafka client alone reads the same topic."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from flows.bench.random_bundle import write_random_bundle
from flows.config.flow_process import FlowProcess, free_port
from flows.config.settings import Settings
from flows.kafka.admin import make_topics
from flows.kafka.config import consumer_config, producer_config
from flows.kafka.consumer_end import close_with_timeout
from flows.kafka.embedded_broker import EmbeddedBroker
from flows.kafka.topics import TopicNames
from flows.support.errors import RalmError
from state.user_keys import user_keys

_USERS = 50_000
_ITEMS = 10_000
_DIM = 128
_BATCH = 10_000
_LOOK_EVERY_S = 0.25
_PATIENCE_S = 60.0
"""A reader that gets nothing for so long will get nothing any more."""


@dataclass(frozen=True)
class IngestFigures:
    """What was measured.

    Attributes:
        clicks: how many were in the topic.
        bytes_each: mean size of their values.
        raw_per_s: read by the client that does nothing else, the median of the runs; from its first click to its last.
        flow_per_s: taken in by the flow, likewise.
        cpu_us: processor time of the flow's process for each click, microseconds, the median of the runs.
        rss_mib: resident memory of the flow's process in the last run: after the first clicks, halfway, at the end.
    """

    clicks: int
    bytes_each: float
    raw_per_s: float
    flow_per_s: float
    cpu_us: float
    rss_mib: tuple[int, int, int]


def measure_ingest(folder: Path, clicks: int, runs: int, progress: Callable[[str], None]) -> IngestFigures:
    """Fill a topic of an embedded broker, read it with the client alone, then with the dataflow ``seeds``.

    Args:
        folder: an empty folder to work in.
        clicks: how many clicks.
        runs: how often each side reads them.
        progress: called with what begins.

    Raises:
        RalmError: when the broker or the flow fails.
    """
    write_bench_bundle(folder / "bundle")
    with EmbeddedBroker(folder / "broker") as broker:
        settings = bench_settings(folder, broker.bootstrap_servers, "0")
        make_topics(settings)
        progress("filling the topic")
        size = _fill(settings, clicks)
        raw, rates, costs = [], [], []
        for run in range(runs):
            # In turn, so that both see the same moods of the machine.
            progress(f"reading with the client alone, {run + 1} of {runs}")
            raw.append(_read_raw(settings, clicks))
            progress(f"reading with the flow, {run + 1} of {runs}")
            rate, cost, memory = _run_flow(bench_settings(folder, broker.bootstrap_servers, str(run)), folder, clicks)
            rates.append(rate)
            costs.append(cost)
    raw_per_s, per_s, cpu_us = (float(np.median(each)) for each in (raw, rates, costs))
    return IngestFigures(clicks, size / clicks, raw_per_s, per_s, cpu_us, memory)


def bench_settings(folder: Path, servers: str, run: str) -> Settings:
    """Settings of a run in the folder: its bundle, a state directory and a port of its own, defaults for the rest."""
    places = {
        "bootstrap_servers": servers,
        "bundle": str(folder / "bundle"),
        "state_dir": str(folder / f"state-{run}"),
        "metrics_port": free_port("127.0.0.1", 0),
        "window": "365d",  # none closes meanwhile: clustering is measured elsewhere
        "item_ttl": "0",
    }
    return Settings.model_validate(places)


def write_bench_bundle(path: Path) -> None:
    """Write a bundle of random weights and users of the usual size."""
    write_random_bundle(path, user_keys([_user(number) for number in range(_USERS)]), _DIM, np.random.default_rng(0))


def _user(number: int) -> str:
    return f"user-{number:06d}"


def _fill(settings: Settings, clicks: int) -> int:
    """Send clicks on skewed items; returns the bytes of their values."""
    rng, topic = np.random.default_rng(0), TopicNames.of(settings).clicks
    producer = Producer(producer_config(settings, **{"linger.ms": 50}))
    start, size = time.time_ns() // 1_000_000 - clicks, 0
    items = np.minimum(rng.zipf(1.2, clicks), _ITEMS).tolist()
    users = rng.integers(0, _USERS, clicks).tolist()
    for number, (item, user) in enumerate(zip(items, users, strict=True)):
        key = f"item-{item:05d}"
        value = f'{{"user_id": "{_user(user)}", "item_id": "{key}", "ts": {start + number}}}'.encode()
        size += len(value)
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush()
    return size


def _read_raw(settings: Settings, clicks: int) -> float:
    """Messages a second with the client and nothing else, from the first to the last."""
    topic = TopicNames.of(settings).clicks
    consumer = Consumer(consumer_config(settings, **{"group.id": f"raw-{uuid4().hex}", "enable.auto.commit": False}))
    places = [TopicPartition(topic, part, OFFSET_BEGINNING) for part in range(settings.partitions)]
    consumer.assign(places)
    first = consumer.consume(1, timeout=30.0)
    began, read = time.perf_counter(), len(first)
    while read < clicks:
        found = [message.value() for message in consumer.consume(min(_BATCH, clicks - read), timeout=_PATIENCE_S)]
        if not found:
            msg = f"the broker gave {read:,} of {clicks:,} clicks, and none for {_PATIENCE_S:g} s"
            raise RalmError(msg)
        read += len(found)
    took = time.perf_counter() - began
    close_with_timeout(consumer, topic)
    return read / took


def _run_flow(settings: Settings, folder: Path, clicks: int) -> tuple[float, float, tuple[int, int, int]]:
    """Clicks a second of the dataflow, its processor time a click (us), and its memory on the way (MiB)."""
    began: tuple[float, float, float] | None = None
    memory: list[tuple[float, int]] = []
    with FlowProcess("seeds", settings, config=folder / "ralm.toml", log=folder / "flow.log") as flow:
        flow.wait_ready()
        moved = (time.perf_counter(), 0.0)
        while True:
            now, page = time.perf_counter(), flow.page()
            taken, cpu = page.total("ralm_clicks_total"), page.total("process_cpu_seconds_total")
            if taken:
                began = began or (now, taken, cpu)
                memory.append((taken, round(page.total("process_resident_memory_bytes") / 2**20)))
            if taken >= clicks:
                break
            if taken > moved[1]:
                moved = now, taken
            elif now - moved[0] > _PATIENCE_S:
                msg = f"the flow took {taken:,.0f} of {clicks:,} clicks, and none for {_PATIENCE_S:g} s:\n{flow.tail()}"
                raise RalmError(msg)
            time.sleep(_LOOK_EVERY_S)
        flow.drain()
    # Where the first look already finds much, what came before it counts neither as clicks nor as time.
    start, before, cpu_before = began or (now, taken, cpu)
    rate = (taken - before) / (now - start) if now > start else float("nan")
    cost = (cpu - cpu_before) / (taken - before) * 1e6 if taken > before else float("nan")
    halfway = next(rss for count, rss in memory if count >= clicks / 2)
    return rate, cost, (memory[0][1], halfway, memory[-1][1])
