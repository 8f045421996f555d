"""``ralm bench clustering`` in its short form: each form finds what there is, and the pool's way is gone."""

from pathlib import Path

import pytest

from flows.bench.clustering import measure_forms, measure_pools
from ralm.clustering import is_compiled

pytestmark = pytest.mark.skipif(not is_compiled(), reason="the compiled k-means was not built here")


def test_each_form_is_measured_beside_scikit_learn() -> None:
    figures = {form.name: form for form in measure_forms(40, 6, clusters=5, dim=8)}
    assert set(figures) >= {"compiled", "mini-batch", "KMeans, 1 start", "batched numpy"}
    for form in (form for form in figures.values() if not form.name.startswith("numba")):
        assert form.ms > 0
        assert 0.95 < form.inertia < 1.5
    assert figures["compiled"].warm_inertia is not None
    assert figures["KMeans, 1 start"].warm_ms is None


def test_the_pool_is_measured_alone_and_beside_a_busy_interpreter(tmp_path: Path) -> None:
    told: list[str] = []
    figures = measure_pools(tmp_path, seeds=40, items=20, users=500, dim=8, progress=told.append)
    assert [(pool.name, pool.busy) for pool in figures] == [
        ("compiled", False),
        ("compiled", True),
        ("mini-batch", False),
        ("mini-batch", True),
    ]
    assert all(pool.cold_per_s > 0 and pool.warm_per_s > 0 for pool in figures)
    assert len(told) == 4
