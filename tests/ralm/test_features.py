"""Features from clicks: never the click that is predicted, nor one of the same moment or later."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ralm.features import END_OF_TIME, ClickHistories, Interactions

CLICKS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 15)), max_size=50)


def interactions(clicks: list[tuple[int, int, int]]) -> Interactions:
    ordered = sorted(clicks, key=lambda click: (click[0], click[2], click[1]))
    columns = np.array(ordered, np.int64).reshape(-1, 3)
    return Interactions(
        columns[:, 0],
        columns[:, 1],
        columns[:, 2],
        {"gender": (np.array([1, 2, 1, 0]), 3)},
        {},
        np.linspace(0, 1, 4, dtype=np.float32)[:, None],
        np.array([[1 + item % 3, 0] for item in range(10)]),
        4,
    )


@settings(max_examples=150)
@given(CLICKS, st.integers(0, 3), st.integers(0, 17), st.integers(1, 6))
def test_a_history_is_the_most_recent_earlier_clicks(
    clicks: list[tuple[int, int, int]], user: int, time: int, length: int
) -> None:
    data = interactions(clicks)
    found = ClickHistories(data, length).items_before(np.array([user]), np.array([time]))[0]
    earlier = sorted([(ts, item) for u, item, ts in clicks if u == user and ts < time], reverse=True)
    assert found[found > 0].tolist() == [item + 1 for _, item in earlier[:length]]
    assert len(found) == length


@given(CLICKS)
def test_the_features_of_a_click_know_nothing_of_it_or_of_what_came_later(clicks: list[tuple[int, int, int]]) -> None:
    data = interactions(clicks)
    whole = ClickHistories(data, 5)
    for place in range(len(data.clicks_user)):
        user, time = data.clicks_user[place : place + 1], data.clicks_time[place : place + 1]
        past = data.only(data.clicks_time < time[0])
        np.testing.assert_array_equal(whole.items_before(user, time), ClickHistories(past, 5).items_before(user, time))


def test_forgotten_users_have_only_their_profile() -> None:
    data = interactions([(0, 1, 5), (0, 2, 6), (1, 3, 5)])
    users, times = np.array([0, 0, 1, 2]), np.full(4, END_OF_TIME)
    batch = ClickHistories(data, 3).features(users, times, forget=np.array([False, True, False, False]))
    assert batch.multivalent["items"].tolist() == [[3, 2, 0], [0, 0, 0], [4, 0, 0], [0, 0, 0]]
    assert batch.multivalent["categories"].tolist() == [[3, 0, 2, 0, 0, 0], [0] * 6, [1, 0, 0, 0, 0, 0], [0] * 6]
    assert batch.categorical["gender"].tolist() == [1, 1, 2, 1]


@given(CLICKS, st.floats(0.1, 1.0))
def test_the_earlier_part_of_each_user_is_earlier(clicks: list[tuple[int, int, int]], share: float) -> None:
    data = interactions(clicks)
    first = data.first_of_each_user(share)
    for user in set(data.clicks_user.tolist()):
        mine = data.clicks_user == user
        assert first[mine].sum() >= np.ceil(mine.sum() * share)
        if not first[mine].all():
            assert data.clicks_time[mine & first].max() < data.clicks_time[mine & ~first].min()


def test_histories_do_not_depend_on_how_far_apart_times_are() -> None:
    users, clicks = 200_000, 600_000
    rng = np.random.default_rng(0)
    user, order = np.sort(rng.integers(0, users, clicks)), np.arange(clicks)
    near = np.where(order % 3 == 0, order, order + 2_000_000)
    far = np.where(order % 3 == 0, order, order + 253_402_214_400_000)
    found = []
    for times in (near, far):
        sorted_by_time = np.lexsort((times, user))
        data = Interactions(
            user[sorted_by_time],
            order[sorted_by_time] % 97,
            times[sorted_by_time],
            {},
            {},
            np.zeros((users, 0), np.float32),
            np.zeros((97, 1), np.int64),
            1,
        )
        asked = np.arange(0, users, 50)
        found.append(ClickHistories(data, 5).items_before(asked, np.full(len(asked), times.max())))
    np.testing.assert_array_equal(found[0], found[1])
