"""A topic grows while the flow is down: the new partitions are read, and items keep their seeds."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions
from scenario import clicks, is_final, oracle, send_clicks, stored
from waiting import wait_until

from flows.seed_sets.partitioners import PARTITIONERS

pytestmark = pytest.mark.broker


def grow(client: Any, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": client.servers})
    asked = [NewPartitions(client.prefix + topic, partitions) for topic in ("clicks", "candidates", "requests")]
    for done in admin.create_partitions(asked).values():
        done.result(timeout=20)


@pytest.mark.parametrize(("name", "setting"), [("crc32", "consistent_random"), ("murmur2", "murmur2_random")])
def test_the_partitioners_are_the_clients_own(client: Any, flow: Callable[..., Any], name: str, setting: str) -> None:
    flow()
    producer = Producer({"bootstrap.servers": client.servers, "partitioner": setting})
    for number in range(200):
        producer.produce(f"{client.prefix}clicks", b"x", f"item-{number}-\N{SNOWMAN}".encode()[: 3 + number % 9])
    assert producer.flush(20) == 0
    for message in client.read("clicks"):
        assert message.partition() == PARTITIONERS[name](message.key(), 4)


def test_items_keep_their_seeds_when_the_topic_has_grown(client: Any, flow: Callable[..., Any]) -> None:
    made = clicks(np.random.default_rng(11), 3000, int(time.time() * 1000) - 8000)
    running = flow()
    running.start()
    send_clicks(client, made[:1500])
    wait_until(lambda: is_final(client, oracle(made[:1500], 10**9), least=3))
    assert running.stop() == [0]
    grow(client, 7)
    # A new client: one that was there before learns of the new partitions only after a while.
    send_clicks(type(client)(client.servers, client.prefix), made[1500:])
    running.start()
    wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))
    assert running.stop() == [0]
    assert stored(running.home) == oracle(made, 10**9)
    assert "items were moved to their partitions" in running.log_text()
    assert "Traceback" not in running.log_text()
