"""The benchmark in its short form: it measures something, and the flow is not slow beyond reason."""

from pathlib import Path

import pytest

from flows.benchmark.idle import measure_idle
from flows.benchmark.ingest import measure_ingest
from flows.benchmark.machine import describe_machine


@pytest.mark.broker
def test_ingest_is_measured(tmp_path: Path) -> None:
    told: list[str] = []
    figures = measure_ingest(tmp_path, 60_000, 1, told.append)
    assert figures.clicks == 60_000
    assert 60 < figures.bytes_each < 100
    assert figures.raw_per_s > 20_000
    assert len(told) == 3
    assert 0 < figures.rss_mib[2] < 1500


@pytest.mark.broker
def test_idleness_is_measured(tmp_path: Path) -> None:
    told: list[str] = []
    figures = measure_idle(tmp_path, "seeds", 0.5, 0.0, told.append)
    assert figures.seconds >= 0.5
    assert figures.total == figures.flow + figures.broker + figures.long_poll >= 0
    assert len(told) == 3


def test_the_machine_is_named() -> None:
    assert "bytewax 0.21.1" in describe_machine()
