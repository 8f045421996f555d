"""What a step raises is logged and remembered, since the engine forgets it in a cluster."""

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
