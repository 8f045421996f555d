import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hand_clock import HandClock

from flows.config.settings import Settings
from flows.demo.live import LIVE, LiveRates, LiveTraffic
from flows.demo.prepare import flow_settings
from flows.kafka.topics import TopicNames
from flows.messages.codec import decode_click, decode_request
from flows.offline.datasets.layout import Dataset

NAMES = TopicNames.of(Settings())


@pytest.fixture
def data() -> Dataset:
    users, items = np.array(["u1", "u2"]), np.array(["a", "b", "c"])
    return Dataset("toy", users[[0, 1, 0]], items, np.arange(3), users, {}, items, np.array(["", "", ""]))


def traffic(data: Dataset, clock: HandClock) -> LiveTraffic:
    return LiveTraffic(data, NAMES, LiveRates(clicks=20, requests=5), clock=clock)


def test_it_sends_at_its_rates_whatever_the_steps(data: Dataset) -> None:
    clock = HandClock()
    live, sent = traffic(data, clock), Counter[str]()
    for step in np.random.default_rng(3).uniform(0.0, 0.5, 200).tolist():
        clock.now += step
        sent.update(record.topic for record in live.due())
    assert sent["clicks"] == pytest.approx(20 * clock.now, abs=25)
    assert sent["requests"] == pytest.approx(5 * clock.now, rel=0.05)


def test_after_a_pause_it_does_not_catch_up(data: Dataset) -> None:
    clock = HandClock()
    live = traffic(data, clock)
    clock.now += 3600
    assert len(live.due()) <= 40


def test_what_it_sends_can_be_read_and_is_of_now(data: Dataset) -> None:
    clock = HandClock()
    live, good, strangers = traffic(data, clock), 0, 0
    pairs = set(zip(data.event_users.tolist(), data.event_items.tolist(), strict=True))
    for _ in range(300):
        clock.now += 1
        for record in live.due():
            try:
                known = json.loads(record.value or b"")
                user = known["user_id"]
                assert abs(known["ts"] - time.time() * 1000) < 60_000
                if record.topic == NAMES.clicks:
                    click = decode_click(record.value or b"")
                    assert (click.user_id, click.item_id) in pairs
                else:
                    strangers += decode_request(record.value or b"").user_id.startswith("nobody")
            except (ValueError, TypeError, KeyError, AssertionError):
                continue  # one of the few bad messages
            good += bool(user)
    assert good > 7000
    assert 0 < strangers < 150


def test_its_flow_closes_windows_while_one_looks() -> None:
    settings = flow_settings(Settings(), Path("x"), "127.0.0.1:1", LIVE)
    assert settings.window == 30_000
    assert settings.stale_after >= settings.window
