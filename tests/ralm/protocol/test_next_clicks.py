"""The judge of rankings in a stream, in small."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ralm.protocol.next_clicks import PLACES, first_places, hits_by_group, judged_requests

ITEMS = 14


@given(rng_seed=st.integers(0, 99), drawn=st.booleans())
def test_first_places_are_the_best_allowed_items(rng_seed: int, drawn: bool) -> None:
    rng = np.random.default_rng(rng_seed)
    scores, allowed = rng.random((5, ITEMS)).astype(np.float32), rng.random((5, ITEMS)) < 0.6
    best = first_places(scores, allowed, np.random.default_rng(1) if drawn else None)
    assert best.shape == (5, PLACES)
    for row in range(5):
        expected = sorted(np.flatnonzero(allowed[row]), key=lambda item, row=row: -scores[row, item])[:PLACES]
        assert set(best[row][best[row] >= 0]) == set(expected)
        if not drawn:
            assert best[row][best[row] >= 0].tolist() == expected


def test_equal_scores_stand_in_drawn_order() -> None:
    scores, allowed = np.zeros((1, 1000), np.float32), np.ones((1, 1000), bool)
    rng = np.random.default_rng(0)
    assert set(first_places(scores, allowed, rng)[0]) != set(first_places(scores, allowed, rng)[0])
    assert first_places(scores, allowed)[0].tolist() == list(range(PLACES))


def test_groups_narrow_ranking_and_wanted_items() -> None:
    scores = -np.arange(ITEMS, dtype=np.float32)[None]
    allowed = np.ones((1, ITEMS), bool)
    wanted = np.zeros((1, ITEMS), bool)
    wanted[0, 12] = True
    groups = {"all": np.ones(ITEMS, bool), "late": np.arange(ITEMS) > 5, "early": np.arange(ITEMS) < 5}
    assert {name: rows[0] for name, rows in judged_requests(wanted, groups).items()} == {
        "all": True,
        "late": True,
        "early": False,
    }
    assert {name: rows[0] for name, rows in hits_by_group(scores, allowed, wanted, groups).items()} == {
        "all": False,
        "late": True,
        "early": False,
    }
