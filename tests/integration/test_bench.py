"""The benchmark of taking clicks in, in its short form: both sides read everything, and the figures belong together."""

from importlib.metadata import version
from math import isnan
from pathlib import Path

import pytest

from flows.bench.idle import measure_idle
from flows.bench.ingest import measure_ingest
from flows.support.machine import describe_machine


@pytest.mark.broker
def test_ingest_is_measured(tmp_path: Path) -> None:
    told: list[str] = []
    figures = measure_ingest(tmp_path, 60_000, 1, told.append)
    assert figures.clicks == 60_000
    assert 60 < figures.bytes_each < 100
    assert figures.raw_per_s > 0
    assert figures.flow_per_s > 0 or isnan(figures.flow_per_s)  # on a busy machine the first look may find all taken
    assert len(told) == 3
    assert figures.rss_mib[2] > 0


@pytest.mark.broker
def test_idleness_is_measured(tmp_path: Path) -> None:
    told: list[str] = []
    figures = measure_idle(tmp_path, "seeds", 0.5, 0.0, told.append)
    assert figures.seconds >= 0.5
    assert figures.total == figures.flow + figures.broker + figures.long_poll >= 0
    assert len(told) == 3


def test_the_machine_is_named() -> None:
    assert f"bytewax {version('bytewax')}" in describe_machine()
