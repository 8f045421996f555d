"""The columns of a stream against slow look-ups."""

from typing import TypeAlias

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ralm.features import Interactions
from ralm.protocol.stream.click_log import ClickLog
from ralm.protocol.stream.requests import ASKED_AFTER, requests_of

USERS, ITEMS = 3, 6
Clicks: TypeAlias = dict[tuple[int, int], int]
CLICKS = st.dictionaries(
    st.tuples(st.integers(0, USERS - 1), st.integers(0, ITEMS - 1)), st.integers(5, 15), min_size=1
)
TIME = st.integers(0, 20)


def log_of(clicks: Clicks, users: int = USERS, items: int = ITEMS) -> ClickLog:
    rows = sorted((user, time, item) for (user, item), time in clicks.items())
    user, time, item = np.array(rows, np.int64).reshape(-1, 3).T
    nothing = np.zeros((users, 0), np.float32)
    return ClickLog(Interactions(user, item, time, {}, {}, nothing, np.zeros((items, 1), np.int64), 1))


def of_user(clicks: Clicks, user: int) -> list[tuple[int, int]]:
    return sorted((time, item) for (who, item), time in clicks.items() if who == user)


@given(clicks=CLICKS, time=TIME, most=st.integers(1, 4))
def test_histories_and_next_items(clicks: Clicks, time: int, most: int) -> None:
    log, users = log_of(clicks), np.arange(USERS)
    histories = log.histories(users, np.full(USERS, time), most)
    following = log.next_items(users, np.full(USERS, time), most).toarray()
    for user in range(USERS):
        before = [item for at, item in of_user(clicks, user) if at < time]
        after = [item for at, item in of_user(clicks, user) if at >= time]
        mine = histories.items[histories.start[user] : histories.start[user + 1]]
        assert mine.tolist() == before[::-1][:most]
        assert set(np.flatnonzero(following[user])) == set(after[:most])


@given(clicks=CLICKS, time=TIME)
def test_seeds_are_the_clickers_before(clicks: Clicks, time: int) -> None:
    log = log_of(clicks)
    expected = np.zeros((ITEMS, USERS))
    for (user, item), at in clicks.items():
        expected[item, user] = at < time
    assert np.array_equal(log.seed_matrix(time).toarray(), expected)
    items = np.arange(ITEMS)
    assert log.clicks_before(items, np.full(ITEMS, time)).tolist() == expected.sum(axis=1).tolist()


@given(clicks=CLICKS, since=TIME)
def test_moments(clicks: Clicks, since: int) -> None:
    expected = []
    for user in range(USERS):
        late = [time for time, _ in of_user(clicks, user) if time >= since]
        expected += [(user, time, sum(other < time for other in late)) for time in sorted(set(late))]
    assert list(zip(*(column.tolist() for column in log_of(clicks).moments(since)), strict=True)) == expected


def test_requests_stand_before_moments_in_the_middle_of_a_session() -> None:
    # User 0: a click a moment. User 1: four clicks, then nine of one moment, then one. User 2: two, before the stream.
    clicks = {(0, item): 10 + item for item in range(50)}
    clicks |= {(1, item): 10 + item for item in range(4)} | {(1, 4 + item): 20 for item in range(9)} | {(1, 13): 30}
    clicks |= {(2, 0): 1, (2, 1): 2}
    requests = requests_of(log_of(clicks, items=50), since=10)
    asked = {user: [] for user in range(3)}
    for user, time, after in zip(requests.users, requests.times, requests.asked_after, strict=True):
        asked[int(user)].append((int(time), int(after)))
    assert asked == {0: [(10 + n, n) for n in ASKED_AFTER if n < 50], 1: [(10, 0), (30, 10)], 2: []}
    assert np.all(np.diff(requests.times) >= 0)
