"""Two processes share the partitions, on one state directory or two; any restart goes on with exact seed sets."""

import json
import signal
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


def test_two_processes_with_a_directory_each_start_on_either(client: Any, flow: Callable[..., Any]) -> None:
    made = clicks(np.random.default_rng(6), 4000, int(time.time() * 1000) - 8000)
    addresses = ",".join(f"127.0.0.1:{free_port('127.0.0.1', 0)}" for _ in range(2))
    directories = [flow(name, addresses=addresses) for name in ("one", "other")]
    for start in range(4):
        pair = directories if start % 2 == 0 else directories[::-1]
        for number, directory in enumerate(pair):
            directory.start("look-alike", "--process-id", str(number))
        sent = made[: 1000 * (start + 1)]
        send_clicks(client, sent[-1000:])
        expected = oracle(sent, 10**9)
        wait_until(lambda expected=expected: is_final(client, expected, least=3))
        number, code = (signal.SIGKILL, -signal.SIGKILL) if start == 2 else (signal.SIGTERM, 0)
        processes = [each.processes.pop() for each in pair]
        for process in processes:  # a drain ends once all processes drain
            process.send_signal(number)
        assert [process.wait(120) for process in processes] == [code, code]
        found: dict[str, dict[int, int]] = {}
        for number, each in enumerate(pair):
            found |= stored(each.home, mine=lambda partition, number=number: partition % 2 == number)
        assert found == expected
    assert "a store that is not here is rebuilt" in directories[0].log_text()


def test_a_process_whose_peer_died_says_so_and_both_go_on_once_started_again(
    client: Any, flow: Callable[..., Any]
) -> None:
    made = clicks(np.random.default_rng(7), 2000, int(time.time() * 1000) - 8000)
    running = flow(addresses=",".join(f"127.0.0.1:{free_port('127.0.0.1', 0)}" for _ in range(2)))
    pair = [running.start("look-alike", "--process-id", str(number)) for number in range(2)]
    send_clicks(client, made[:1000])
    wait_until(lambda: is_final(client, oracle(made[:1000], 10**9), least=3))
    pair[1].kill()
    send_clicks(client, made[1000:])
    assert pair[0].wait(120) == 1
    running.processes.clear()
    assert "Start all of them again: nothing is lost" in running.log_text()
    for number in range(2):
        running.start("look-alike", "--process-id", str(number))
    wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))
    assert running.stop() == [0, 0]
    assert stored(running.home) == oracle(made, 10**9)
