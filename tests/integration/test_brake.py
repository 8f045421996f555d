"""A producer's bad release stops the reading of its topic, and of no other; no message is lost or skipped."""

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from flows.config.flow_process import free_port
from flows.support.metrics_page import MetricsServer

pytestmark = pytest.mark.broker
BAD = 2000


def wait_until(holds: Callable[[], bool], flow: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, flow.log_text()[-3000:]
        time.sleep(0.1)


def send_clicks(client: Any, count: int, **more: Any) -> None:
    now = int(time.time() * 1000)
    for number in range(count):
        item = f"item-{number % 7}"
        client.send("clicks", item, {"user_id": f"user-{number % 300}", "item_id": item, "ts": now}, **more)
    client.flush()


def ask(client: Any, request_id: str) -> None:
    client.send("requests", "user-1", {"request_id": request_id, "user_id": "user-1", "ts": int(time.time() * 1000)})
    client.flush()
    client.wait_for("scores", lambda found: any(json.loads(m.value())["request_id"] == request_id for m in found))


def test_a_bad_release_is_not_read_to_its_end(client: Any, flow: Callable[..., Any]) -> None:
    port = free_port("127.0.0.1", 0)
    limits = {"dead_letter_max_ratio": "0.5", "dead_letter_min_sample": "50", "poll_batch": "20"}
    made = flow(metrics_port=str(port), **limits)
    process, page = made.start(), MetricsServer("127.0.0.1", port)

    def braked() -> bool:
        return page.page().total("ralm_dead_letter_brake", topic_kind="clicks") == 1

    def refused() -> float:
        return page.page().total("ralm_dead_letters_total", topic_kind="clicks")

    # One bad message among good ones stops nothing.
    send_clicks(client, 1, headers=[("schema_version", b"2")])
    send_clicks(client, 100)
    wait_until(lambda: page.ready()[0] and page.page().total("ralm_clicks_total") == 100, made)
    assert refused() == 1
    assert not braked()

    # A bad release does: the flow says why, lives, and answers requests.
    send_clicks(client, BAD, headers=[("schema_version", b"2")])
    wait_until(braked, made)
    ready, why = page.ready()
    assert not ready
    assert f"{client.prefix}clicks is not read on" in why
    assert "unsupported_schema_version" in why
    before = refused()
    ask(client, "while it is stopped")
    assert refused() == before < BAD / 2
    assert process.poll() is None
    assert "too many dead letters" in made.log_text()

    # Told to, it reads on, up to the limit again.
    process.send_signal(signal.SIGUSR1)
    wait_until(lambda: braked() and refused() > before, made)
    assert refused() < BAD
    assert made.stop() == [0]

    # Restarted without a limit it reads all that is left, each message once.
    send_clicks(client, 50)
    free = flow(metrics_port=str(port), **{**limits, "dead_letter_max_ratio": "0"})
    free.start()
    wait_until(lambda: page.ready()[0] and page.page().total("ralm_clicks_total") >= 50, free)
    wait_until(lambda: page.page().total("ralm_kafka_lag_messages", topic_kind="clicks") == 0, free)
    assert free.stop() == [0]
    letters = [dict(message.headers()) for message in client.read("dead-letters")]
    assert len({(letter["partition"], letter["offset"]) for letter in letters}) == len(letters) == BAD + 1
