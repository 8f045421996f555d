"""Any bytes are either a message or an invalid message with a reason from the closed set; nothing else can happen."""

import json
import timeit
from collections.abc import Callable
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.config.groups import MAX_PRIOR
from flows.config.limits import MAX_TIME, MIN_EVENT_TIME
from flows.messages.codec import (
    decode_candidate,
    decode_centroids,
    decode_click,
    decode_request,
    decode_scores,
    encode_message,
    encode_scores,
)
from flows.messages.rejects import REASONS, InvalidMessage
from flows.messages.types import MAX_EXPIRY, Candidate, Click, Request, ScoredItem, Scores, Status

DECODERS: list[Callable[[bytes | None], Any]] = [
    decode_click,
    decode_candidate,
    decode_request,
    decode_scores,
    decode_centroids,
]
identifiers = st.text(min_size=1, max_size=256).filter(lambda text: len(text.encode()) <= 256)
times = st.integers(MIN_EVENT_TIME, MAX_TIME)
NOW = 1_764_000_000_000
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELDS = ["user_id", "item_id", "request_id", "ts", "expires_at", "candidates", "top_k", "prior", "profile"]
nearly = st.dictionaries(
    st.sampled_from(FIELDS), st.integers() | identifiers | anything | st.lists(identifiers | st.integers()), min_size=2
)


def rejected(decode: Callable[[bytes | None], Any], value: bytes | None) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        decode(value)
    assert caught.value.reason in REASONS
    assert caught.value.detail
    return caught.value


def attempt(decode: Callable[[bytes | None], Any], value: bytes) -> Any:
    try:
        return decode(value)
    except InvalidMessage:
        rejected(decode, value)
        return None


@pytest.mark.parametrize("decode", DECODERS)
@given(value=st.binary(max_size=200) | anything.map(lambda x: json.dumps(x).encode()))
def test_any_bytes_decode_or_are_rejected(decode: Callable[[bytes | None], Any], value: bytes) -> None:
    attempt(decode, value)


@given(value=nearly)
def test_what_is_nearly_a_message_decodes_or_is_rejected(value: dict[str, Any]) -> None:
    for decode in (decode_click, decode_candidate, decode_request):
        message = attempt(decode, json.dumps(value).encode())
        if message is not None:
            names = [name for name in ("user_id", "item_id", "request_id") if hasattr(message, name)]
            found = [getattr(message, name) for name in names] + list(getattr(message, "candidates", None) or [])
            assert all(type(text) is str and 0 < len(text.encode()) <= 256 for text in found)
            assert [getattr(message, name) for name in names] == [str(value[name]) for name in names]


@given(user=identifiers, item=identifiers, ts=times, ascii_only=st.booleans())
def test_a_click_comes_through(user: str, item: str, ts: int, ascii_only: bool) -> None:
    text = json.dumps({"user_id": user, "item_id": item, "ts": ts}, ensure_ascii=ascii_only)
    click = decode_click(text.encode())
    assert click == Click(user, item, ts)
    assert decode_click(encode_message(click)) == click


@given(st.builds(Candidate, identifiers, st.none() | st.integers(MIN_EVENT_TIME, MAX_EXPIRY)))
def test_a_candidate_comes_through(candidate: Candidate) -> None:
    assert decode_candidate(encode_message(candidate)) == candidate


@given(
    st.builds(
        Request,
        identifiers,
        identifiers,
        times,
        st.none() | st.lists(identifiers, max_size=5),
        st.none() | st.integers(1, 2**31 - 1),
        st.none() | st.floats(0, MAX_PRIOR),
        st.none() | st.dictionaries(st.text(min_size=1, max_size=256), st.text(min_size=1), max_size=5),
    )
)
def test_a_request_comes_through(request: Request) -> None:
    assert decode_request(encode_message(request)) == request


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.builds(
        Scores,
        identifiers,
        identifiers,
        st.sampled_from(get_args(Status)),
        identifiers,
        times,
        st.lists(
            st.builds(ScoredItem, identifiers, numbers, numbers, numbers, times, st.just(msgspec.UNSET) | numbers),
            max_size=3,
        ),
        st.lists(identifiers, max_size=3),
        st.lists(identifiers, max_size=3),
    )
)
def test_an_answer_comes_through(scores: Scores) -> None:
    assert decode_scores(encode_scores(scores)) == scores
    assert all("global_part" in item for item in json.loads(encode_scores(scores))["scores"])


