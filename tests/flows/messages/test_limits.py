"""The limits of messages fit one another: what one setting allows, no other refuses, cuts or cannot send."""

from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from flows.config.limits import MAX_IDENTIFIER_BYTES
from flows.config.rules import doubtful
from flows.config.settings import Settings
from flows.kafka.config import consumer_config, producer_config
from flows.messages.batches import RawBatch
from flows.messages.codec import MAX_VALUE_BYTES, encode_message, encode_scores
from flows.messages.decode import Decoded, Decoder
from flows.messages.types import Request, ScoredItem, Scores

LONGEST = "x" * MAX_IDENTIFIER_BYTES
NOW = 1_764_000_000_000
DEFAULTS = Settings()


def decoded(settings: Settings, value: bytes, key: bytes) -> Decoded[Any]:
    message: Any = Message(topic="requests", partition=0, offset=0, key=key, value=value, headers=[])
    batch = RawBatch("requests", "requests", 0, [message], 1, 0, NOW)
    return Decoder(settings, tell=False).requests(batch)


def largest_request(settings: Settings, length: int = MAX_IDENTIFIER_BYTES) -> bytes:
    names = [f"{number:0{length}d}" for number in range(settings.max_candidates)]
    return encode_message(Request(LONGEST, "u", NOW, names, settings.max_top_k))


@pytest.mark.parametrize("length", [5, 11, 36, MAX_IDENTIFIER_BYTES])
def test_a_request_with_as_many_candidates_as_are_allowed_is_taken_by_default(length: int) -> None:
    found = decoded(DEFAULTS, largest_request(DEFAULTS, length), b"u")
    assert not found.dead_letters
    assert len(found.good.requests[0].candidates) == DEFAULTS.max_candidates


def test_any_message_that_is_allowed_by_default_is_kept_whole_when_it_is_refused_for_another_reason() -> None:
    value = b"{" + b" " * (DEFAULTS.max_message_bytes - 1)
    (dead,) = decoded(DEFAULTS, value, LONGEST.encode()).dead_letters
    assert dead.value == value
    assert not [name for name, _ in dead.headers if name.startswith("original_")]


def test_what_a_flow_may_make_or_copy_by_default_it_may_send() -> None:
    most = producer_config(DEFAULTS)["message.max.bytes"]
    assert max(MAX_VALUE_BYTES, DEFAULTS.dead_letter_max_bytes) + 3 * MAX_IDENTIFIER_BYTES < most
    assert DEFAULTS.max_message_bytes < most
    assert DEFAULTS.max_message_bytes < consumer_config(DEFAULTS)["queued.max.messages.kbytes"] * 1024
    assert not list(doubtful(DEFAULTS))
    assert ["sketches" in doubt for doubt in doubtful(Settings(neighbours=1))] == [True]
    assert not list(doubtful(Settings(neighbours=1, sketches=True)))


def test_an_answer_with_as_many_scores_as_are_allowed_by_default_is_not_cut() -> None:
    longest = -0.12345678901234567
    item = ScoredItem(LONGEST, -1.2345678901234567, longest, longest, 2**53 - 1, longest)
    items, stale = [item] * DEFAULTS.max_top_k, [LONGEST] * DEFAULTS.max_top_k
    assert len(encode_scores(Scores(LONGEST, LONGEST, "ok", LONGEST, 2**53 - 1, items, [], stale))) <= MAX_VALUE_BYTES


@given(st.integers(1000, 100_000), st.integers(1, 300))
def test_whatever_the_limits_are_each_allows_what_the_other_does(max_bytes: int, candidates: int) -> None:
    settings = Settings(max_message_bytes=max_bytes, max_candidates=candidates)
    assert not decoded(settings, largest_request(settings), b"u").dead_letters
    (dead,) = decoded(
        settings, largest_request(Settings(max_candidates=candidates + 1), 1 + candidates // 9), b"u"
    ).dead_letters
    assert dict(dead.headers)["reason"] == b"too_many_candidates"
