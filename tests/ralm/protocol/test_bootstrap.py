"""The paired bootstrap: its interval against the normal one, what pairing is worth, and what cannot be paired."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ralm.protocol.bootstrap import paired_difference

FIGURES = hnp.arrays(np.float64, st.integers(2, 40), elements=st.floats(0, 1, width=32))


def test_the_interval_is_that_of_the_normal_approximation() -> None:
    rng = np.random.default_rng(0)
    theirs = rng.random(900)
    ours = theirs + rng.normal(0.02, 0.1, 900)
    found, apart = paired_difference(ours, theirs), ours - theirs
    half = 1.96 * apart.std() / 30
    assert found.mean == pytest.approx(apart.mean())
    assert (found.low, found.high) == pytest.approx((apart.mean() - half, apart.mean() + half), abs=0.1 * half)
    assert found.is_clear
    assert found.p < 0.01


def test_what_differs_by_chance_alone_is_not_clear() -> None:
    """At 95% about one pair in twenty seems to differ."""
    rng = np.random.default_rng(1)
    seems = [
        paired_difference(theirs + rng.normal(0, 0.1, 200), theirs, draws=400).is_clear
        for theirs in rng.random((60, 200))
    ]
    assert sum(seems) <= 9


@given(FIGURES)
def test_a_model_does_not_differ_from_itself(figures) -> None:
    found = paired_difference(figures, figures, draws=50)
    assert (found.mean, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert not found.is_clear


@given(FIGURES, st.randoms(use_true_random=False))
def test_the_other_way_round_is_the_negative(figures, random) -> None:
    others = np.array([random.random() for _ in figures])
    there, back = (paired_difference(*pair, draws=50) for pair in ((figures, others), (others, figures)))
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))
    assert there.p == pytest.approx(back.p)


def test_what_was_not_asked_of_both_is_left_out() -> None:
    ours, theirs = np.array([0.5, np.nan, 0.9, 1.0]), np.array([0.4, 0.1, np.nan, 0.8])
    assert paired_difference(ours, theirs).mean == pytest.approx(0.15)
    with pytest.raises(ValueError, match="nothing was asked of both"):
        paired_difference(ours[1:2], theirs[1:2])
    with pytest.raises(ValueError, match="4 and 3 figures"):
        paired_difference(ours, theirs[:3])
