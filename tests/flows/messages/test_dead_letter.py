"""Dead letters are bounded whatever the message was, come apart again, and are safe to print."""

import json
from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st
from letters import GOOD, NOW, letter

from flows.admin.dead_letters.acceptance import Acceptance
from flows.admin.dead_letters.show import EXPLANATIONS, as_json, explanation, printable, row, text_or_hex
from flows.config.groups import MessageSettings
from flows.config.settings import Settings
from flows.messages.batches import RawBatch
from flows.messages.dead_letter import (
    DeadLetter,
    ForeignRecord,
    RedriveReceipt,
    dead_letter_headers,
    read_record,
    receipt_of,
)
from flows.messages.decode import Decoder
from flows.messages.rejects import REASONS, InvalidMessage
from flows.messages.types import DeadLetterHeaders


def decoded(*messages: Any, most: int = 1000) -> list[Any]:
    limits = MessageSettings(max_message_bytes=400, max_future=0, dead_letter_max_bytes=most, max_candidates=3)
    raw = RawBatch("clicks", "clicks", 1, list(messages), 99, 0, NOW)
    return Decoder(limits).clicks(raw).dead_letters


def message(key: bytes | None, value: bytes | None, headers: Any = (), offset: int = 7) -> Message:
    return Message(topic="clicks", partition=1, offset=offset, key=key, value=value, headers=list(headers))


def as_record(out: Any) -> DeadLetter:
    record = read_record(Message(topic="d", partition=2, offset=3, key=out.key, value=out.value, headers=out.headers))
    assert isinstance(record, DeadLetter)
    return record


def test_every_reason_is_explained_and_names_a_setting_that_there_is() -> None:
    assert set(EXPLANATIONS) == REASONS
    for said in EXPLANATIONS.values():
        assert said.meaning.endswith(".")
        assert said.to_do.endswith((".", "`."))
        assert not said.setting or said.setting in Settings.model_fields


def test_a_letter_says_what_the_message_was() -> None:
    headers = [("a", b"1"), ("a", b"2"), ("empty", None), ("original.x", b"3"), ("reason", b"mine"), ("receipt", b"4")]
    (out,) = decoded(message(b"k\xff", b"\xff", headers))
    found = as_record(out)
    assert (found.partition, found.offset) == (2, 3)
    assert found.source == "clicks[1] at offset 7"
    assert (found.reason, found.time, found.key, found.value) == ("not_utf8", NOW, b"k\xff", b"\xff")
    assert found.headers == headers
    assert not found.cut
    again = found.original(found.key)
    assert (again.key(), again.value(), again.headers()) == (b"k\xff", b"\xff", headers)


@pytest.mark.parametrize(
    ("key", "value", "headers", "cut"),
    [
        (b"i", b"x" * 3000, [], "the value had 3000 bytes"),
        (b"k" * 5000, b"x", [], "the key had 5000 bytes"),
        (b"k" * 5000, b"x" * 3000, [], "the value had 3000 bytes, the key had 5000 bytes"),
        (b"i", b"x", [("", b"")] * 20_000, "of its headers were left out"),
        (b"i", b"x", [("é" * 40_000, b"")], "1 of its headers were left out"),
        (b"i", b"x", [("a", b"v" * 60_000), ("b", b"v" * 60_000)], "1 of its headers were left out"),
    ],
)
def test_a_letter_is_bounded_and_says_what_is_cut(key: bytes, value: bytes, headers: Any, cut: str) -> None:
    (out,) = decoded(message(key, value, headers))
    assert len(out.key) + len(out.value) <= 1000
    assert sum(len(name.encode()) + len(text or b"") for name, text in out.headers) < 70_000
    assert cut in as_record(out).cut


def test_a_detail_is_cut_by_bytes() -> None:
    headers = dead_letter_headers(
        InvalidMessage("wrong_type", "é" * 999), topic="t", partition=0, offset=0, time_ms=0, original=[]
    )
    assert len(dict(headers)["detail"] or b"") == 500


