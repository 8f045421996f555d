"""The candidates topic, as its producers and the readers of scores meet it."""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Consumer, TopicPartition
from scenario import clicks, is_final, last_centroids, oracle, send_clicks, send_request, stored
from waiting import close_in_time, wait_until

pytestmark = pytest.mark.broker


def ranked(client: Any, number: int) -> set[str]:
    """The items of the answer to a request for all live items."""
    send_request(client, number, "user-1", int(time.time() * 1000))
    client.flush()
    name = f"r{number}"

    def answered(found: list[Any]) -> bool:
        return any(json.loads(message.value())["request_id"] == name for message in found)

    answers = [json.loads(message.value()) for message in client.wait_for("scores", answered)]
    return {item["item_id"] for answer in answers if answer["request_id"] == name for item in answer["scores"]}


def retired(client: Any) -> set[str]:
    """Items whose last word in the centroids topic is a tombstone."""
    last = {message.key(): message.value() for message in client.read("centroids")}
    return {key.decode().partition("/")[2] for key, value in last.items() if value is None}


def taken(client: Any, topic: str) -> int:
    """How many messages of a topic the flow has taken in, as it tells the group."""
    consumer = Consumer({"bootstrap.servers": client.servers, "group.id": "ralm"})
    parts = [TopicPartition(client.prefix + topic, partition) for partition in range(4)]
    told = consumer.committed(parts, timeout=10)
    close_in_time(consumer.close)
    return sum(max(0, part.offset) for part in told)


def test_a_retired_item_goes_keeps_its_seeds_and_comes_back_with_them(client: Any, flow: Callable[..., Any]) -> None:
    start = int(time.time() * 1000) - 60_000
    made = clicks(np.random.default_rng(2), 1500, start)
    running = flow()
    running.start()
    send_clicks(client, made)
    wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))
    numbers = iter(range(10_000))
    wait_until(lambda: "item-1" in ranked(client, next(numbers)))

    client.send("candidates", "item-1", {"item_id": "item-1", "retired": True})
    client.send("candidates", "item-2", {"item_id": "item-2", "expires_at": start})  # its time is over already
    client.send("candidates", "item-3", None)
    gone = {"item-1", "item-2", "item-3"}
    for key, value in (("x", b"{"), ("x", {"item_id": "y"}), ("z" * 300, None)):
        client.send("candidates", key, value)
    client.flush()
    wait_until(lambda: retired(client) >= gone)
    wait_until(lambda: not ranked(client, next(numbers)) & gone)
    dead = client.wait_for("dead-letters", lambda found: len(found) >= 3)
    reasons = sorted(dict(message.headers())["reason"].decode() for message in dead)
    assert reasons == ["bad_identifier", "key_mismatch", "not_json"]

    # Clicks on retired items are kept; listed anew, an item is made of all of them, also if nobody clicks it again.
    later = int(time.time() * 1000)
    again = [{"user_id": f"user-{n}", "item_id": f"item-{1 + n % 2}", "ts": later + n} for n in range(20)]
    send_clicks(client, again)
    expected = oracle(made + again, 10**9)
    for number in (1, 3):
        client.send("candidates", f"item-{number}", {"item_id": f"item-{number}"})
    client.flush()
    wait_until(lambda: taken(client, "candidates") == 8)
    for item in ("item-1", "item-3"):
        wait_until(lambda item=item: item not in retired(client))
        wait_until(lambda item=item: last_centroids(client)[item].seeds == len(expected[item]))
    assert running.stop() == [0]
    assert stored(running.home) == expected
    running.start()  # what was retired stays so, and what was listed is there
    wait_until(lambda: ranked(client, next(numbers)) == set(last_centroids(client)) - retired(client))
    assert {"item-1", "item-3"} <= ranked(client, next(numbers))
    assert "item-2" not in ranked(client, next(numbers))
    assert running.stop() == [0]
    assert "Traceback" not in running.log_text()


def test_only_listed_items_are_served_if_so_set(client: Any, flow: Callable[..., Any]) -> None:
    made = clicks(np.random.default_rng(3), 1500, int(time.time() * 1000) - 60_000)
    running = flow(candidates="listed")
    for name in ("item-1", "item-3"):
        client.send("candidates", name, {"item_id": name})
    client.flush()
    running.start()
    send_clicks(client, made)
    expected = oracle(made, 10**9)
    wait_until(lambda: is_final(client, {name: expected[name] for name in ("item-1", "item-3")}, least=3))
    assert set(last_centroids(client)) == {"item-1", "item-3"}
    client.send("candidates", "item-2", {"item_id": "item-2"})
    client.flush()
    wait_until(lambda: "item-2" in last_centroids(client))
    assert running.stop() == [0]
    assert stored(running.home) == expected
