"""Dead letters go back in order, once, and only if they would be accepted."""

import json
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from letters import GOOD, NOW, TS, letter

from flows.admin.dead_letters.acceptance import Acceptance
from flows.admin.dead_letters.redrive import RedriveOptions, RedriveSummary, redrive
from flows.admin.dead_letters.topic import Filters
from flows.config.settings import Settings
from flows.kafka.producer import ProducerRecord
from flows.messages.dead_letter import DeadLetter, ForeignRecord, RedriveReceipt
from flows.messages.rejects import InvalidMessage
from flows.support.errors import RalmError

letters = st.lists(
    st.tuples(st.sampled_from(["clicks", "requests"]), st.integers(0, 2), st.integers(0, 5), st.integers(0, 1)),
    max_size=20,
)


def test_a_letter_is_accepted_once_the_limit_is_raised_or_the_time_has_come() -> None:
    big = letter(value=GOOD[:-1] + b', "note": "' + b"x" * 300 + b'"}')
    with pytest.raises(InvalidMessage, match="oversized"):
        Acceptance(Settings(max_message_bytes=100), lambda: NOW).key(big)
    assert Acceptance(Settings(), lambda: NOW).key(big) == b"i"
    early = letter(value=GOOD.replace(TS, str(NOW + 60_000).encode()))
    with pytest.raises(InvalidMessage, match="future_time"):
        Acceptance(Settings(max_future="1s"), lambda: NOW).key(early)
    assert Acceptance(Settings(max_future="1s"), lambda: NOW + 60_000).key(early) == b"i"
    new = letter(headers=[("schema_version", b"2")])
    with pytest.raises(InvalidMessage, match="unsupported_schema_version"):
        Acceptance(Settings(), lambda: NOW).key(new)


def test_a_key_is_set_only_where_the_key_was_the_reason() -> None:
    asked, plain = (Acceptance(Settings(), lambda: NOW, set_key=choice) for choice in (True, False))
    for reason, key in (("null_key", None), ("key_mismatch", b"other")):
        wrong = letter(reason=reason, key=key)
        assert asked.key(wrong) == b"i"
        with pytest.raises(InvalidMessage, match=reason):
            plain.key(wrong)
        with pytest.raises(InvalidMessage, match=reason):
            asked.key(letter(reason="oversized", key=key))
    request = b'{"request_id": "r", "user_id": "u", "ts": %b}' % TS
    assert asked.key(letter(topic="requests", reason="null_key", key=None, value=request)) == b"u"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"i", b'{"item_id": "i"}', None),
        (b"i", None, None),
        (None, None, "null_key"),
        (b"", None, "bad_identifier"),
        (b"k" * 257, None, "bad_identifier"),
        (b"k", b'{"item_id": "i"}', "key_mismatch"),
        (b"i", b"{", "not_json"),
        (b"i", b'{"item_id": "' + b"x" * 70_000 + b'"}', "oversized"),
    ],
)
def test_candidates_and_tombstones_are_checked(key: bytes | None, value: bytes | None, reason: str | None) -> None:
    acceptance, one = Acceptance(Settings(), lambda: NOW), letter(topic="candidates", key=key, value=value)
    if reason is None:
        assert acceptance.key(one) == key
    else:
        with pytest.raises(InvalidMessage, match=reason):
            acceptance.key(one)


class FakeProducer:
    """Takes messages until one is said to fail."""

    fail_at = 10**9
    sent: list[ProducerRecord] = []  # noqa: RUF012 (new for each test)

    @classmethod
    def of_tool(cls, settings: Settings, delivered: Callable[[ProducerRecord, Any], None] = lambda *_: None) -> Self:
        return cls(settings, delivered)

    def __init__(self, _: Settings, delivered: Callable[[ProducerRecord, Any], None] = lambda *_: None) -> None:
        self._delivered = delivered
        self.failed = 0
        self._mine = 0

    def send(self, given: ProducerRecord) -> None:
        self._mine += 1
        if self._mine == self.fail_at and given.topic != "dead-letters":
            self.failed += 1
            return
        self.sent.append(given)
        self._delivered(given, None)

    def flush(self) -> None:
        if self.failed:
            msg = "1 message was not delivered"
            raise RalmError(msg)


class Same:
    """Topics that have what the letters say that they had."""

    def __init__(self, records: list[Any]) -> None:
        letters = [one for one in records if isinstance(one, DeadLetter)]
        self._found = {(one.topic, one.source_partition, one.source_offset): one for one in letters}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def at(self, topic: str, partition: int, offset: int) -> Any:
        found = self._found.get((topic, partition, offset))
        return found and SimpleNamespace(
            key=lambda: found.key, value=lambda: found.value, headers=lambda: found.headers
        )


