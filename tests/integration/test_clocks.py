"""Whose clock counts: the broker's, or this machine's where a topic has the producers' times; never the producer's."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from scenario import USERS, last_centroids, send_request
from waiting import wait_until

from flows.config.flow_process import free_port
from flows.support.metrics_page import MetricsServer

pytestmark = pytest.mark.broker
DAY = 86_400_000
ITEMS = ("item-0", "item-1", "item-2")


def send_clicks_of_many(client: Any, ts: int, users: list[str]) -> None:
    for item in ITEMS:
        for user in users:
            client.send("clicks", item, {"user_id": user, "item_id": item, "ts": ts})
    client.flush()


def make_topics_of_the_producers_times(client: Any) -> None:
    admin = AdminClient({"bootstrap.servers": client.servers})
    # Kafka 4 refuses times of more than an hour ahead by itself; older brokers, and others, do not.
    config = {"retention.ms": "604800000", "message.timestamp.after.max.ms": str(2**63 - 1)}
    topics = [NewTopic(client.prefix + name, 1, 1, config=config) for name in ("clicks", "requests")]
    for future in admin.create_topics(topics).values():
        future.result(60)


@pytest.mark.parametrize("appended", [True, False], ids=["broker", "machine"])
def test_a_fast_and_a_slow_clock_and_one_of_seconds_disturb_nobody(
    client: Any, flow: Callable[..., Any], appended: bool
) -> None:
    if not appended:
        make_topics_of_the_producers_times(client)
    port = free_port("127.0.0.1", 0)
    made = flow("one", partitions="1", item_ttl="1d", request_timeout="1m", metrics_port=str(port))
    said = made.command("topics")
    assert said.returncode == 0, said.stderr
    assert ("(minor) message.timestamp.type CreateTime" in said.stdout) is not appended
    made.start()
    send_clicks_of_many(client, int(time.time() * 1000) - 5000, USERS[:10])
    wait_until(lambda: set(last_centroids(client)) == set(ITEMS))

    fast = int(time.time() * 1000) + 2 * DAY
    click = {"user_id": USERS[20], "item_id": "item-0"}
    client.send("clicks", "item-0", {**click, "ts": fast}, timestamp=fast)
    client.send("clicks", "item-0", {**click, "ts": fast // 1000})
    client.flush()
    letters = client.wait_for("dead-letters", lambda found: len(found) >= 2)
    told = {(headers := dict(m.headers()))["reason"].decode(): headers["detail"].decode() for m in letters}
    assert set(told) == {"future_time", "bad_time"}
    assert ("the broker's clock" if appended else "this machine's clock") in told["future_time"]
    assert "looks like seconds: multiply by 1000" in told["bad_time"]

    # Nothing was given up and nothing is late: clicks of now make new centroids of all.
    send_clicks_of_many(client, int(time.time() * 1000), USERS[10:15])
    wait_until(lambda: {found.seeds for found in last_centroids(client).values()} == {15})
    assert MetricsServer("127.0.0.1", port).page().total("ralm_late_clicks_total") == 0
    assert all(m.value() is not None for m in client.read("centroids"))

    slow = int(time.time() * 1000) - 3_600_000
    client.send("requests", USERS[0], {"request_id": "slow", "user_id": USERS[0], "ts": slow}, timestamp=slow)
    send_request(client, 1, USERS[1], fast)  # an answer for nobody: it is a dead letter
    client.flush()
    (answer,) = client.wait_for("scores", lambda found: len(found) >= 1)
    client.wait_for("dead-letters", lambda found: len(found) >= 3)
    found = json.loads(answer.value())
    assert (found["request_id"], found["status"], len(found["scores"])) == ("slow", "ok", 3)
    assert made.stop() == [0]
