"""Times are judged by a clock that their producer does not control: the broker's, or that of the reading machine."""

from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_NOT_AVAILABLE, Message
from hypothesis import given
from hypothesis import strategies as st

from flows.config.groups import MessageSettings
from flows.messages.batches import RawBatch
from flows.messages.decode import Decoder

NOW = 1_764_000_000_000
DAY = 86_400_000
MOST = 300_000
DECODER = Decoder(MessageSettings(max_future="5m"))
APPENDED, CREATED, NONE = TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE


def raw(kind: str, *stamped: tuple[int, int, int], now: int = NOW, waited: int | None = None) -> RawBatch:
    """Messages of a kind: the time in each, and the kind and time of its stamp."""
    value = {
        "clicks": b'{"user_id":"u","item_id":"i","ts":%d}',
        "requests": b'{"request_id":"r","user_id":"u","ts":%d}',
    }
    messages = [
        Message(kind, 0, n, key={"clicks": b"i", "requests": b"u"}[kind], value=value[kind] % ts, timestamp=(stamp, at))
        for n, (ts, stamp, at) in enumerate(stamped)
    ]
    return RawBatch(kind, kind, 0, messages, len(messages), 0, now, waited)


def decoded(batch: RawBatch) -> tuple[list[int], list[tuple[str, str]]]:
    """The places of the good messages, and reason and detail of the others."""
    found: Any = DECODER.clicks(batch) if batch.kind == "clicks" else DECODER.requests(batch)
    dead = [dict(letter.headers) for letter in found.dead_letters]
    good = found.good.times.tolist() if batch.kind == "clicks" else [request.ts for request in found.good.requests]
    return good, [(headers["reason"].decode(), headers["detail"].decode()) for headers in dead]


@pytest.mark.parametrize("kind", ["clicks", "requests"])
@pytest.mark.parametrize(
    ("ts", "stamp", "now", "clock"),
    [
        (NOW + 2 * DAY, (CREATED, NOW + 2 * DAY), NOW, "this machine's"),  # case: the producer's clock wrote both
        (NOW + 2 * DAY, (NONE, -1), NOW, "this machine's"),
        (NOW + MOST + 1, (APPENDED, NOW), NOW, "broker's"),
        (NOW + MOST + 1, (APPENDED, NOW), NOW + DAY, "broker's"),  # read again later: as before
        (NOW * 1000, (APPENDED, NOW), NOW, "microseconds: divide by 1000"),
        (2**53 - 1, (CREATED, NOW), NOW, "microseconds: divide by 1000"),
    ],
)
def test_what_is_far_ahead_of_the_clock_is_refused(
    kind: str, ts: int, stamp: tuple[int, int], now: int, clock: str
) -> None:
    good, ((reason, detail),) = decoded(raw(kind, (ts, *stamp), now=now))
    assert (good, reason) == ([], "future_time")
    assert clock in detail


@pytest.mark.parametrize("kind", ["clicks", "requests"])
def test_a_little_ahead_and_long_ago_is_taken_whatever_the_producers_clock_says(kind: str) -> None:
    stamped = [
        (NOW + MOST, CREATED, 0),
        (NOW + MOST, APPENDED, NOW),
        (NOW, APPENDED, NOW - MOST),
        (889_237_269_000, APPENDED, NOW),
        (889_237_269_000, CREATED, NOW),
    ]
    assert decoded(raw(kind, *stamped)) == ([ts for ts, *_ in stamped], [])


@given(st.lists(st.tuples(st.integers(-DAY, DAY), st.integers(-DAY, DAY)), max_size=20), st.integers(0, 10 * DAY))
def test_where_the_broker_gives_the_time_a_later_reading_decides_the_same(
    made: list[tuple[int, int]], later: int
) -> None:
    stamped = [(NOW + ts, APPENDED, NOW + at) for ts, at in made]
    first, again = (DECODER.clicks(raw("clicks", *stamped, now=NOW + wait)).good for wait in (0, later))
    assert first.offsets.tolist() == again.offsets.tolist()
    assert first.evidence.tolist() == again.evidence.tolist()


@given(st.lists(st.tuples(st.integers(-DAY, MOST), st.booleans()), max_size=20))
def test_no_click_is_evidence_of_more_than_its_clock_shows(made: list[tuple[int, bool]]) -> None:
    stamped = [(NOW + ts, APPENDED if broker else CREATED, NOW) for ts, broker in made]
    good = DECODER.clicks(raw("clicks", *stamped)).good
    assert good.times.tolist() == [ts for ts, *_ in stamped]
    assert good.evidence.tolist() == [min(ts, NOW) for ts, *_ in stamped]
    for start in range(len(made)):
        assert good.rows(start, start + 1).evidence.tolist() == good.evidence[start : start + 1].tolist()


@pytest.mark.parametrize(
    ("stamp", "waited", "came"),
    [
        ((APPENDED, NOW - DAY), None, NOW - DAY),
        ((APPENDED, NOW - DAY), 20, NOW - 20),  # this machine's clock is a day fast
        ((APPENDED, NOW - 5), 20, NOW - 5),
        ((APPENDED, NOW + DAY), 20, NOW + DAY),  # it is a day slow
        ((CREATED, NOW - DAY), None, NOW - DAY),  # a backlog: nothing else is known
        ((CREATED, NOW - DAY), 20, NOW - 20),  # the client's clock is slow: it was not there 20 ms ago
        ((CREATED, NOW - 5), 20, NOW - 5),
        ((NONE, -1), 20, 0),
    ],
)
def test_a_request_is_no_older_than_the_reader_can_vouch_for(
    stamp: tuple[int, int], waited: int | None, came: int
) -> None:
    assert DECODER.requests(raw("requests", (NOW - DAY, *stamp), waited=waited)).good.sent == [came]


@pytest.mark.parametrize(
    "profile",
    [
        b"[]",
        b'"F"',
        b"7",
        b"true",
        b'{"": "x"}',
        b'{"%s": "x"}' % (b"n" * 257),
        b'{"a": true}',
        b'{"a": {}}',
        b'{"a": [[1]]}',
        b'{"a": [null]}',
        b'{"a": 1e999}',
        b"{%s}" % b",".join(b'"f%d": 1' % n for n in range(257)),
    ],
)
def test_a_profile_that_is_none_is_a_dead_letter(profile: bytes) -> None:
    value = b'{"request_id":"r","user_id":"u","ts":%d,"profile":%s}' % (NOW, profile)
    message: Any = Message("requests", 0, 0, key=b"u", value=value, timestamp=(1, NOW))
    found = DECODER.requests(RawBatch("requests", "requests", 0, [message], 1, 0, NOW))
    (dead,) = found.dead_letters
    assert dict(dead.headers)["reason"] in (b"wrong_type", b"not_json")
    assert not found.good.requests


def test_the_values_of_a_profile_become_text() -> None:
    profile = b'{"a": 34, "b": 34.0, "c": 2.5, "d": ["x", 7], "e": null, "f": "", "g": [], "h": "x|y", "i": -0.0}'
    value = b'{"request_id":"r","user_id":"u","ts":%d,"profile":%s}' % (NOW, profile)
    message: Any = Message("requests", 0, 0, key=b"u", value=value, timestamp=(1, NOW))
    (request,) = DECODER.requests(RawBatch("requests", "requests", 0, [message], 1, 0, NOW)).good.requests
    assert request.profile == {"a": "34", "b": "34", "c": "2.5", "d": "x|7", "h": "x|y", "i": "0"}
