"""What a step raises is logged and remembered, since the engine forgets it in a cluster."""

import os
import subprocess
import sys

import pytest

from flows.engine import failures
from flows.support.errors import RalmError


@pytest.fixture(autouse=True)
def _nothing_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_raised", [])


class _Step:
    @failures.report_failure
    def next_batch(self, error: Exception | None) -> int:
        if error is not None:
            raise error
        return 3


def test_the_first_failure_is_logged_and_remembered(capsys: pytest.CaptureFixture[str]) -> None:
    step = _Step()
    assert step.next_batch(None) == 3
    for text in ("partition 3 is damaged", "and so on"):
        with pytest.raises(RalmError, match=text):
            step.next_batch(RalmError(text))
    assert str(failures.first_failure()) == "partition 3 is damaged"
    said = capsys.readouterr()
    assert (said.out + said.err).count("the flow stops") == 1


def test_the_end_of_a_source_is_no_failure() -> None:
    with pytest.raises(StopIteration):
        _Step().next_batch(StopIteration())
    assert failures.first_failure() is None


_FAILS = """
import sys
import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource
from flows.config.settings import Settings
from flows.engine.failures import report_failure
from flows.engine.launch import launch
from flows.support.errors import FlowFailedError, RalmError
from flows.support.logs import get_logger, set_up_logs

def step(number):
    if number == 3:
        raise RalmError("mend the partition")
    return number

set_up_logs(sys.argv[1])
flow = Dataflow("flow")
steps = op.map("step", op.input("in", flow, TestingSource(range(9))), report_failure(step))
op.output("out", steps, TestingSink([]))
try:
    launch(flow, Settings())
except FlowFailedError as error:
    get_logger("test").error("ended", why=str(error))
sys.stderr.flush()
import os
os.write(2, b"still there\\n")
os._exit(1)
"""


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_panic_of_the_engine_adds_no_lines_of_its_own(level: str) -> None:
    environment = {**os.environ, "RUST_BACKTRACE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _FAILS, level], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert ("panicked" in done.stderr) == (level == "debug"), done.stderr
    if level == "info":
        stops, ended, last = done.stderr.splitlines()
        assert "the flow stops" in stops
        assert "mend the partition" in stops
        assert "mend the partition" in ended
        assert last == "still there"
