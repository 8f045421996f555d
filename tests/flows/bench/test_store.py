"""``ralm bench store`` in its short form: it measures what it says, and what it measures holds."""

from pathlib import Path

from flows.bench.store import measure_store


def test_a_store_is_measured(tmp_path: Path) -> None:
    told: list[str] = []
    figures = measure_store(tmp_path, seeds=300_000, churns=3, items=2500, generations=2, progress=told.append)
    assert len(told) == 6
    assert 8 < figures.bytes_after < 24
    assert figures.bytes_before >= figures.bytes_after
    assert figures.writes > 0
    assert figures.write_s > 0
    assert figures.bare_s > 0
    assert all(25 < mib < 80 for mib in figures.disk_mib)
    assert all(mib < 20 for mib in figures.empty_mib)