def test_what_its_topic_does_not_hold_stays(back: Callable[..., RedriveSummary]) -> None:
    forged = letter(0)
    for there in ([], [letter(0, value=b"{}")], [letter(0, headers=[("traceparent", b"1")])]):
        for unproven in (False, True):
            summary = back([forged], originals=lambda _, there=there: Same(there), unproven=unproven)
            assert (summary.unproven, summary.sent.total()) == ((0, 1) if unproven else (1, 0))
    assert back([forged]).sent == {"clicks": 1}


def redrive_records(monkeypatch: pytest.MonkeyPatch, records: list[Any], **options: Any) -> RedriveSummary:
    """Redrive what a topic has, with a fake producer."""
    FakeProducer.sent.clear()
    monkeypatch.setattr("flows.admin.dead_letters.redrive.Producer", FakeProducer)
    monkeypatch.setattr("flows.admin.dead_letters.redrive.read_records", lambda *_: iter(records))
    filters = options.pop("filters", Filters())
    originals = options.pop("originals", lambda _: Same(records))
    monkeypatch.setattr("flows.admin.dead_letters.redrive.SingleMessages", originals)
    monkeypatch.setattr("flows.admin.dead_letters.redrive.require_rights", lambda *_: None)
    return redrive(Settings(), RedriveOptions(filters, **options), lambda: NOW)


@pytest.fixture
def back(monkeypatch: pytest.MonkeyPatch) -> Callable[..., RedriveSummary]:
    """Sends records back with a fake producer."""
    monkeypatch.setattr(FakeProducer, "sent", [])
    return partial(redrive_records, monkeypatch)


def receipts() -> list[tuple[int, list[int]]]:
    written = [m for m in FakeProducer.sent if m.topic == "dead-letters"]
    return [(m.partition, json.loads(m.value or b"")["redriven"]) for m in written]


@given(letters, st.data())
def test_each_original_goes_once_unless_a_copy_went_before(made: list[Any], data: st.DataObject) -> None:
    request = b'{"request_id": "r", "user_id": "i", "ts": %b}' % TS
    records = [
        letter(n, topic=topic, source_partition=source, source_offset=offset, partition=partition)
        if topic == "clicks"
        else letter(n, topic=topic, source_partition=source, source_offset=offset, partition=partition, value=request)
        for n, (topic, source, offset, partition) in enumerate(made)
    ]
    places = [(one.partition, one.offset) for one in records]
    noted = set(data.draw(st.lists(st.sampled_from(places), max_size=3))) if places else set()
    copies: dict[Any, list[Any]] = {}
    for one in records:
        copies.setdefault((one.topic, one.source_partition, one.source_offset), []).append((one.partition, one.offset))
    settled = {original for original, of_it in copies.items() if noted & set(of_it)}
    with pytest.MonkeyPatch.context() as monkeypatch:
        summary = redrive_records(monkeypatch, [*records, *(RedriveReceipt(p, [offset]) for p, offset in noted)])
    assert summary.already == len(settled)
    assert summary.sent.total() == len(copies) - len(settled)
    assert sorted((partition, offset) for partition, offsets in receipts() for offset in offsets) == sorted(
        place for original, of_it in copies.items() if original not in settled for place in of_it
    )


def test_letters_of_a_key_go_in_the_order_in_which_they_lie(back: Callable[..., RedriveSummary]) -> None:
    again = [2, 3, 4]  # a flow that was killed reads on from its snapshot, and writes letters a second time
    values = [GOOD.replace(TS, str(NOW - n).encode()) for n in range(5)]
    back([letter(n, source_offset=at, value=values[at]) for n, at in enumerate([0, 1, 2, 3, *again])])
    assert [m.value for m in FakeProducer.sent if m.topic == "clicks"] == values


def test_the_newest_of_several_candidates_without_a_key_is_the_one_that_goes(
    back: Callable[..., RedriveSummary], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"topic": "candidates", "reason": "null_key", "key": None}
    old, new = (b'{"item_id": "i", "expires_at": %d}' % n for n in (NOW, NOW + 1))
    there = [
        letter(0, partition=1, source_offset=9, value=new, **made),
        letter(0, source_offset=5, value=old, **made),
    ]
    monkeypatch.setattr("flows.admin.dead_letters.redrive.read_to_end", lambda *_: iter(map(original, there)))
    summary = back(there, set_key=True)
    assert (summary.sent, summary.superseded) == ({"candidates": 1}, 1)
    assert FakeProducer.sent[0].value == new
    monkeypatch.setattr("flows.admin.dead_letters.redrive.read_to_end", lambda *_: iter([]))
    assert back(there, set_key=True, unproven=True).superseded == 1


