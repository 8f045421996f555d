"""A run that was cut off is gone on with, and only with the same options."""

from dataclasses import replace
from pathlib import Path

import pytest

from .run import Plan, _begun, _keep
from .tally import Tally


def test_how_far_a_run_has_come_is_kept(tmp_path: Path) -> None:
    plan = Plan(7, ("kill",), kills=150, resume=tmp_path / "new" / "kills.json")
    assert _begun(plan) == (Tally(), 0, 0)
    tally = Tally(faults={"kill": 16}, kills=17, clicks=900, problems=["a"], seconds=12.5)
    _keep(plan, tally, 16, 2)
    assert _begun(plan) == (tally, 16, 2)
    with pytest.raises(ValueError, match="is of another run"):
        _begun(replace(plan, rng_seed=8))
    assert _begun(replace(plan, resume=None)) == (Tally(), 0, 0)
