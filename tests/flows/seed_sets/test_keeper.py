"""The seed operator without an engine and without a broker: windows, crashes, expiry, a new model."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_maker import (
    FIRST,
    Build,
    batch,
    emitted,
    listing,
    make_pool,
    orders,
    settle,
    tombstone,
)
from seed_set_laws import IN_TIME, LAWS, MOST, RETENTION, TTL, Clicks, Disk, cut, oracle

from flows.messages.batches import OutMessage
from flows.messages.codec import split_centroids_key
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.keeper import SeedSetOperator
from flows.seed_sets.keeper_state import OpenWork
from monitoring import metrics
from state.store.keys import WORK_KEY
from state.store.meta import NOTHING_SETTLED


def work(operator: SeedSetOperator) -> OpenWork:
    """What the store says is still to be done."""
    written = operator._store.work
    assert written is not None
    return OpenWork.decode(written)


def test_a_closed_window_clusters_what_it_touched(build: Build) -> None:
    operator = build()
    assert operator.apply([batch(0, *FIRST)]) == []
    out = operator.apply([batch(9, ("a", 40, 1500))]) + settle(operator)
    found = emitted(out)
    assert set(found) == {"a"}  # b has too few seeds, c's users have no vectors
    message = found["a"]
    assert message is not None
    assert (message.window_end, message.seeds, sum(message.counts)) == (1000, 5, 5)  # the click at 1500 is not in it
    found = emitted(operator.apply([batch(10, idle=600)]) + settle(operator))
    assert found["a"] is not None
    assert (found["a"].window_end, found["a"].seeds) == (2000, 6)


def test_what_was_not_delivered_is_made_again_and_nothing_twice(build: Build) -> None:
    operator = build()
    operator.apply([batch(0, *FIRST)])
    operator.snapshot()
    later = batch(9, ("a", 40, 900), ("a", 41, 1500))
    assert "a" in emitted(operator.apply([later]) + settle(operator))
    operator.snapshot()  # the epoch has ended, and the process is killed before the sinks have settled it
    operator = build()
    meta = operator._store.meta
    assert (meta.position, meta.resume) == (11, 9)
    out = operator.apply([later]) + settle(operator)
    message = emitted(out)["a"]
    assert message is not None
    assert (message.window_end, message.seeds) == (1000, 6)
    operator.snapshot()
    operator.snapshot()
    operator = build()
    store = operator._store
    assert (store.position, store.meta.resume) == (11, 11)
    assert len(store.seeds("a")) == 7
    assert not settle(operator)


@pytest.mark.parametrize("length", ["90d", "7s"])
def test_clicks_wait_no_longer_than_windows_last_once_they_are_shorter(build: Build, length: str) -> None:
    operator = build(window=length)
    operator.apply([batch(0, *FIRST)])
    operator.snapshot()
    operator = build()
    assert emitted(operator.apply([batch(9, ("z", 1, 1500))]) + settle(operator))["a"] is not None
    operator.snapshot()
    operator = build()
    out = operator.apply([batch(10, ("a", 40, 1600), ("z", 2, 2500))]) + settle(operator)
    message = emitted(out)["a"]
    assert message is not None
    assert (message.window_end, message.seeds) == (2000, 6)
    assert operator._store.open_windows("a") == []


def test_a_window_that_was_cut_anew_before_a_crash_is_clustered(build: Build) -> None:
    operator = build(window="90d")
    operator.apply([batch(0, *FIRST)])
    operator.snapshot()
    build()  # it dies before it writes what is to be done
    operator = build()
    assert emitted(operator.apply([batch(9, ("z", 1, 1500))]) + settle(operator))["a"] is not None


@pytest.mark.parametrize("lengths", ["90d 7s 333ms", "1ms 7s 90d 250ms", "7s 1ms 90d 7s 1s"])
def test_windows_of_whatever_lengths_lose_nothing(build: Build, lengths: str) -> None:
    offset, time = 0, 1000
    for length in lengths.split():
        operator = build(window=length)
        for _ in range(3):
            time += 400
            operator.apply([batch(offset, ("a", offset, time))])
            offset += 1
        settle(operator)
        operator.snapshot()
    last = build(window="1ms")
    message = emitted(last.apply([batch(offset, ("z", 1, time + 2))]) + settle(last))["a"]
    assert message is not None
    assert (message.window_end, message.seeds) == (time + 1, offset)


def test_other_settings_of_clustering_cluster_all_again(build: Build, tmp_path: Path) -> None:
    """What is served follows from the clicks and the settings as they are, as in a store that is filled anew."""
    operator = build()
    operator.apply([batch(0, *FIRST, ("d", 1, 300), ("d", 2, 301)), batch(11, ("z", 1, 1500))])
    first = emitted(settle(operator))["a"]
    operator.settled()
    operator = build()
    assert not emitted(operator.apply([batch(12, idle=600)]) + settle(operator)).keys() - {"z"}  # as they were
    operator.settled()
    more = make_pool(tmp_path / "same", 0, min_seeds=2)
    assert more.model_version == operator._pool.model_version
    operator = build(use=more)
    found = emitted(operator.apply([batch(12, idle=2000)]) + settle(operator))
    assert first is not None
    assert found["a"] is not None
    assert found["d"] is not None
    assert found["a"].window_end > first.window_end
    assert found["d"].seeds == 2
    operator.settled()
    operator = build()  # as before: what has too few again is taken back
    found = emitted(operator.apply([batch(12, idle=4000)]) + settle(operator))
    assert found["d"] is None
    assert found["a"] is not None


def test_a_write_between_epochs_forgets_nothing_that_is_on_its_way(build: Build) -> None:
    operator = build()
    operator.apply([batch(0, *FIRST), batch(9, ("z", 1, 1500))])
    assert "a" in emitted(settle(operator))
    operator.apply([batch(10, ("b", 2, 1600), ("z", 2, 2500))])  # closes a window: the store is written for the pool
    meta = operator._store.meta
    assert (meta.position, meta.resume) == (12, NOTHING_SETTLED)
    assert "a" in emitted(settle(build()))


def test_what_a_crash_left_unsettled_is_read_again_however_slowly(build: Build) -> None:
    operator = build()
    operator.apply([batch(0, *FIRST)])
    operator.snapshot()
    operator.apply([batch(9, ("a", 9, 400), ("a", 10, 410))])
    operator.snapshot()  # position 11, and only the first nine have settled
    operator = build()
    assert (operator._store.position, operator._store.meta.resume) == (11, 9)
    for _ in range(3):  # nothing is read meanwhile: dead letters of what lies between may be missing
        operator.snapshot()
    assert operator._store.meta.resume == 9
    operator.apply([batch(9, ("a", 9, 400))])
    operator.snapshot()
    operator.snapshot()
    assert operator._store.meta.resume == 10


def test_after_a_drain_nothing_is_read_or_sent_again(build: Build) -> None:
    operator = build(ttl=5000)
    operator.apply([batch(0, *FIRST), batch(9, ("z", 1, 1500)), batch(10, ("z", 2, 6600))])
    settle(operator)
    operator.snapshot()
    operator.settled()
    assert operator._store.meta.resume == operator._store.position == 11
    again = build(ttl=5000)
    assert not again.collect()
    assert not settle(again)


def test_pending_items_survive_a_crash(build: Build) -> None:
    operator = build()
    operator.apply([batch(0, *FIRST)])
    operator._close(1000)  # closed, and not yet given to the pool
    operator.snapshot()
    assert set(work(operator).pending) == {"a", "b", "c"}
    found = emitted(settle(build()))
    assert {item: message is not None for item, message in found.items()} == {"a": True, "b": False, "c": False}


def test_without_a_word_of_what_is_to_be_done_everything_is_clustered_anew(build: Build) -> None:
    operator = build()
    operator.apply([batch(0, *FIRST)])
    operator.apply([batch(9, ("z", 1, 1500))])
    settle(operator)
    operator.settled()
    operator._store._db.delete(WORK_KEY)  # as in the format before
    operator = build()
    found = emitted(operator.apply([batch(10, idle=600)]) + settle(operator))
    assert set(found) == {"a"}


def test_a_new_model_makes_every_items_centroids_anew(build: Build, tmp_path: Path) -> None:
    operator = build()
    operator.apply([batch(0, *FIRST), batch(9, ("z", 1, 1500))])
    settle(operator)
    operator.settled()
    other = make_pool(tmp_path / "other", 1)
    operator = build(use=other)
    out = operator.apply([batch(10, ("z", 2, 2500))]) + settle(operator)
    other.close()
    assert {split_centroids_key(message.key) for message in out} == {(other.model_version, "a")}


def gone(out: list[OutMessage]) -> set[str]:
    """Items of which a tombstone is the last word."""
    return {item for item, message in emitted(out).items() if message is None}


def stored(operator: SeedSetOperator) -> dict[str, int]:
    """How many seeds each item has in the store."""
    return {item: len(operator._store.seeds(item)) for item, _ in operator._store.items()}


def test_an_item_that_is_idle_is_served_no_more_keeps_its_seeds_and_may_come_back(build: Build) -> None:
    operator = build(ttl=5000)
    operator.apply([batch(0, *FIRST), batch(9, ("z", 1, 1500))])
    settle(operator)
    operator.snapshot()
    out = operator.apply([batch(10, ("z", 2, 6500))])
    assert gone(out) == set("abc")
    operator.snapshot()
    assert stored(operator) == {"a": 5, "b": 1, "c": 3, "z": 2}
    again = build(ttl=5000)  # a crash before it was known that the tombstones were delivered: they come again
    out = again.apply([batch(11, ("z", 3, 6600)), batch(12, ("a", 9, 6700))])
    assert gone(out) == set("abc")
    again.snapshot()
    assert stored(again)["a"] == 1  # after so long a gap its set begins anew
    again.apply([batch(13, ("z", 4, 6800))])
    again.snapshot()
    # Whatever awaited its clustering may have been emitted before the crash.
    assert emitted(build(ttl=5000).collect()).keys() <= {"z"}


def test_a_late_click_on_an_item_that_is_served_no_more_brings_it_back_with_all_its_seeds(build: Build) -> None:
    operator = build(ttl=5000)
    operator.apply([batch(0, *FIRST), batch(9, ("z", 1, 1500))])
    settle(operator)
    assert "a" in gone(operator.apply([batch(10, ("z", 2, 6500))]))
    out = operator.apply([batch(11, ("a", 40, 4000), ("z", 3, 7500))]) + settle(operator)
    message = emitted(out)["a"]
    assert message is not None
    assert (message.seeds, message.window_end > 6000) == (6, True)


def test_seeds_are_forgotten_after_their_retention_and_a_crash_changes_nothing(build: Build) -> None:
    options = {"ttl": 2000, "seeds_retention": "5s"}
    operator = build(**options)
    operator.apply([batch(0, *FIRST), batch(9, ("z", 1, 1500))])
    settle(operator)
    operator.snapshot()
    assert gone(operator.apply([batch(10, ("z", 2, 6500))])) == set("abcz")
    operator = build(**options)  # nothing of that was written
    out = operator.apply([batch(5, *FIRST[5:], ("z", 1, 1500)), batch(10, ("z", 2, 6500))]) + settle(operator)
    assert gone(out) == set("abcz")  # z for want of clicks until then
    operator.snapshot()
    assert stored(operator) == {"z": 1}


def test_only_the_newest_seeds_are_kept(build: Build) -> None:
    operator = build()
    operator.apply([batch(0, *[("a", user, user) for user in range(45)])])
    message = emitted(operator.apply([batch(45, ("z", 0, 1100))]) + settle(operator))["a"]
    assert message is not None
    assert message.seeds == 20
    operator.snapshot()
    assert set(operator._store.seeds("a").times.tolist()) == set(range(25, 45))


def test_a_drain_closes_nothing(build: Build) -> None:
    operator = build()
    operator.apply([batch(0, *FIRST)])
    operator.snapshot()
    assert sorted(work(operator).dirty[0]) == ["a", "b", "c"]
    assert work(operator).pending == {}


def test_a_retired_item_is_served_no_more_and_its_clicks_are_kept(build: Build) -> None:
    operator = build()
    operator.apply([batch(0, *FIRST), batch(9, ("z", 1, 1500))])
    assert "a" in emitted(settle(operator))
    out = operator.apply([tombstone(0, "a"), batch(10, ("a", 7, 1550), ("a", 8, 9000))])
    assert emitted(out)["a"] is None
    operator.snapshot()
    assert (operator._store.meta.candidates, stored(operator)["a"]) == (1, 7)
    operator = build()
    # With each window that touches it, its tombstone comes again, and no centroids.
    out = operator.apply([batch(12, ("a", 9, 9100), ("z", 2, 10_500))]) + settle(operator)
    assert gone(out) - {"z"} == {"a"}  # of z, which awaited its clustering, nothing is certain
    # Listed anew, it is clustered of all that was kept, and that is newer than any of its tombstones.
    again = operator.apply([listing(1, "a"), batch(14, ("z", 3, 11_500))]) + settle(operator)
    message = emitted(again)["a"]
    assert message is not None
    assert message.seeds == 8
    told = orders(out + again, "a")
    assert told == sorted(told)
    assert not told[-1].retired


def test_a_takedown_holds_however_long_ago_and_whoever_reads_the_topics_anew(build: Build) -> None:
    later = [batch(9 + n, ("a", n, 1500 + n * 2000), ("z", n, 2600 + n * 2000)) for n in range(0, 10, 2)]
    for disk, parts in (
        ("live", [batch(0, *FIRST), tombstone(0, "a")]),
        ("new", [tombstone(0, "a"), batch(0, *FIRST)]),
    ):
        operator = build(disk=disk, ttl=1500)
        out = []
        for part in (*parts, *later):
            out += operator.apply([part]) + settle(operator)
            operator.snapshot()
        assert emitted(out)["a"] is None
        assert not any(message.value for message in out if message.key and message.key.endswith(b"/a"))


def test_a_tombstone_while_the_item_is_being_clustered(build: Build) -> None:
    operator = build()
    operator.apply([batch(0, *FIRST), batch(9, ("z", 1, 1500))])  # the window has closed, the pool works
    out = operator.apply([tombstone(0, "a")])
    assert emitted(out + settle(operator))["a"] is None
    operator.snapshot()
    assert (stored(operator)["a"], operator._store.centroids("a")) == (5, None)


def test_an_item_that_is_retired_and_listed_again_while_it_is_being_clustered(build: Build) -> None:
    operator = build()
    out = operator.apply([batch(0, *FIRST), batch(9, ("z", 1, 1500))])  # the window has closed, the pool works
    out += operator.apply([tombstone(0, "a"), batch(10, ("z", 1, 2500)), listing(1, "a")]) + settle(operator)
    out += operator.apply([batch(11, ("z", 2, 3500))]) + settle(operator)
    told = orders(out, "a")
    assert told == sorted(told)
    assert emitted(out)["a"] is not None


def test_an_item_expires_when_its_time_is_over_and_comes_back_when_that_is_put_off(build: Build) -> None:
    operator = build()
    operator.apply([listing(0, "a", expires_at=2000), batch(0, *FIRST)])
    assert "a" in emitted(operator.apply([batch(9, ("z", 1, 1500))]) + settle(operator))
    out = operator.apply([batch(10, ("a", 30, 2100), ("z", 1, 3500))]) + settle(operator)
    assert gone(out) == {"a"}
    operator.snapshot()
    assert stored(operator)["a"] == 6
    out = operator.apply([listing(1, "a", expires_at=9000), batch(12, ("z", 1, 4500))]) + settle(operator)
    message = emitted(out)["a"]
    assert message is not None
    assert message.seeds == 6


def test_what_the_wall_clock_takes_away_comes_back_when_the_clicks_are_not_so_late(build: Build) -> None:
    """An idle partition goes on with the clock, until a click says what time it is."""
    operator = build(ttl=3000)
    operator.apply([batch(0, *FIRST)])
    assert "a" in emitted(operator.apply([batch(9, idle=1500)]) + settle(operator))
    assert "a" in gone(operator.apply([batch(9, idle=9000)]))
    out = operator.apply([batch(9, ("z", 1, 1200), ("z", 2, 2400))])
    out += operator.apply([batch(11, ("z", 1, 3100))]) + settle(operator)
    message = emitted(out)["a"]
    assert message is not None
    assert message.seeds == 5


def test_how_long_a_partition_was_idle_is_known_after_a_restart_and_by_a_new_model(
    build: Build, tmp_path: Path
) -> None:
    operator = build(ttl=5000)
    operator.apply([batch(0, *FIRST, heard=10_000)])
    operator.apply([batch(9, idle=3000, now=13_000)])
    settle(operator)
    operator.settled()
    other = make_pool(tmp_path / "other", 1)
    operator = build(use=other, ttl=5000)
    assert operator._clock.closed == 0  # what only the clock said is no evidence
    out = operator.apply([batch(9, idle=600, now=14_000)]) + settle(operator)
    message = emitted(out)["a"]
    assert message is not None
    assert message.seeds == 5
    operator.settled()
    operator = build(use=other, ttl=5000)
    assert gone(operator.apply([batch(9, idle=600, now=17_000)])) == set("abc")
    other.close()


def test_who_clicks_again_after_the_end_stays_a_seed_of_the_window(build: Build) -> None:
    operator = build(allowed_lateness="1s")
    operator.apply([batch(0, *FIRST)])
    operator.apply([batch(9, *[("a", user, 1100 + user) for user in range(5)])])
    out = operator.apply([batch(14, ("z", 1, 2000))]) + settle(operator)
    message = emitted(out)["a"]
    assert message is not None
    assert (message.window_end, message.seeds) == (1000, 5)


def test_centroids_of_a_set_that_a_gap_has_ended_are_taken_back(build: Build) -> None:
    operator = build(ttl=5000, allowed_lateness="3s")
    operator.apply([batch(0, *FIRST), batch(9, ("z", 1, 4500))])
    assert "a" in emitted(settle(operator))
    out = operator.apply([batch(10, ("a", 1, 5500), ("z", 2, 9500))]) + settle(operator)
    assert gone(out) >= {"a"}


def test_only_listed_items_are_clustered_if_so_set(build: Build) -> None:
    operator = build(candidates="listed")
    operator.apply([batch(0, *FIRST, *[("d", user, 300) for user in range(4)])])
    out = operator.apply([listing(0, "d"), batch(13, ("z", 1, 1500))]) + settle(operator)
    assert set(emitted(out)) == {"d"}
    out = operator.apply([listing(1, "a"), batch(14, ("z", 1, 2500))]) + settle(operator)
    assert set(emitted(out)) == {"a"}  # its seeds were kept meanwhile


def test_a_listed_item_is_not_evicted_for_want_of_clicks(build: Build) -> None:
    operator = build(ttl=5000)
    operator.apply([listing(0, "a"), batch(0, *FIRST), batch(9, ("z", 1, 1500))])
    settle(operator)
    out = operator.apply([batch(10, ("z", 2, 6500))])
    assert {item for item, message in emitted(out).items() if message is None} == {"b", "c"}


def test_over_capacity_the_longest_idle_items_are_dropped_at_once(build: Build) -> None:
    operator = build(max_items=3)
    assert gone(operator.apply([batch(0, *[(name, 1, 100 + n) for n, name in enumerate("abcdef")])])) == set("abc")
    assert gone(operator.apply([batch(6, ("z", 1, 1500))])) == {"d"}
    assert len(operator._writer.items) == 3


def test_more_items_than_there_may_be_go_with_the_next_new_one_and_not_before(build: Build) -> None:
    operator = build()
    operator.apply([batch(0, *[(name, 1, 100 + n) for n, name in enumerate("abcdef")])])
    operator.snapshot()
    operator = build(max_items=3)  # it was lowered; the same where items come from other partitions
    assert gone(operator.apply([batch(6, ("a", 2, 200))])) == set()
    assert gone(operator.apply([batch(7, ("a", 3, 210), ("z", 1, 220))])) == set("bcde")
    assert len(operator._writer.items) == 3


def test_an_item_whose_turn_has_not_come_when_the_next_window_closes_is_shed_once_and_not_forgotten(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shed() -> float:
        return metrics.RECLUSTERS.labels("shed")._value.get()

    operator, before = build(), shed()
    monkeypatch.setattr(operator._pool, "slots", 8)
    names = [f"item-{n:03d}" for n in range(100)]
    operator.apply([batch(0, *[(name, user, 100) for name in names for user in range(3)])])
    operator.apply([batch(300, *[(name, 9, 1200) for name in names])])
    waiting = list(operator._pending)
    operator.apply([batch(400, ("z", 1, 2200))])
    # Those that waited first are first still.
    assert [name for name in operator._pending if name in waiting] == [
        name for name in waiting if name in operator._pending
    ]
    assert shed() > before
    found = emitted(settle(operator))
    assert all(found[name] is not None for name in operator._pending)
    assert all(found.get(name) is None or found[name].window_end == 2000 for name in names[50:])
    assert operator._pending == {}


def test_the_centroids_of_the_bundle_before_last_are_taken_back(build: Build, tmp_path: Path) -> None:
    pools = [make_pool(tmp_path / str(rng_seed), rng_seed) for rng_seed in (1, 2, 3)]
    offset, out = 0, []
    for number, pool in enumerate(pools):
        operator = build(use=pool)
        clicks = batch(offset, *[("a", user, 100 + number * 1000) for user in range(5)])
        out = (
            operator.apply([clicks])
            + operator.apply([batch(offset + 5, ("z", 1, 1100 + number * 1000))])
            + settle(operator)
        )
        offset += 6
        for _ in range(3):
            operator.snapshot()
    for pool in pools:
        pool.close()
    gone = {message.key.decode() for message in out if message.value is None and message.key}
    assert gone == {f"{pools[0].model_version}/a", f"{pools[0].model_version}/z"}
    assert operator._store.meta.older_versions == (pools[1].model_version,)


@LAWS
@given(
    IN_TIME,
    st.lists(st.integers(1, 9), max_size=8),
    st.lists(st.booleans(), min_size=9, max_size=9),
    st.booleans(),
    st.booleans(),
)
def test_crashes_batches_and_idleness_change_no_seed_set(
    pool: ClusteringPool, clicks: Clicks, lengths: list[int], crashes: list[bool], idle: bool, crowded: bool
) -> None:
    most = MOST if crowded else 10**6
    options = {"seeds_retention": f"{RETENTION}ms", "max_items": most}
    with TemporaryDirectory() as folder:
        disk = Disk(pool, Path(folder) / "s", TTL, **options)
        operator, parts = disk.open(), cut(clicks, lengths)
        for number, crash in zip(range(len(parts)), crashes, strict=False):
            part = parts[number]
            operator.apply([part])
            if idle:
                operator.apply([batch(part.next_offset, idle=5000)])
                settle(operator)
            if number % 3:
                operator.snapshot()
            if crash:  # whatever was written; what is read again is all since the epoch that had settled
                operator = disk.open()
                resume = operator._store.meta.resume
                for again in parts[: number + 1]:
                    if again.next_offset > resume:
                        operator.apply([again])
        operator.snapshot()
        assert disk.seeds() == oracle(clicks, TTL, RETENTION, most)
        disk.close()


def test_what_is_emitted_of_an_item_grows_in_window_and_offset_over_a_crash_and_an_eviction(build: Build) -> None:
    operator = build(ttl=5000)
    out = operator.apply([batch(0, *FIRST), batch(9, ("a", 40, 1500))]) + settle(operator)
    operator.snapshot()
    operator.snapshot()
    out += operator.apply([batch(10, ("z", 2, 2500))]) + settle(operator)
    operator.snapshot()  # the store has it, its sink has not settled: it is read and emitted again
    operator = build(ttl=5000)
    out += operator.apply([batch(10, ("z", 2, 2500))]) + settle(operator)
    out += operator.apply([batch(11, ("z", 3, 7500))]) + settle(operator)  # a is given up
    out += operator.apply([batch(12, *(("a", user, 7600) for user in range(5)), ("z", 4, 8500))]) + settle(operator)
    found = [(order.window_end, order.clicks_offset, order.retired) for order in orders(out, "a")]
    assert found == [(1000, 10, False), (2000, 11, False), (2000, 11, False), (7000, 11, True), (8000, 18, False)]
    assert found == sorted(found)
