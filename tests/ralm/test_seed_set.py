"""The laws of the seed-set rule, held against an oracle of four lines."""

from dataclasses import replace
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ralm.seed_set import SeedSet, WindowClicks, by_group, by_item, fold, merge_all

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


LENGTH = 10
LOG = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 99), st.integers(0, 3)), max_size=40)
"""User, time, and how many windows late a click comes."""


def window_of(log: list[tuple[int, int, int]], ends: tuple[int, int], capacity: int) -> WindowClicks:
    clicks = [(user, time) for user, time, _ in log]
    return WindowClicks(*ends, min(time for _, time in clicks), seed_set(clicks, capacity))


def windows(log: list[tuple[int, int, int]], capacity: int) -> list[WindowClicks]:
    """Each click apart, with the window that it lies in and the one with which it is folded in."""
    found = []
    for click in log:
        own = (click[1] // LENGTH + 1) * LENGTH
        found.append(window_of([click], (own + click[2] * LENGTH, own), capacity))
    return found


def fold_oracle(log: list[tuple[int, int, int]], capacity: int, max_gap: int, until: int) -> dict[int, int]:
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for user, time, late in log:
        own = (time // LENGTH + 1) * LENGTH
        if own + late * LENGTH <= until:
            groups.setdefault((own + late * LENGTH, own), []).append((user, time))
    kept: list[tuple[int, int]] = []
    since = 0
    for key in sorted(groups):
        first = min(time for _, time in groups[key])
        if max_gap and kept and first - max(time for _, time in kept) > max_gap:
            kept, since = [], first - max_gap
        kept += [click for click in groups[key] if click[1] >= since]
    return oracle(kept, capacity)


@given(LOG, CAPACITY, st.integers(0, 40), st.integers(0, 15), st.randoms(use_true_random=False))
def test_a_set_as_of_a_windows_end_is_the_same_in_any_order_repeated_and_in_any_parts(
    log: list[tuple[int, int, int]], capacity: int, max_gap: int, ends: int, random: Random
) -> None:
    until = ends * LENGTH
    expected = fold_oracle(log, capacity, max_gap, until)
    parts = windows(log, capacity)
    repeated = parts + [part for part in parts if random.random() < 0.3]
    random.shuffle(repeated)
    closed = [part for part in repeated if part.closes <= until]
    assert as_dict(fold([], closed, capacity, max_gap)[0]) == expected


@given(LOG, CAPACITY, st.integers(0, 40), st.lists(st.integers(0, 15), max_size=4))
def test_a_set_is_the_same_however_often_it_was_folded_on_the_way(
    log: list[tuple[int, int, int]], capacity: int, max_gap: int, ends: list[int]
) -> None:
    parts, folded, since, before = windows(log, capacity), SeedSet.empty(), 0, -1
    for until in [*sorted(end * LENGTH for end in ends), 1000]:
        closing = [part for part in parts if before < part.closes <= until]
        was, (folded, ended, since) = folded, fold([folded], closing, capacity, max_gap, since)
        before = until
        assert as_dict(folded) == fold_oracle(log, capacity, max_gap, until)
        if not ended:
            rest = [part.seeds.since(since) for part in closing]
            assert as_dict(folded) == as_dict(merge_all([was, *rest], capacity))


@given(LOG, CAPACITY, st.integers(1, 40))
def test_clicks_that_are_read_again_from_the_beginning_change_no_set(
    log: list[tuple[int, int, int]], capacity: int, max_gap: int
) -> None:
    """As of a topic that was made anew with the same messages: they come late, also those from before a gap."""
    on_time = [(user, time, 0) for user, time, _ in log]
    once = fold([], windows(on_time, capacity), capacity, max_gap)
    late = [replace(part, closes=1000) for part in windows(on_time, capacity)]
    again = fold([once.seeds], late, capacity, max_gap, once.since)
    assert (as_dict(again.seeds), again.since) == (as_dict(once.seeds), once.since)


@given(LOG, CAPACITY)
def test_who_clicks_again_after_a_windows_end_is_a_seed_as_of_it(
    log: list[tuple[int, int, int]], capacity: int
) -> None:
    again = [(user, time + 50, late) for user, time, late in log]
    until = 50
    early = [part for part in windows(log + again, capacity) if part.closes <= until]
    first = {user for user, time, late in log if (time // LENGTH + 1 + late) * LENGTH <= until}
    assert first == set() or set(as_dict(fold([], early, 100)[0])) >= first


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


GROUPS = st.sampled_from([0, 1, 2**16 - 1, 2**16, 2**16 + 1, 2**33, 2**48 + 2**16])


@given(st.lists(st.tuples(GROUPS, st.integers(0, 9), st.integers(0, 20)), min_size=1, max_size=60), CAPACITY)
def test_groups_come_in_order_with_their_first_click(clicks: list[tuple[int, int, int]], capacity: int) -> None:
    groups, users, times = (np.array(column) for column in zip(*clicks, strict=True))
    found = list(by_group(groups, users.astype(np.uint64), times, capacity))
    assert [(group, first) for group, first, _ in found] == sorted(
        (group, min(time for g, _, time in clicks if g == group)) for group in {group for group, _, _ in clicks}
    )
    for group, _, seeds in found:
        assert as_dict(seeds) == oracle([(user, time) for g, user, time in clicks if g == group], capacity)


def test_user_keys_use_all_64_bits() -> None:
    seeds = SeedSet.of_clicks(np.array([2**64 - 1, 1, 2**63], np.uint64), np.array([5, 5, 5]), capacity=2)
    assert seeds.users.tolist() == [2**63, 2**64 - 1]