CLICK = b'{"user_id": %b, "item_id": "i", "ts": %b}'


def click(user: bytes = b'"u"', ts: bytes = b"%d" % NOW) -> bytes:
    return CLICK % (user, ts)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null_value"),
        (b"", "empty_value"),
        (b" \n\t", "empty_value"),
        (b"\xff\xfe", "not_utf8"),
        (click(b'"\xed\xa0\x80"'), "not_utf8"),
        (b'{"user_id": ', "not_json"),
        (click() + b"x", "not_json"),
        (b"\xef\xbb\xbf" + click(), "not_json"),
        (click(b'"\\ud800"'), "not_json"),
        (click(b"NaN"), "not_json"),
        (click()[:-1] + b', "x": ' + b"[" * 100_000, "not_json"),
        (b"[" * 100_000, "not_json"),
        (b"null", "wrong_type"),
        (b"[1, 2, 3]", "wrong_type"),
        (click(b"true"), "wrong_type"),
        (click(b"null"), "wrong_type"),
        (click(b"1.0"), "wrong_type"),
        (click(b'["u"]'), "wrong_type"),
        (click(ts=b"true"), "wrong_type"),
        (click(ts=b"1.0"), "wrong_type"),
        (click(ts=b"1e3"), "wrong_type"),
        (click(ts=b'"1"'), "wrong_type"),
        (click(ts=b"null"), "wrong_type"),
        (b"{}", "missing_field"),
        (b'{"user_id": "u", "item_id": "i"}', "missing_field"),
        (click(b'""'), "bad_identifier"),
        (click(b'"' + b"a" * 257 + b'"'), "bad_identifier"),
        (click(b'"' + "é".encode() * 129 + b'"'), "bad_identifier"),
        (click(b"9" * 257), "bad_identifier"),
        (click(b"9" * 10_000), "bad_identifier"),
        (click(ts=b"-1"), "bad_time"),
        (click(ts=str(MAX_TIME + 1).encode()), "bad_time"),
        (click(ts=b"9" * 30), "bad_time"),
        (click(ts=b"9" * 10_000), "bad_time"),
        (click(ts=b"1e999"), "bad_time"),
    ],
)
def test_each_reason_has_its_own_name(value: bytes | None, reason: str) -> None:
    assert rejected(decode_click, value).reason == reason


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (click(b"7"), Click("7", "i", NOW)),
        (click(b"-7"), Click("-7", "i", NOW)),
        (click(b"9" * 30), Click("9" * 30, "i", NOW)),
        (click(b'"\\u0000"'), Click("\0", "i", NOW)),
        (click(b'"\\ud83d\\ude00"'), Click("\U0001f600", "i", NOW)),
        (click(b'"' + b"a" * 256 + b'"'), Click("a" * 256, "i", NOW)),
        (click(ts=str(MAX_TIME).encode()), Click("u", "i", MAX_TIME)),
        (click()[:-1] + b', "more": [{}]}', Click("u", "i", NOW)),
        (click()[:-1] + b', "ts": %d}' % (NOW + 1), Click("u", "i", NOW + 1)),
    ],
)
def test_what_is_taken(value: bytes, wanted: Click) -> None:
    assert decode_click(value) == wanted


