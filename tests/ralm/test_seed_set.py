"""The laws of the seed-set rule, held against an oracle of four lines."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ralm.seed_set import SeedSet, by_item, merge_all

CLICKS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 20)), max_size=60)
CAPACITY = st.integers(1, 12)


def oracle(clicks: list[tuple[int, int]], capacity: int) -> dict[int, int]:
    newest: dict[int, int] = {}
    for user, time in clicks:
        newest[user] = max(time, newest.get(user, time))
    return dict(sorted(newest.items(), key=lambda seed: (seed[1], seed[0]), reverse=True)[:capacity])


def seed_set(clicks: list[tuple[int, int]], capacity: int) -> SeedSet:
    users, times = zip(*clicks, strict=True) if clicks else ((), ())
    return SeedSet.of_clicks(np.array(users, np.uint64), np.array(times, np.int64), capacity)


def as_dict(seeds: SeedSet) -> dict[int, int]:
    assert (np.diff(seeds.users.astype(np.int64)) > 0).all()
    return dict(zip(seeds.users.tolist(), seeds.times.tolist(), strict=True))


@given(CLICKS, CAPACITY)
def test_the_newest_distinct_users_stay(clicks: list[tuple[int, int]], capacity: int) -> None:
    assert as_dict(seed_set(clicks, capacity)) == oracle(clicks, capacity)


@given(CLICKS, CLICKS, CAPACITY)
def test_two_halves_merged_give_the_whole(
    one: list[tuple[int, int]], other: list[tuple[int, int]], capacity: int
) -> None:
    a, b = seed_set(one, capacity), seed_set(other, capacity)
    assert as_dict(a.merge(b, capacity)) == oracle(one + other, capacity)
    assert as_dict(b.merge(a, capacity)) == oracle(one + other, capacity)


@given(st.lists(CLICKS, max_size=5), CAPACITY)
def test_parts_merge_in_any_grouping(parts: list[list[tuple[int, int]]], capacity: int) -> None:
    whole = oracle([click for part in parts for click in part], capacity)
    assert as_dict(merge_all([seed_set(part, capacity) for part in parts], capacity)) == whole


@given(CLICKS, CAPACITY)
def test_a_replay_changes_nothing(clicks: list[tuple[int, int]], capacity: int) -> None:
    once = seed_set(clicks, capacity)
    assert as_dict(once.merge(seed_set(clicks, capacity), capacity)) == as_dict(once)


@given(CLICKS, st.integers(0, 21))
def test_before_keeps_what_is_earlier(clicks: list[tuple[int, int]], time: int) -> None:
    seeds = seed_set(clicks, 100)
    assert as_dict(seeds.before(time)) == {user: at for user, at in as_dict(seeds).items() if at < time}


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(0, 20)), max_size=60), CAPACITY)
def test_a_batch_of_many_items_is_each_items_own(clicks: list[tuple[int, int, int]], capacity: int) -> None:
    items, users, times = (np.array(column) for column in zip(*clicks, strict=True)) if clicks else [np.empty(0)] * 3
    found = {
        item: as_dict(seeds)
        for item, seeds in by_item(items.astype(np.int64), users.astype(np.uint64), times.astype(np.int64), capacity)
    }
    assert found == {
        item: oracle([(user, time) for i, user, time in clicks if i == item], capacity)
        for item in {item for item, _, _ in clicks}
    }


def test_user_keys_use_all_64_bits() -> None:
    seeds = SeedSet.of_clicks(np.array([2**64 - 1, 1, 2**63], np.uint64), np.array([5, 5, 5]), capacity=2)
    assert seeds.users.tolist() == [2**63, 2**64 - 1]
