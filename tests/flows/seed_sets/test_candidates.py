"""The candidates topic as a law: the registry against the rule read off the messages, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.messages.batches import CandidateChange
from flows.seed_sets.candidates import FOR_EVER, CandidateRegistry
from state.store.seed_store import CandidateEntry

ITEMS = "abc"
REMEMBER = 1000
TIMES = st.integers(0, 5000)
MESSAGES = st.lists(st.tuples(st.sampled_from(ITEMS), TIMES, st.none() | TIMES, st.booleans()), max_size=12).map(
    lambda found: [
        CandidateChange(offset, item, retired, None if retired else expires_at, sent)
        for offset, (item, sent, expires_at, retired) in enumerate(sorted(found, key=lambda message: message[1]))
    ]
)


@dataclass
class Oracle:
    """What the messages on one item say, in the order of their times."""

    named: bool = False
    retired: bool = False
    expires_at: int = FOR_EVER
    ignored_until: int = -1

    def read(self, message: CandidateChange) -> None:
        ended = message.sent if self.retired else self.expires_at if self.expires_at <= message.sent else None
        if message.retired:
            self.expires_at = FOR_EVER
        else:
            self.expires_at = FOR_EVER if message.expires_at is None else message.expires_at
            self.ignored_until = self.ignored_until if ended is None else ended or -1
        self.named, self.retired = True, message.retired


def registry(messages: list[CandidateChange] = (), *, only_listed: bool = False) -> CandidateRegistry:  # type: ignore[assignment]
    made = CandidateRegistry([], only_listed=only_listed, remember=REMEMBER)
    for message in messages:
        made.apply(message)
    return made


def oracle(messages: list[CandidateChange], item: str) -> Oracle:
    found = Oracle()
    for message in messages:
        if message.item_id == item:
            found.read(message)
    return found


@given(MESSAGES, st.booleans(), TIMES)
def test_the_registry_says_what_the_messages_say(messages: list[CandidateChange], only_listed: bool, now: int) -> None:
    found = registry(messages, only_listed=only_listed)
    for item in ITEMS:
        expected = oracle(messages, item)
        assert found.is_listed(item) == (expected.named and not expected.retired)
        assert found.is_retired(item) == expected.retired
        assert found.is_candidate(item) == (not expected.retired and (expected.named or not only_listed))
        assert found.is_expired(item, now) == (expected.retired or expected.expires_at <= now)
    assert sorted(found.expired(now)) == [item for item in ITEMS if found.is_expired(item, now)]
    assert len(found) == len({message.item_id for message in messages})


@given(MESSAGES, TIMES)
def test_clicks_count_after_the_item_was_listed_again(messages: list[CandidateChange], now: int) -> None:
    found = registry(messages).ignore_before([*ITEMS, "never named"], now)
    if not messages:
        assert found is None
        return
    assert found is not None
    for item, time in zip(ITEMS, found.tolist(), strict=False):
        expected = oracle(messages, item)
        gone = expected.retired or expected.expires_at <= now
        assert time == (FOR_EVER if gone else expected.ignored_until)
    assert found[-1] == -1
    assert found.dtype == np.int64


@given(MESSAGES, st.integers(0, 12))
def test_a_restart_between_two_messages_changes_nothing(messages: list[CandidateChange], at: int) -> None:
    """What ``apply`` returns is what the store has: a registry made of it goes on as the first would."""
    stored: dict[str, CandidateEntry] = {}
    before = registry()
    for message in messages[:at]:
        stored[message.item_id] = before.apply(message)
    after = CandidateRegistry(stored.items(), only_listed=False, remember=REMEMBER)
    assert [after.apply(message) for message in messages[at:]] == [before.apply(message) for message in messages[at:]]


@given(MESSAGES, TIMES)
def test_what_is_forgotten_expired_long_ago_and_only_that(messages: list[CandidateChange], now: int) -> None:
    found = registry(messages)
    last = {message.item_id: message for message in messages}
    ends = {
        item: max(1, message.sent) if message.retired else oracle(messages, item).expires_at
        for item, message in last.items()
    }
    forgotten = found.forget(now)
    assert sorted(forgotten) == sorted(item for item, end in ends.items() if end + REMEMBER <= now)
    assert len(found) == len(ends) - len(forgotten)
    assert not any(found.is_expired(item, now) for item in forgotten)


@pytest.mark.parametrize("ask", [CandidateRegistry.is_listed, CandidateRegistry.is_retired])
def test_an_item_that_was_never_named_is_neither_listed_nor_retired(
    ask: Callable[[CandidateRegistry, str], bool],
) -> None:
    assert not ask(registry(), "a")
