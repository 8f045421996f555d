"""The candidates topic as a law: the registry against the messages themselves, and what is served against the rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.messages.batches import CandidateChange
from flows.seed_sets.candidates import NOT_NAMED, CandidateRegistry, ServingRule
from flows.seed_sets.item_table import ItemTable
from state.store.layout import FOR_EVER, RETIRED
from state.store.seed_store import CandidateEntry

ITEMS = "abcdef"
TIMES = st.integers(1, 5000)
MESSAGES = st.lists(st.tuples(st.sampled_from(ITEMS), st.none() | TIMES, st.booleans()), max_size=20).map(
    lambda found: [
        CandidateChange(offset, item, retired, None if retired else expires_at)
        for offset, (item, expires_at, retired) in enumerate(found)
    ]
)
MOST = st.integers(1, 7)


def said(message: CandidateChange) -> int:
    if message.retired:
        return RETIRED
    return FOR_EVER if message.expires_at is None else message.expires_at


def registry(messages: list[CandidateChange], most: int) -> tuple[CandidateRegistry, dict[str, CandidateEntry]]:
    """A registry that has read messages, and what is stored of it."""
    made, stored = CandidateRegistry([], most), {}
    for message in messages:
        for item, entry in made.apply(message).items():
            if entry is None:
                del stored[item]
            else:
                stored[item] = entry
    return made, stored


def known(found: CandidateRegistry) -> dict[str, int]:
    return {item: found.expires_at(item) for item in ITEMS if found.expires_at(item) != NOT_NAMED}


@given(MESSAGES, MOST)
def test_the_last_message_on_an_item_holds_and_the_newest_are_known(messages: list[CandidateChange], most: int) -> None:
    last = {message.item_id: message for message in messages}
    newest = sorted(last.values(), key=lambda message: message.offset)[-most:]
    found, _ = registry(messages, most)
    assert known(found) == {message.item_id: said(message) for message in newest}
    assert len(found) == len(newest)


@given(MESSAGES, MOST, st.integers(0, 20))
def test_a_restart_between_two_messages_changes_nothing(messages: list[CandidateChange], most: int, at: int) -> None:
    before, stored = registry(messages[:at], most)
    after = CandidateRegistry(stored.items(), most)
    assert [after.apply(message) for message in messages[at:]] == [before.apply(message) for message in messages[at:]]


@given(MESSAGES, MOST)
def test_a_compacted_topic_read_anew_says_the_same(messages: list[CandidateChange], most: int) -> None:
    last = {message.item_id: message for message in messages}
    compacted = [message for message in messages if last[message.item_id] is message]
    assert known(registry(messages, most)[0]) == known(registry(compacted, most)[0])


def test_a_lower_bound_forgets_the_oldest_messages() -> None:
    _, stored = registry([CandidateChange(n, item, False, None) for n, item in enumerate("abc")], 3)
    found = CandidateRegistry(stored.items(), 1)
    assert sorted(found.forget()) == ["a", "b"]
    assert known(found) == {"c": FOR_EVER}


@given(
    st.lists(st.tuples(st.sampled_from([NOT_NAMED, RETIRED, FOR_EVER, 100, 2000]), st.integers(0, 5000)), max_size=9),
    st.booleans(),
    st.integers(0, 3000),
    st.integers(0, 9000),
)
def test_what_is_served_follows_from_the_last_message_the_settings_and_the_last_click(
    rows: list[tuple[int, int]], only_listed: bool, ttl: int, now: int
) -> None:
    items = ItemTable()
    numbers = np.array([items.number(str(n)) for n in range(len(rows))], np.int64)
    for number, (expires_at, last_click) in zip(numbers.tolist(), rows, strict=True):
        items.expires_at[number], items.last_click[number] = expires_at, last_click
    found = ServingRule(only_listed=only_listed, item_ttl=ttl).served(items, numbers, now)
    for served, (expires_at, last_click) in zip(found.tolist(), rows, strict=True):
        if expires_at == NOT_NAMED:
            assert served == (not only_listed and (not ttl or last_click + ttl >= now))
        else:
            assert served == (expires_at > now)


@pytest.mark.parametrize(
    ("expires_at", "only_listed", "reason"),
    [(RETIRED, False, "retired"), (1000, True, "expired"), (NOT_NAMED, True, "unlisted"), (NOT_NAMED, False, "idle")],
)
def test_why_an_item_is_not_served(expires_at: int, only_listed: bool, reason: str) -> None:
    assert ServingRule(only_listed=only_listed, item_ttl=1).reason(expires_at) == reason
