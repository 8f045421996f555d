"""A store that is lost is filled again from the topics as it was: candidates first, then the clicks."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st
from operator_maker import batch, listing, tombstone
from seed_set_laws import CLICKS, IN_TIME, LAWS, TTL, Clicks, Disk, cut, oracle

from flows.seed_sets.clustering import ClusteringPool

CHANGES = st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(1, 12_000)), max_size=5)


@LAWS
@given(IN_TIME, st.lists(st.integers(1, 9), max_size=8))
def test_a_lost_store_is_made_again_as_it_was(pool: ClusteringPool, clicks: Clicks, lengths: list[int]) -> None:
    with TemporaryDirectory() as folder:
        disk, other = (Disk(pool, Path(folder) / name, TTL) for name in ("s", "t"))
        operator = disk.open()
        for part in cut(clicks, lengths):
            operator.apply([part])
        operator.snapshot()
        again = other.open()
        again.apply([batch(0, *clicks)])
        again.snapshot()
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
        operator, at = disk.open(), 0
        for change, told in zip(changes, listed, strict=True):
            before = sum(ts <= change[2] for _, _, ts in clicks)
            operator.apply([batch(at, *clicks[at:before]), told])
            at = before
        operator.apply([batch(at, *clicks[at:])])
        operator.snapshot()
        assert disk.seeds() == expected
        again = other.open()
        again.apply([*listed, batch(0, *clicks)])
        again.snapshot()
        assert other.seeds() == expected
        disk.close()
        other.close()


def _counts(click: tuple[str, int, int], changes: list[tuple[str, bool, int]]) -> bool:
    """Whether a click counts in the end: the item was retired neither then nor later."""
    item, _, ts = click
    before = [gone for name, gone, sent in changes if name == item and sent < ts]
    later = [gone for name, gone, sent in changes if name == item and sent >= ts]
    return not any(before[-1:]) and not any(later)
