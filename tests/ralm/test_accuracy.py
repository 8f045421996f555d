"""AUC, NDCG and rankings against scikit-learn, ranx and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import ndcg_score, roc_auc_score

from ralm.accuracy import grouped_auc, hit_rate, hits, ndcg, precision, precisions, recall, top

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


RANX = {
    "ndcg@10": 0.15931122706566145,
    "recall@50": 0.4425469249480753,
    "hit_rate@10": 0.825,
    "eq. 12": 0.15833333333333333,
}
"""What ranx 0.3.21 says of the rankings below. It brings numba, pandas and fourteen more, so it is no dependency:
``pip install ranx`` and ``PYTHONPATH=. python tests/ralm/test_accuracy.py`` print its figures again."""


def rankings() -> tuple[np.ndarray, np.ndarray]:
    """The best 50 of 120 items for each of 40 users, int64[40, 50], and what they want, bool[40, 120]; no ties."""
    user, item = np.mgrid[:40, :120]
    scores = ((user * 7919 + item * 104729) % 1009 / 1009).astype(np.float32)
    wanted = (user * 31 + item * 17) % 23 <= user % 6
    seen = ((user * 13 + item * 7) % 11 == 3) & ~wanted
    return top(scores, seen, 50, np.random.default_rng(0)), wanted


def ranx_figures() -> dict[str, float]:
    import ranx  # noqa: PLC0415 (where it is installed)

    best, wanted = rankings()
    qrels = ranx.Qrels({f"u{u:02}": {f"i{i}": 1 for i in np.flatnonzero(row)} for u, row in enumerate(wanted)})
    places = ({f"i{i}": float(50 - place) for place, i in enumerate(row)} for row in best)
    run = ranx.Run({f"u{u:02}": of for u, of in enumerate(places)})
    names = ["ndcg@10", "recall@50", "hit_rate@10", "precision@10"]
    theirs = ranx.evaluate(qrels, run, names, return_mean=False)  # in the order of the users' names
    precision_of_k = theirs.pop("precision@10") * 10 / np.minimum(10, wanted.sum(axis=1))  # ranx divides by K
    return {name: float(values.mean()) for name, values in {**theirs, "eq. 12": precision_of_k}.items()}


def test_rankings_are_ranxs():
    best, wanted = rankings()
    count, hit = wanted.sum(axis=1), hits(best, wanted)
    ours = {
        "ndcg@10": ndcg(hit[:, :10], count),
        "recall@50": recall(hit, count),
        "hit_rate@10": hit_rate(hit[:, :10]),
        "eq. 12": precisions(hit[:, :10], count).mean(),
    }
    assert ours == pytest.approx(RANX, abs=1e-12)
    assert all(0.1 < figure < 1 for figure in ours.values())


if __name__ == "__main__":
    print(ranx_figures())  # noqa: T201
