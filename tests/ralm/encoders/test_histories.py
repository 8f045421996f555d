"""Histories: the newest distinct items of each user, however they are given."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ralm.encoders.histories import Histories
from ralm.features import Interactions

CLICKS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 15)), max_size=50)


def interactions(clicks: list[tuple[int, int, int]]) -> Interactions:
    columns = np.array(sorted(clicks, key=lambda c: (c[0], c[2], c[1])), np.int64).reshape(-1, 3)
    none = np.zeros((4, 0), np.float32)
    return Interactions(columns[:, 0], columns[:, 1], columns[:, 2], {}, {}, none, np.zeros((10, 1), np.int64), 1)


def newest_first(clicks: list[tuple[int, int, int]], user: int) -> list[int]:
    items = [item for u, item, _ in sorted(clicks, key=lambda c: (c[2], c[1]), reverse=True) if u == user]
    return list(dict.fromkeys(items))


@given(CLICKS, st.integers(1, 12))
def test_a_history_is_the_newest_distinct_items(clicks: list[tuple[int, int, int]], most: int) -> None:
    histories = Histories.of_clicks(interactions(clicks), most)
    assert histories.users == 4
    for user in range(4):
        mine = histories.items[histories.start[user] : histories.start[user + 1]].tolist()
        assert mine == newest_first(clicks, user)[:most]


@given(CLICKS)
def test_lists_codes_and_clicks_say_the_same(clicks: list[tuple[int, int, int]]) -> None:
    histories = Histories.of_clicks(interactions(clicks))
    rows = [newest_first(clicks, user) for user in range(4)]
    for other in (Histories.of_items(rows), Histories.of_codes(histories.codes())):
        assert other.items.tolist() == histories.items.tolist()
        assert other.start.tolist() == histories.start.tolist()


def test_some_histories_in_any_order() -> None:
    some = Histories.of_items([[1, 2], [], [3]]).take(np.array([2, 0, 0, 1]))
    assert some.items.tolist() == [3, 1, 2, 1, 2]
    assert some.counts.tolist() == [1, 2, 2, 0]
