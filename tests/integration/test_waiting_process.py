"""A process of a cluster that still waits for its peers."""

from collections.abc import Callable
from typing import Any

import pytest
from waiting import wait_until

from flows.config.flow_process import free_port

pytestmark = pytest.mark.broker


def test_it_ends_when_it_is_told_to(flow: Callable[..., Any]) -> None:
    running = flow(addresses=",".join(f"127.0.0.1:{free_port('127.0.0.1', 0)}" for _ in range(2)))
    process = running.start("look-alike", "--process-id", "0")
    wait_until(lambda: "live index loaded" in running.log_text())
    process.terminate()
    assert process.wait(120) == 0
    assert "nothing was read" in running.log_text()