REQUEST = {"request_id": 1, "user_id": "u", "ts": NOW}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"candidates": [""]}, "bad_identifier"),
        ({"candidates": ["a", "é" * 200]}, "bad_identifier"),
        ({"candidates": [True]}, "wrong_type"),
        ({"candidates": "a"}, "wrong_type"),
        ({"top_k": 0}, "wrong_type"),
        ({"top_k": 10**30}, "wrong_type"),
        ({"request_id": ""}, "bad_identifier"),
        ({"ts": -1}, "bad_time"),
    ],
)
def test_requests_are_checked(more: dict[str, Any], reason: str) -> None:
    attempted = json.dumps(REQUEST | more).encode()
    assert rejected(decode_request, attempted).reason == reason


def test_identifiers_of_requests_become_text() -> None:
    request = decode_request(json.dumps(REQUEST | {"candidates": [1, "b"], "top_k": None}).encode())
    assert request == Request("1", "u", NOW, ["1", "b"])


SECONDS, MICRO, NANO = (
    f"looks like {unit}"
    for unit in ("seconds: multiply by 1000", "microseconds: divide by 1000", "nanoseconds: divide")
)


@pytest.mark.parametrize(
    ("time", "reason", "said"),
    [
        ("0", "bad_time", ""),
        ("1732440000", "bad_time", SECONDS),
        ("631152000", "bad_time", SECONDS),
        ("1732440000.25", "wrong_type", SECONDS),
        (str(MIN_EVENT_TIME - 1), "bad_time", ""),
        (str(NOW * 10**6), "bad_time", NANO),
    ],
)
def test_a_time_in_another_unit_is_refused_and_the_unit_named(time: str, reason: str, said: str) -> None:
    messages = {
        decode_click: '{"user_id": "u", "item_id": "i", "ts": %s}',
        decode_request: '{"request_id": "r", "user_id": "u", "ts": %s}',
        decode_candidate: '{"item_id": "i", "expires_at": %s}',
    }
    for decode, value in messages.items():
        invalid = rejected(decode, (value % time).encode())
        assert (invalid.reason, said in invalid.detail) == (reason, True)
        assert ("looks like" in invalid.detail) == bool(said)


@pytest.mark.parametrize("time", [631_152_000_000, 889_237_269_000, MIN_EVENT_TIME])
def test_historic_times_in_milliseconds_are_taken(time: int) -> None:
    assert decode_click(click(ts=str(time).encode())).ts == time


def test_an_expiry_ends_with_the_year_9999() -> None:
    value = b'{"item_id": "i", "expires_at": %d}'
    assert decode_candidate(value % MAX_EXPIRY).expires_at == MAX_EXPIRY
    invalid = rejected(decode_candidate, value % (NOW * 1000))
    assert (invalid.reason, MICRO in invalid.detail) == ("bad_time", True)


def test_an_expiry_is_a_time() -> None:
    assert rejected(decode_candidate, b'{"item_id": "i", "expires_at": -1}').reason == "bad_time"
    assert decode_candidate(b'{"item_id": 5, "expires_at": null}') == Candidate("5")


def test_decoding_a_click_takes_no_longer_than_the_standard_decoder_that_checks_nothing() -> None:
    value = b'{"user_id": "user-123456", "item_id": "item-98765", "ts": 1732440000000, "referrer": "front"}'
    ours, plain = (min(timeit.repeat(lambda f=f: f(value), number=1000, repeat=50)) for f in (decode_click, json.loads))
    assert ours < plain


@pytest.mark.parametrize("prior", [-0.1, 1.01, 1e400, "0.1", True, float("nan")])
def test_a_prior_beyond_its_bounds_is_refused(prior: Any) -> None:
    value = json.dumps({"request_id": "r", "user_id": "u", "ts": NOW, "prior": prior}).encode()
    assert rejected(decode_request, value).reason in ("wrong_type", "not_json")


@pytest.mark.parametrize("prior", [0, 1, 0.25, None])
def test_a_prior_within_its_bounds_is_taken(prior: Any) -> None:
    value = json.dumps({"request_id": "r", "user_id": "u", "ts": NOW, "prior": prior}).encode()
    assert decode_request(value).prior == prior
