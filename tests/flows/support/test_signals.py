"""A signal stops the flow whatever it interrupts."""

import os
import signal
from collections.abc import Iterator

import pytest
from waiting import wait_until

from flows.run import _stop_on_signals
from flows.support.signals import StopFlag
from monitoring.health import Health


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_report_does_not_lock_the_flow_up(number: signal.Signals) -> None:
    health, stopping = Health(["polling_clicks"]), StopFlag()
    health.set("polling_clicks", True)
    _stop_on_signals(stopping, health, ("polling_clicks",))
    with health._lock:  # as where a poll sets a condition
        os.kill(os.getpid(), number)
        assert stopping.is_set()
    wait_until(lambda: not health.ready()[1]["conditions"]["polling_clicks"]["ok"])
    assert health.ready()[1]["conditions"]["polling_clicks"]["why"] == "draining"


def test_the_flag_is_down_until_it_is_set() -> None:
    flag = StopFlag()
    assert not flag.is_set()
    flag.set(signal.SIGTERM)
    assert flag.is_set()
    assert flag.wait() == signal.SIGTERM
