"""The live index is what the newest message of each item says, in whatever order and from wherever they come."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message
from hypothesis import given
from hypothesis import strategies as st

from flows.config.limits import MAX_TIME
from flows.messages.codec import encode_centroids
from flows.messages.emission_order import EmissionOrder, order_headers, order_of_tombstone
from flows.messages.rejects import REASONS, InvalidMessage
from flows.messages.types import Centroids
from flows.scoring.index_updates import IndexUpdates, NewestEmissions
from flows.scoring.live_index import IndexEntry
from monitoring import metrics

NOW_MS = 1_764_000_000_000
DAY_MS = 86_400_000


def good(item: str = "i", **changes: Any) -> dict[str, Any]:
    vectors = np.ones((2, 4), np.float32)
    usual: dict[str, Any] = {"item_id": item, "model_version": "v", "window_end": 1000, "seeds": 3, "clicks_offset": 5}
    return usual | {"counts": np.array([1, 2]), "centroids": vectors, "global_": vectors[0]} | changes


def centroids(item: str = "i", stamp: tuple[int, int] = (1, NOW_MS), **changes: Any) -> Message:
    value = encode_centroids(Centroids.of(**good(item, **changes)))
    return Message("centroids", 0, 0, key=f"v/{item}".encode(), value=value, timestamp=stamp)


def tombstone(item: str = "i", *order: int) -> Message:
    return Message("centroids", 0, 0, key=f"v/{item}".encode(), headers=order_headers(*order) if order else [])


def updates(**options: Any) -> IndexUpdates:
    return IndexUpdates("centroids", "v", 4, lambda: NOW_MS / 1000, **options)


def index_of(messages: Sequence[Message]) -> dict[str, tuple[int, int]]:
    """Window end and seeds of each live item, once messages were taken in this order."""
    taken, live = updates(), dict[str, IndexEntry | None]()
    for number, message in enumerate(messages):
        taken.take(message)
        if number % 3 == 0:  # in several updates
            live |= taken.drain()
    live |= taken.drain()
    return {item: (entry.window_end, entry.seeds) for item, entry in live.items() if entry is not None}


emissions = st.lists(
    st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(0, 3), st.integers(0, 3), st.integers(3, 5)),
    max_size=12,
)


def made(emission: tuple[str, bool, int, int, int]) -> Message:
    item, retired, end, offset, seeds = emission
    return (
        tombstone(item, end, offset) if retired else centroids(item, window_end=end, clicks_offset=offset, seeds=seeds)
    )


@given(emissions, st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_index(found: list[Any], rng: Any) -> None:
    messages = [made(emission) for emission in found]
    other = messages + rng.choices(messages, k=5) if messages else []
    rng.shuffle(other)
    assert index_of(messages) == index_of(other)


@given(emissions)
def test_the_newest_holds_and_a_tombstone_before_centroids_of_the_same_moment(found: list[Any]) -> None:
    index = index_of([made(emission) for emission in found])
    for item in "ab":
        mine = [(end, offset, retired) for name, retired, end, offset, _ in found if name == item]
        newest = max(mine, default=(0, 0, True))
        assert (item in index) is not newest[2]
        if item in index:
            assert index[item][0] == newest[0]


def test_tombstones_that_do_not_say_their_order_retire_what_is_there() -> None:
    assert index_of([centroids(), tombstone()]) == {}
    assert index_of([tombstone(), centroids()]) == {"i": (1000, 3)}
    assert index_of([centroids(), tombstone(), centroids()]) == {}, (
        "the same once more, as a flow that was killed writes"
    )
    assert index_of([centroids(), tombstone(), centroids(clicks_offset=6)]) == {"i": (1000, 3)}


def test_of_centroids_without_an_offset_the_later_window_holds() -> None:
    old, new = (centroids(window_end=end, clicks_offset=0) for end in (1000, 2000))
    assert index_of([new, old]) == index_of([old, new]) == {"i": (2000, 3)}


def test_a_bounded_number_of_tombstones_is_remembered() -> None:
    newest = NewestEmissions(remembered=10)
    for number in range(100):
        assert newest.take(f"i{number}", EmissionOrder(5, 5, retired=True))
    assert len(newest._retired) == 10
    assert not newest.take("i95", EmissionOrder(5, 4))
    assert newest.take("i5", EmissionOrder(5, 4))
    for number in range(95, 100):
        assert newest.take(f"i{number}", EmissionOrder(6, 6))
    assert len(newest._retired) == 5


def spoilt(**changes: Any) -> Message:
    """A good message in which raw fields are changed."""
    fields = msgspec.msgpack.decode(encode_centroids(Centroids.of(**good()))) | changes
    return Message("centroids", 0, 0, key=b"v/i", value=msgspec.msgpack.encode(fields))


def numbers(value: float, count: int) -> bytes:
    return np.full(count, value, "<f4").tobytes()


@pytest.mark.parametrize(
    "poison",
    [
        spoilt(seeds=2**63),
        spoilt(seeds=2**64 - 1),
        spoilt(seeds=2),
        spoilt(counts=[2**62, 2**62]),
        spoilt(k=13_000, counts=[1] * 13_000, seeds=13_000, centroids=numbers(1, 4 * 13_000)),
        spoilt(k=129, counts=[1] * 129, seeds=129, centroids=numbers(1, 4 * 129)),
        spoilt(centroids=numbers(1e30, 8)),
        spoilt(centroids=numbers(float("nan"), 8)),
        spoilt(**{"global": numbers(float("-inf"), 4)}),
        spoilt(h=3, centroids=numbers(1, 6), **{"global": numbers(1, 3)}),
        spoilt(h=2**62),
        spoilt(window_end=MAX_TIME),
        spoilt(window_end=NOW_MS + DAY_MS + 1),
        spoilt(window_end=2**63),
        *(spoilt(sketch=np.array(hashes, "<u4").tobytes()) for hashes in ([2, 1], [1, 1], [1, 2, 3, 4])),
        spoilt(sketch=b"123"),
        spoilt(seeds=1000, sketch=np.arange(129, dtype="<u4").tobytes()),
        spoilt(item_id="another"),
        spoilt(model_version="another"),
        Message("centroids", 0, 0, key=b"v/i", value=b"\xff"),
        Message("centroids", 0, 0, key=None, value=b""),
        tombstone("i", MAX_TIME, 9),
        tombstone("i", 2**70, 9),
        Message("centroids", 0, 0, key=b"v/i", headers=[("window_end", b"9999")]),
        Message("centroids", 0, 0, key=b"v/i", headers=[("window_end", b"-1"), ("clicks_offset", b"1")]),
        Message("centroids", 0, 0, key=b"v/i", headers=[("window_end", None), ("clicks_offset", b"1")]),
    ],
)
def test_poison_is_counted_and_the_item_keeps_its_centroids(poison: Message) -> None:
    def counted() -> float:
        values = (metrics.DEAD_LETTERS.labels("centroids", reason)._value.get() for reason in REASONS)
        return sum(values)

    taken, before = updates(), counted()
    taken.take(centroids())
    taken.take(poison)
    (entry,) = taken.drain().values()
    assert entry is not None
    assert (entry.window_end, entry.seeds) == (1000, 3)
    assert counted() == before + 1


def test_the_brokers_time_says_whether_centroids_are_of_the_future_where_the_topic_has_it() -> None:
    """Else a scorer whose clock is a few days slow has no item, and one whose clock is fast takes a forged one."""
    ahead, appended = NOW_MS + 9 * DAY_MS, TIMESTAMP_LOG_APPEND_TIME
    slow, forged = (centroids(window_end=ahead, stamp=(appended, at)) for at in (ahead + 1, NOW_MS))
    assert index_of([slow]) == {"i": (ahead, 3)}
    assert index_of([forged]) == {}
    assert index_of([centroids(window_end=ahead, stamp=(1, ahead + 1))]) == {}


def test_of_another_models_centroids_the_model_is_noted() -> None:
    taken = updates()
    taken.take(Message("centroids", 0, 0, key=b"w/i"))
    taken.take(centroids())
    assert taken.other_model == ""
    taken.take(Message("centroids", 0, 0, key=b"w/i", value=b"x"))
    taken.take(centroids())
    assert taken.other_model == "w"
    assert set(taken.drain()) == {"i"}


@given(st.integers(0, MAX_TIME), st.integers(0, MAX_TIME))
def test_the_order_of_a_tombstone_comes_through_its_headers(end: int, offset: int) -> None:
    headers = [("schema_version", b"1"), *order_headers(end, offset)]
    assert order_of_tombstone(headers) == EmissionOrder(end, offset, retired=True)


@given(st.lists(st.tuples(st.sampled_from(["window_end", "clicks_offset", "x"]), st.none() | st.binary() | st.text())))
def test_any_headers_are_an_order_or_none_or_are_refused(headers: Any) -> None:
    try:
        order = order_of_tombstone(headers)
    except InvalidMessage as invalid:
        assert invalid.reason in REASONS  # noqa: PT017 (either is an answer)
    else:
        assert order is None or (0 <= order.window_end <= MAX_TIME and 0 <= order.clicks_offset <= MAX_TIME)
