"""What a scene is played on: an embedded broker, a flow, traffic of now, and a Prometheus with quick rules."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

from flows.config.flow_process import FlowProcess, free_port
from flows.config.settings import Settings
from flows.demo.dashboards import Prometheus
from flows.demo.live import LiveRates, LiveTraffic
from flows.demo.story import bad_messages
from flows.kafka.admin import make_topics
from flows.kafka.embedded_broker import EmbeddedBroker
from flows.kafka.producer import Producer
from flows.kafka.topics import TopicNames
from flows.offline.datasets.layout import Dataset
from flows.support.errors import RalmError
from tests.toys import toy_bundle

from .quick_rules import quicken

HOST = "127.0.0.1"
USERS = [str(number) for number in range(200)]
STRANGERS = [f"stranger-{number}" for number in range(200)]
_STEP_S = 0.2


def clicks_of(users: list[str]) -> Dataset:
    """Clicks of some users on ten items."""
    rng = np.random.default_rng(4)
    names, items = np.array(users), np.array([f"item-{number}" for number in range(10)])
    events = names[rng.integers(len(names), size=2000)], items[rng.integers(10, size=2000)]
    return Dataset("made up", *events, np.arange(2000), np.sort(names), {}, items, items)


@dataclass
class Stage:
    """A running system.

    Attributes:
        folder: where all of it lies.
        broker: the embedded broker.
        given: the flow's settings as they are written.
        settings: the same, read.
        prometheus: with the quick rules.
        flows: the running processes, by a name.
        traffic: what is sent while a scene waits.
        bad: bad messages sent each step.
        asking: whether requests are sent.
        moved: called each step, for faults that go on.
    """

    folder: Path
    broker: EmbeddedBroker
    given: dict[str, Any]
    settings: Settings
    prometheus: Prometheus
    traffic: LiveTraffic
    flows: dict[str, FlowProcess] = field(default_factory=dict)
    bad: int = 0
    asking: bool = False
    moved: Callable[[], None] = lambda: None
    fired: dict[str, float] = field(default_factory=dict)
    severity: dict[str, str] = field(default_factory=dict)

    def start(self, name: str, **changed: Any) -> FlowProcess:
        """Start (again) a process of a flow."""
        flow = name.partition(" ")[0]
        settings = Settings.model_validate({**self.given, **changed})
        made = FlowProcess(flow, settings, config=self.folder / f"{name}.toml", log=self.folder / f"{name}.log")
        self.flows[name] = made
        made.wait_ready()
        return made

    def warm_up(self) -> None:
        """Send clicks until items are live, and only then requests too."""
        scorer = list(self.flows.values())[-1]
        live = self.play(60, lambda: scorer.page().total("ralm_index_items") > 0)
        assert live, f"no item became live: {scorer.log}"
        self.asking = True

    def play(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Send traffic and look at the alerts for a time, or until something is so."""
        producer = Producer.of_tool(self.settings)
        names = TopicNames.of(self.settings)
        letters = bad_messages(names, self.settings.max_message_bytes)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                for record in [*self.traffic.due(), *letters[: self.bad]]:
                    if self.asking or record.topic != names.requests:
                        producer.send(record)
                producer.poll(_STEP_S)
            except RalmError:  # the broker is away
                producer = Producer.of_tool(self.settings)
                time.sleep(_STEP_S)
            self.moved()
            self.look()
            if until():
                return True
        return until()

    def look(self) -> None:
        """Note what fires."""
        with urlopen(f"http://{HOST}:{self.prometheus.port}/api/v1/alerts", timeout=20) as answer:
            alerts = json.load(answer)["data"]["alerts"]
        for alert in alerts:
            if alert["state"] == "firing":
                name, severity = alert["labels"]["alertname"], alert["labels"]["severity"]
                self.fired.setdefault(name, time.monotonic())
                if self.severity.get(name) != "page":
                    self.severity[name] = severity


@contextmanager
def stage(folder: Path, speed: int, users: list[str], start: tuple[str, ...], **settings: Any) -> Iterator[Stage]:
    """Set a stage and start its processes."""
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker(folder / "broker"))
        toy_bundle(folder / "bundle", USERS, dim=16, scale=0.3)
        given = {
            "bootstrap_servers": broker.bootstrap_servers,
            "bundle": str(folder / "bundle"),
            "state_dir": str(folder / "state"),
            "metrics_port": free_port(HOST, 0),
            "window": "5s",
            "allowed_lateness": "500ms",
            "idle_after": "1s",
            "min_seeds": 3,
            "item_ttl": 0,
            "stale_after": "1h",
            "delivery_timeout": "300s",
            **settings,
        }
        running = Settings.model_validate(given)
        make_topics(running)
        ports = [running.metrics_port + number for number in range(len(start))]
        prometheus = stack.enter_context(
            Prometheus(
                folder / "prometheus",
                [f"{HOST}:{port}" for port in ports],
                port=0,
                every="1s",
                changed=lambda made: quicken(made, speed),
            )
        )
        prometheus.wait_ready()
        traffic = LiveTraffic(clicks_of(users), TopicNames.of(running), LiveRates(60, 20))
        made = Stage(folder, broker, given, running, prometheus, traffic)
        try:
            for number, name in enumerate(start):
                made.start(name, metrics_port=ports[number], state_dir=str(folder / f"state-{number}"))
            yield made
        finally:
            for flow in made.flows.values():
                flow.send(signal.SIGCONT)
                flow.kill()
