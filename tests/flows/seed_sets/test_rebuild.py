"""A store that is lost is filled again from the topics as it was, in whatever order they are read."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from operator_maker import batch, listing, settle, tombstone
from seed_set_laws import CLICKS, IN_TIME, LAWS, TTL, Clicks, Disk, cut, oracle

from flows.messages.batches import CandidateBatch
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
@given(
    CLICKS,
    CHANGES,
    st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=8),
    st.sampled_from(["clicked", "listed"]),
)
def test_the_same_is_kept_and_served_whichever_topic_is_read_first(
    pool: ClusteringPool,
    clicks: Clicks,
    changes: list[tuple[str, bool, int]],
    order: list[tuple[bool, int]],
    which: str,
) -> None:
    """Both in some order, one after the other, and the candidates as a compacted topic has them."""
    listed = [
        tombstone(n, item) if gone else listing(n, item, expires_at=expires_at)
        for n, (item, gone, expires_at) in enumerate(changes)
    ]
    last = {change[0]: n for n, change in enumerate(changes)}
    compacted = [message for n, message in enumerate(listed) if n in last.values()]
    end = max(ts for *_, ts in clicks)
    found = []
    with TemporaryDirectory() as folder:
        for name, parts in (
            ("live", _mixed(clicks, listed, order)),
            ("clicks first", [batch(0, *clicks), *listed]),
            ("anew", [*compacted, *(batch(n, click) for n, click in enumerate(clicks))]),
        ):
            disk = Disk(pool, Path(folder) / name, TTL, candidates=which)
            operator = disk.open()
            for part in parts:
                operator.apply([part])
                settle(operator)
            operator.apply([batch(len(clicks), idle=2000)])
            settle(operator)
            operator.apply([batch(len(clicks), idle=4000)])
            settle(operator)
            operator.snapshot()
            items, served = operator._writer.items, {}
            for item in disk.seeds():
                served[item] = not items.withdrawn[items.number(item)]
            assert disk.seeds() == oracle(clicks, TTL)
            found.append(served)
            now = (end + 4000) // 1000 * 1000
            for item, is_served in served.items():
                assert is_served == _to_serve(item, changes, clicks, now, which)
            disk.close()
    assert found[0] == found[1] == found[2]


def _mixed(clicks: Clicks, listed: list[CandidateBatch], order: list[tuple[bool, int]]) -> list[Any]:
    parts: list[Any] = []
    at = told = 0
    for is_click, count in [*order, (True, len(clicks)), (False, len(listed))]:
        if is_click and at < len(clicks):
            parts.append(batch(at, *clicks[at : at + max(1, count)]))
            at += max(1, count)
        elif not is_click:
            parts += listed[told : told + count]
            told += count
    return parts


def _to_serve(item: str, changes: list[tuple[str, bool, int]], clicks: Clicks, now: int, which: str) -> bool:
    said = [(gone, expires_at) for name, gone, expires_at in changes if name == item]
    if said:
        gone, expires_at = said[-1]
        return not gone and expires_at > now
    return which == "clicked" and max(ts for name, _, ts in clicks if name == item) >= now - TTL
