"""Laws of the Gini coefficient and the Lorenz curve."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ralm.protocol.exposure import coverage, exposure, gini, lorenz, tail_share

EXPOSED = hnp.arrays(np.int64, st.integers(1, 50), elements=st.integers(0, 1000)).filter(lambda x: x.sum() > 0)


@given(EXPOSED, st.integers(1, 9), st.randoms(use_true_random=False))
def test_gini_knows_neither_scale_nor_order(exposed, times, random):
    shuffled = exposed.tolist()
    random.shuffle(shuffled)
    assert gini(np.array(shuffled) * times) == pytest.approx(gini(exposed))
    assert -1e-12 <= gini(exposed) < 1


@given(EXPOSED)
def test_gini_is_the_area_between_the_lorenz_curve_and_the_diagonal(exposed):
    curve = lorenz(exposed)
    area = ((curve[1:] + curve[:-1]) / 2).mean()
    assert gini(exposed) == pytest.approx(1 - 2 * area)


@given(EXPOSED)
def test_lorenz_curve_rises_ever_more_steeply_from_0_to_1(exposed):
    curve = lorenz(exposed)
    assert (curve[0], curve[-1]) == pytest.approx((0, 1))
    assert (np.diff(curve) >= -1e-12).all()
    assert (np.diff(curve, 2) >= -1e-12).all()


@given(st.integers(2, 50))
def test_gini_of_one_item_that_has_it_all(items):
    assert gini(np.eye(items, dtype=int)[0]) == pytest.approx(1 - 1 / items)


def test_taking_from_the_rich_makes_it_more_even():
    assert gini(np.array([1, 2, 7])) > gini(np.array([2, 2, 6])) > gini(np.array([3, 3, 4]))


def test_exposure_coverage_and_tail_by_hand():
    exposed = exposure(np.array([[0, 1], [0, -1], [0, 4]]), 5)
    assert exposed.tolist() == [3, 1, 0, 0, 1]
    assert coverage(exposed) == pytest.approx(3 / 5)
    # The tail is four items of five: all but the first, which has the most seeds.
    assert tail_share(exposed, np.array([9, 1, 2, 3, 4])) == pytest.approx(2 / 5)


def test_no_exposure_at_all():
    nothing = np.zeros(4, int)
    assert (gini(nothing), coverage(nothing), tail_share(nothing, nothing)) == (0, 0, 0)