def test_headers_that_cannot_be_read_are_refused_and_looked_at_once() -> None:
    class Holed:
        asked = 0

        def headers(self) -> Any:
            self.asked += 1
            assert self.asked == 1
            raise SystemError

        def __len__(self) -> int:
            return len(GOOD)

        def __getattr__(self, name: str) -> Any:
            return getattr(message(b"i", GOOD), name)

    for most in (1000, 1):  # also where something else is found first
        limits = MessageSettings(max_message_bytes=most, max_future=0, dead_letter_max_bytes=1000)
        (out,) = Decoder(limits).clicks(RawBatch("clicks", "clicks", 1, [Holed()], 8, 0, NOW)).dead_letters  # type: ignore[list-item]
        found = as_record(out)
        assert found.reason == ("not_utf8" if most == 1000 else "oversized")
        assert found.cut == "all of its headers were left out"
    assert isinstance(read_record(Holed()), ForeignRecord)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("reason", b"oversized")],
        [("receipt", b"redriven")],
    ],
)
def test_what_is_no_letter(headers: Any) -> None:
    record = read_record(Message(topic="d", partition=0, offset=9, key=None, value=b"{", headers=headers))
    assert isinstance(record, ForeignRecord)
    assert record.why


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schema_version", b"2"),
        ("partition", b"-1"),
        ("partition", b"2147483648"),
        ("offset", b"9" * 6000),
        ("time", b"9007199254740992"),
        ("reason", b"other"),
        ("original_bytes", b"x"),
        ("headers_left_out", b"some"),
        ("topic", None),
    ],
)
def test_a_letter_with_a_wrong_header_is_none(name: str, value: bytes | None) -> None:
    usual = dead_letter_headers(
        InvalidMessage("oversized", "d"), topic="t", partition=0, offset=0, time_ms=0, original=[]
    )
    headers = [*((n, v) for n, v in usual if n != name), (name, value)]
    made = Message(topic="d", partition=0, offset=9, key=None, value=b"{", headers=headers)
    assert isinstance(read_record(made), ForeignRecord)


def test_a_receipt_is_read_as_it_is_written() -> None:
    value, headers = receipt_of([5, 3], NOW)
    assert read_record(Message(topic="d", partition=4, offset=9, value=value, headers=headers)) == RedriveReceipt(
        4, [3, 5]
    )


def test_a_receipt_is_of_no_letter_that_stands_behind_it() -> None:
    """So nobody hides what is not written yet."""
    value, headers = receipt_of([3, 5, 9, 10, 2**40], NOW)
    assert read_record(Message(topic="d", partition=4, offset=9, value=value, headers=headers)) == RedriveReceipt(
        4, [3, 5]
    )


@given(st.text())
def test_what_is_printed_moves_no_cursor(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text, 5).isprintable()
    assert len(printable(text, 5)) <= 5


def test_what_is_shown_of_a_letter_is_safe_and_whole() -> None:
    nasty = "\x1b]0;x\x07\u202e[bold]\n"
    bad = letter(key=nasty.encode(), value=b"\xff\x00", detail=nasty, topic=nasty, headers=[(nasty, b"\xfe")])
    acceptance = Acceptance(Settings(), lambda: NOW)
    said = explanation(bad, acceptance, redriven=False, most=100)
    for text in (*row(bad, redriven=True), *said.split("\n")):
        assert text.isprintable()
    assert "0xff00" in said
    assert EXPLANATIONS["oversized"].to_do in said
    assert "not managed by this deployment" in said
    found = json.loads(as_json(bad, redriven=True))
    assert found["key"] == nasty
    assert found["value_hex"] == "ff00"
    assert found["headers"] == [{"name": nasty, "value_hex": "fe"}]
    assert found["redriven"] is True
    assert text_or_hex(b"\xff") == "0xff"


def test_the_headers_type_names_all_that_may_be_cut() -> None:
    assert {"original_bytes", "original_key_bytes", "headers_left_out"} <= set(DeadLetterHeaders.__struct_fields__)
