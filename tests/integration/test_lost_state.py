"""A state directory that is empty, as of a disk that is not mounted, loses nothing in silence."""

import shutil
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from scenario import clicks, is_final, oracle, send_clicks, stored
from waiting import wait_until

pytestmark = pytest.mark.broker


def test_an_empty_directory_is_refused_where_only_the_centroids_remember_what_the_topic_has_no_more(
    client: Any, flow: Callable[..., Any]
) -> None:
    made = clicks(np.random.default_rng(12), 2000, int(time.time() * 1000) - 8000)
    running = flow(group_id=client.prefix)
    running.start()
    send_clicks(client, made[:1500])
    wait_until(lambda: is_final(client, oracle(made[:1500], 10**9), least=3))
    assert running.stop() == [0]
    admin = AdminClient({"bootstrap.servers": client.servers})
    forgotten = [TopicPartition(f"{client.prefix}clicks", partition, 5) for partition in range(4)]
    for asked in (admin.delete_records(forgotten), admin.delete_consumer_groups([client.prefix])):
        for done in asked.values():
            done.result(timeout=20)
    state = running.home / "state"
    aside = state.rename(running.home / "aside")
    assert running.start().wait(120) == 1
    running.processes.clear()
    assert running.log_text().count("its store is not in this state directory") == 4
    assert not (state / "seeds").exists()
    shutil.rmtree(state)
    aside.rename(state)
    running.start()
    send_clicks(client, made[1500:])
    wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))
    assert running.stop() == [0]
    assert stored(running.home) == oracle(made, 10**9)