def original(one: DeadLetter) -> Any:
    """The message that a letter is of, in its topic."""
    return SimpleNamespace(
        key=lambda: one.key,
        value=lambda: one.value,
        partition=lambda: one.source_partition,
        offset=lambda: one.source_offset,
    )


def test_forged_letters_hide_none_that_is_true(
    back: Callable[..., RedriveSummary], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one before it that says it is of the same message, nor one of a newer candidate that never was."""
    true = letter(5, source_offset=3, value=GOOD)
    for forged in (
        letter(1, source_offset=3, value=GOOD[:-1] + b" }"),
        letter(1, source_offset=3, value=b"{"),
        letter(1, source_offset=3, key=None),
        letter(1, source_offset=3, cut="the value had 9 bytes"),
        letter(1, source_offset=3, headers=[("a", b"b")]),
    ):
        summary = back([forged, true], originals=lambda _: Same([true]))
        assert summary.sent == {"clicks": 1}, forged
        assert FakeProducer.sent[0].value == GOOD
    down = letter(2, topic="candidates", key=b"i", source_offset=7, value=b'{"item_id": "i"}')
    monkeypatch.setattr("flows.admin.dead_letters.redrive.read_to_end", lambda *_: iter([original(down)]))
    for forged in (
        letter(1, topic="candidates", key=b"i", source_offset=9, value=b'{"item_id": "i"}'),
        letter(1, topic="candidates", key=b"i", source_partition=0, source_offset=9, value=b'{"item_id": "i"}'),
    ):
        summary = back([forged, down], originals=lambda _: Same([down]))
        assert summary.sent == {"candidates": 1}, forged


def test_receipts_may_be_passed_over(back: Callable[..., RedriveSummary]) -> None:
    """Whoever may write the topic can forge one; a message twice does no harm."""
    records = [letter(1), letter(2), RedriveReceipt(0, [1, 2])]
    assert back(records).sent.total() == 0
    summary = back(records, again=True)
    assert (summary.sent.total(), summary.already) == (2, 0)


def test_letters_go_back_with_bytes_key_and_headers_and_a_receipt_for_each_copy(
    back: Callable[..., RedriveSummary],
) -> None:
    one = letter(4, headers=[("source", b"web"), ("empty", None)])
    again = letter(7, source_offset=4, headers=one.headers)
    summary = back([one, again, letter(9, source_offset=8), ForeignRecord(0, 1, "x")])
    assert (summary.sent, summary.foreign_records) == ({"clicks": 2}, 1)
    first, second, _ = FakeProducer.sent
    assert (first.topic, first.key, first.value, first.headers, first.partition) == (
        "clicks",
        b"i",
        GOOD,
        one.headers,
        -1,
    )
    assert second.headers == []
    assert receipts() == [(0, [4, 7, 9])]


def test_what_was_redriven_is_not_sent_again(back: Callable[..., RedriveSummary]) -> None:
    summary = back([letter(1), letter(2), RedriveReceipt(0, [1])])
    assert (summary.sent.total(), summary.already) == (1, 1)
    assert receipts() == [(0, [2])]


def test_filters_limit_and_dry_run(back: Callable[..., RedriveSummary]) -> None:
    records = [letter(n, reason="oversized" if n % 2 else "future_time", time=n, key=b"i") for n in range(10)]
    assert back(records, filters=Filters(reason="future_time")).sent.total() == 5
    assert back(records, filters=Filters(since=7)).sent.total() == 3
    assert back(records, filters=Filters(key=b"j")).sent.total() == 0
    assert back(records, filters=Filters(topic="requests")).sent.total() == 0
    limited = back(records, limit=4)
    assert (limited.sent.total(), limited.beyond) == (4, 6)
    FakeProducer.sent.clear()
    assert back(records, dry_run=True).sent.total() == 10
    assert FakeProducer.sent == []


def test_after_a_failure_nothing_more_goes_and_what_went_is_noted(
    back: Callable[..., RedriveSummary], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeProducer, "fail_at", 3)
    with pytest.raises(RalmError, match="not delivered"):
        back([letter(n) for n in range(6)])
    assert receipts() == [(0, [0, 1])]
    assert len([m for m in FakeProducer.sent if m.topic == "clicks"]) == 2


def test_what_cannot_go_back_stays_and_is_counted(back: Callable[..., RedriveSummary]) -> None:
    summary = back(
        [
            letter(1, topic="scores"),
            letter(2, topic="dead-letters"),
            letter(3, cut="the value had 9 bytes"),
            letter(4, value=b"{"),
            letter(5, key=None),
        ]
    )
    assert summary.sent.total() == 0
    assert summary.unroutable == {"scores": 1, "dead-letters": 1}
    assert summary.cut == 1
    assert summary.refused == {"not_json": 1, "null_key": 1}
    assert FakeProducer.sent == []
