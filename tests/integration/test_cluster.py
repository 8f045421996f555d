"""Two processes share the partitions, and a restart with one goes on with exact seed sets."""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scenario import clicks, is_final, oracle, send_clicks, send_request, stored
from waiting import wait_until

from flows.config.flow_process import free_port

pytestmark = pytest.mark.broker


def test_two_processes_then_one(client: Any, flow: Callable[..., Any]) -> None:
    made = clicks(np.random.default_rng(5), 4000, int(time.time() * 1000) - 8000)
    addresses = ",".join(f"127.0.0.1:{free_port('127.0.0.1', 0)}" for _ in range(2))
    running = flow(addresses=addresses)
    running.start("look-alike", "--process-id", "0")
    running.start("look-alike", "--process-id", "1")
    send_clicks(client, made[:2000])
    for number in range(40):
        send_request(client, number, f"user-{number}", int(time.time() * 1000))
    client.flush()
    answers = client.wait_for("scores", lambda found: len({json.loads(m.value())["request_id"] for m in found}) == 40)
    assert len(answers) >= 40
    wait_until(lambda: is_final(client, oracle(made[:2000], 10**9), least=3))
    assert running.stop() == [0, 0]
    assert stored(running.home) == oracle(made[:2000], 10**9)
    del running.environment["RALM_ADDRESSES"]
    running.start()
    send_clicks(client, made[2000:])
    wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))
    assert running.stop() == [0]
    assert stored(running.home) == oracle(made, 10**9)
