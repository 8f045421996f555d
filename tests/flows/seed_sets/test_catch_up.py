"""A store that is lost or behind is restored from the topics as it was."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_maker import FIRST, Build, batch, listing, settle, tombstone
from seed_set_laws import CLICKS, IN_TIME, LAWS, TTL, Clicks, Disk, cut, oracle

from flows.messages.batches import CandidateBatch, ClickBatch
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.keeper_state import OperatorSnapshot
from flows.support.errors import RalmError

CHANGES = st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(1, 12_000)), max_size=5)


def test_a_store_behind_its_snapshot_is_refused_when_the_topic_has_no_more(build: Build) -> None:
    operator = build()
    operator.apply([batch(0, *FIRST)])
    state = replace(operator.snapshot(), position=500)
    with pytest.raises(RalmError, match="the topic has nothing"):
        build(state)


def test_a_lost_store_is_made_again_from_the_topics(build: Build) -> None:
    clicks = [batch(0, *FIRST), batch(9, ("a", 40, 1500)), batch(10, ("z", 2, 6500)), batch(11, ("z", 3, 6600))]
    operator = build(ttl=5000)
    operator.apply([tombstone(0, "q", sent=50), *clicks])
    settle(operator)
    state = operator.snapshot()
    stored = {item: operator._store.seeds(item).users.tolist() for item, _ in operator._store.items()}
    later = batch(12, ("y", 1, 6700), ("q", 1, 6700))

    def missed(at: OperatorSnapshot) -> tuple[list[ClickBatch], list[CandidateBatch]]:
        assert at.position == 12
        return [*clicks, later], [tombstone(0, "q", sent=50)]

    again = build(state, ttl=5000, disk="other", missed=missed)
    assert again._store.position == 12  # what came later is the source's
    assert {item: again._store.seeds(item).users.tolist() for item, _ in again._store.items()} == stored
    again.apply([later])
    again.snapshot()
    assert {item for item, _ in again._store.items()} == {*stored, "y"}


@LAWS
@given(IN_TIME, st.lists(st.integers(1, 9), max_size=8))
def test_a_lost_store_is_made_again_as_it_was(pool: ClusteringPool, clicks: Clicks, lengths: list[int]) -> None:
    with TemporaryDirectory() as folder:
        disk, other = (Disk(pool, Path(folder) / name, TTL) for name in ("s", "t"))
        operator = disk.open(None)
        for part in cut(clicks, lengths):
            operator.apply([part])
        state = operator.snapshot()
        other.open(state, clicks)
        assert other.seeds() == disk.seeds() == oracle(clicks, TTL)
        disk.close()
        other.close()


@LAWS
@given(CLICKS, CHANGES)
def test_an_item_that_was_retired_is_made_again_as_it_was(
    pool: ClusteringPool, clicks: Clicks, changes: list[tuple[str, bool, int]]
) -> None:
    """Clicks and candidates are two topics: read in the order of time, they mean what one after the other means."""
    clicks, changes = sorted(clicks, key=lambda click: click[2]), sorted(changes, key=lambda change: change[2])
    listed = [
        tombstone(n, item, sent=sent) if gone else listing(n, item, sent=sent)
        for n, (item, gone, sent) in enumerate(changes)
    ]
    expected = oracle([click for click in clicks if _counts(click, changes)], 0)
    with TemporaryDirectory() as folder:
        disk, other = (Disk(pool, Path(folder) / name, 0) for name in ("s", "t"))
        operator, at = disk.open(None), 0
        for change, told in zip(changes, listed, strict=True):
            before = sum(ts <= change[2] for _, _, ts in clicks)
            operator.apply([batch(at, *clicks[at:before]), told])
            at = before
        operator.apply([batch(at, *clicks[at:])])
        state = operator.snapshot()
        assert disk.seeds() == expected
        other.open(state, clicks, listed)
        assert other.seeds() == expected
        disk.close()
        other.close()


def _counts(click: tuple[str, int, int], changes: list[tuple[str, bool, int]]) -> bool:
    """Whether a click counts in the end: the item was retired neither then nor later."""
    item, _, ts = click
    before = [gone for name, gone, sent in changes if name == item and sent < ts]
    later = [gone for name, gone, sent in changes if name == item and sent >= ts]
    return not any(before[-1:]) and not any(later)
