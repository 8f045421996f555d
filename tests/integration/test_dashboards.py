"""The dashboards as a browser draws them from a Prometheus of its own, while clicks flow."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import browser
from clients import PlainClient
from scenario import USERS
from waiting import wait_until

from flows.config.settings import Settings
from flows.demo.dashboards import Prometheus
from flows.demo.live import LiveRates, LiveTraffic
from flows.demo.story import bad_messages
from flows.kafka.producer import Producer
from flows.kafka.topics import TopicNames
from flows.offline.datasets.layout import Dataset
from monitoring.panels import ROWS

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(400)]
MISSING = "Prometheus is not installed, so the dashboards were NOT drawn (Debian: apt-get install prometheus)"


def clicks() -> Dataset:
    rng = np.random.default_rng(5)
    users, items = np.array(USERS), np.array(["a", "b", "c"])
    rows = rng.integers(len(users), size=300)
    return Dataset(
        "toy", users[rows], items[rng.integers(3, size=300)], np.arange(300), np.sort(users), {}, items, items
    )


@pytest.fixture
def prometheus() -> Iterator[Callable[..., Prometheus]]:
    if shutil.which("prometheus") is None:
        pytest.skip(MISSING)
    made: list[Prometheus] = []

    def start(*given: Any, **more: Any) -> Prometheus:
        made.append(Prometheus(*given, **more))
        made[-1].wait_ready()
        return made[-1]

    yield start
    for each in made:
        each.stop()


def test_every_panel_draws_while_clicks_flow(
    flow: Callable[..., Any], client: PlainClient, prometheus: Callable[..., Prometheus], tmp_path: Path
) -> None:
    running = flow()
    running.start()
    wait_until(lambda: "metrics=127.0.0.1:" in running.log_text())
    found = re.search(r"metrics=(127\.0\.0\.1:\d+)", running.log_text())
    assert found is not None
    shown = prometheus(tmp_path / "prometheus", [found[1]], port=0, every="1s")
    settings = Settings(bootstrap_servers=client.servers, topic_prefix=client.prefix)
    names = TopicNames.of(settings)
    producer = Producer.of_tool(settings)
    traffic = LiveTraffic(clicks(), names, LiveRates(clicks=60, requests=20))
    for record in bad_messages(names, settings.max_message_bytes):
        producer.send(record)
    with browser() as page:
        page.open(shown.console)
        undrawn = "[...document.querySelectorAll('.panel:not([data-state=drawn]) h3')].map(h => h.innerText)"
        until = time.monotonic() + 180
        while not page.value("document.body.dataset.drawn") or page.value(undrawn):
            assert time.monotonic() < until, (page.value(undrawn), page.errors)
            for record in traffic.due():
                producer.send(record)
            producer.poll(0.1)
        producer.flush()
        assert page.value("document.querySelectorAll('.panel').length") == sum(map(len, ROWS.values()))
        assert page.errors == []
        outside = [
            url for url in page.requested if not url.startswith((shown.console.partition("/consoles")[0], "data:"))
        ]
        assert outside == []
        assert page.value("document.querySelectorAll('svg path').length") > 40
        page.value("document.querySelector('.panel h3 button').click()")
        assert "The objective is 99%" in page.text(".panel .help")
