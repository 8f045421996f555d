"""AUC, NDCG and rankings against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import ndcg_score, roc_auc_score

from ralm.accuracy import grouped_auc, hits, ndcg, precision, recall, top

# Few values, so that ties are common.
SCORES = hnp.arrays(np.float32, st.integers(1, 40), elements=st.integers(-3, 3).map(float))


@given(SCORES, st.integers(1, 4), st.randoms(use_true_random=False))
def test_auc_of_each_group_is_scikit_learns(positive, groups, random):
    rng = np.random.default_rng(random.randrange(2**32))
    negative = rng.integers(-3, 4, len(positive)).astype(np.float32)
    group = rng.integers(0, groups, len(positive))
    expected = [
        roc_auc_score(
            np.repeat([1, 0], (group == g).sum()), np.concatenate([positive[group == g], negative[group == g]])
        )
        for g in np.unique(group)
    ]
    assert grouped_auc(positive, negative, group) == pytest.approx(expected)


@given(SCORES)
def test_auc_turns_over_with_the_scores(positive):
    negative, group = positive[::-1] * 2 - 1, np.zeros(len(positive), int)
    there, back = grouped_auc(positive, negative, group), grouped_auc(-positive, -negative, group)
    assert there + back == pytest.approx([1.0])


@pytest.mark.parametrize("k", [1, 3, 10])
def test_ndcg_is_scikit_learns(k):
    rng = np.random.default_rng(k)
    scores = rng.random((30, 10)).astype(np.float32)
    wanted = rng.random((30, 10)) < 0.3
    wanted[:, 0] |= ~wanted.any(axis=1)
    hit = hits(top(scores, np.zeros_like(wanted), k, rng), wanted)
    assert ndcg(hit, wanted.sum(axis=1)) == pytest.approx(ndcg_score(wanted, scores, k=k))


def test_precision_by_hand():
    # Best three; the first user wants 1 item and gets it, the second wants 5 and gets 2, the third wants 2 and gets 1.
    hit = np.array([[False, True, False], [True, False, True], [False, False, True]])
    wanted = np.array([1, 5, 2])
    assert precision(hit, wanted) == pytest.approx((1 / 1 + 2 / 3 + 1 / 2) / 3)
    assert recall(hit, wanted) == pytest.approx((1 / 1 + 2 / 5 + 1 / 2) / 3)


def test_the_best_are_unseen_and_in_order():
    scores = np.array([[0.1, 0.9, 0.5, 0.7]], np.float32)
    seen = np.array([[False, True, False, False]])
    best = top(scores, seen, 9, np.random.default_rng(0))
    assert best.tolist() == [[3, 2, 0, -1]]
    assert not hits(best, seen).any()


def test_equally_good_items_have_equal_chances():
    best = top(np.zeros((6000, 5), np.float32), np.zeros((6000, 5), bool), 1, np.random.default_rng(0))
    assert np.bincount(best[:, 0], minlength=5) == pytest.approx(np.full(5, 1200), abs=5 * 31)  # 5 standard deviations
