"""What the demo replays: nobody asks before their time, nobody is unknown who was there before, and bad is bad."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest

from flows.config.settings import Settings
from flows.demo.story import NEW_ITEMS, WITH_CANDIDATES, Window, bad_messages, cut_into_windows, users_left_out
from flows.kafka.topics import TopicNames
from flows.messages.codec import decode_click, decode_request
from flows.messages.rejects import InvalidMessage
from flows.offline.datasets.layout import Dataset
from flows.support.errors import RalmError

DAY = 86_400_000
CUT = 40 * DAY + DAY // 2


@pytest.fixture(scope="module")
def data() -> Dataset:
    """200 users, 60 items, clicks over 60 days; users from 100 on come after the cut."""
    rng = np.random.default_rng(1)
    n = 3000
    times = np.sort(rng.integers(0, 60 * DAY, n))
    users = np.array([f"u{v:03d}" for v in np.where(times < CUT, rng.integers(0, 100, n), rng.integers(50, 180, n))])
    items = np.array([f"i{v:02d}" for v in rng.integers(0, 50, n)])
    user_ids, item_ids = np.array([f"u{v:03d}" for v in range(200)]), np.array([f"i{v:02d}" for v in range(60)])
    fields = {"age": ("continuous", np.arange(200, dtype=np.float32)), "job": ("categorical", np.full(200, "clerk"))}
    return Dataset("d", users, items, times, user_ids, fields, item_ids, np.full(60, ""))


@pytest.fixture(scope="module")
def story(data: Dataset) -> list[Window]:
    return cut_into_windows(data, cut=CUT, window=DAY, top_k=2000, rng_seed=0)


def test_every_click_after_the_cut_is_told_once_in_order(data: Dataset, story: list[Window]) -> None:
    told = [(c.ts, c.user_id, c.item_id) for window in story for c in window.clicks]
    rows = data.event_times >= CUT
    columns = (data.event_times[rows].tolist(), data.event_users[rows].tolist(), data.event_items[rows].tolist())
    assert told == list(zip(*columns, strict=True))
    assert all(window.start <= click.ts < window.start + DAY for window in story for click in window.clicks)


def test_each_user_asks_once_a_window_just_before_the_first_click(story: list[Window]) -> None:
    for window in story:
        first: dict[str, int] = {}
        for click in window.clicks:
            first.setdefault(click.user_id, click.ts)
        assert {r.user_id: r.ts for r in window.requests} == {
            user: max(ts - 1, window.start) for user, ts in first.items()
        }
    identifiers = [request.request_id for window in story for request in window.requests]
    assert len(set(identifiers)) == len(identifiers)


def test_candidates_are_what_was_clicked_before_the_window_and_a_few_that_nobody_clicked(story: list[Window]) -> None:
    seen: set[str] = set()
    asked = 0
    for window in story:
        for request in window.requests:
            asked += 1
            if asked % WITH_CANDIDATES:
                assert request.candidates is None
            else:
                named = set(request.candidates or [])
                assert named >= seen
                assert len(named - seen) == NEW_ITEMS
        seen |= {click.item_id for click in window.clicks}
    assert asked > 100


def test_it_can_be_cut_short(data: Dataset, story: list[Window]) -> None:
    short = cut_into_windows(data, cut=CUT, window=DAY, top_k=2000, rng_seed=0, days=3)
    assert len(short) == 4  # the cut is no midnight
    assert short[:3] == story[:3]


def test_the_same_seed_tells_the_same_story(data: Dataset, story: list[Window]) -> None:
    assert cut_into_windows(data, cut=CUT, window=DAY, top_k=2000, rng_seed=0) == story


def test_newcomers_requests_bring_what_is_known_of_them(data: Dataset, story: list[Window]) -> None:
    newcomers = users_left_out(data, CUT, rng_seed=0)
    told = cut_into_windows(data, cut=CUT, window=DAY, top_k=2000, rng_seed=0, newcomers=newcomers)
    names, brought = set(data.user_ids[newcomers].tolist()), set()
    for window, plain in zip(told, story, strict=True):
        for request in window.requests:
            assert (request.profile is not None) is (request.user_id in names)
            if request.profile is not None:
                brought.add(request.user_id)
                (row,) = np.flatnonzero(data.user_ids == request.user_id)
                assert request.profile == {name: str(column[row]) for name, (_, column) in data.fields.items()}
        bare = [msgspec.structs.replace(request, profile=None) for request in window.requests]
        assert bare == plain.requests
    assert brought == names


def test_no_click_after_the_cut_is_an_error(data: Dataset) -> None:
    with pytest.raises(RalmError, match="no click after the cut"):
        cut_into_windows(data, cut=60 * DAY, window=DAY, top_k=10, rng_seed=0)


def test_those_who_are_left_out_came_after_the_cut(data: Dataset) -> None:
    left_out = users_left_out(data, CUT, rng_seed=0)
    assert len(left_out) == 10  # 5% of 200
    names = set(data.user_ids[left_out].tolist())
    assert names <= set(data.event_users.tolist())
    assert not names & set(data.event_users[data.event_times < CUT].tolist())
    np.testing.assert_array_equal(left_out, users_left_out(data, CUT, rng_seed=0))


def test_bad_messages_are_refused_each_for_a_reason_that_can_be_seen() -> None:
    settings = Settings()
    names = TopicNames.of(settings)
    reasons: list[Any] = []
    for message in bad_messages(names, settings.max_message_bytes):
        try:
            decode = decode_click if message.topic == names.clicks else decode_request
            decode(message.value)
        except InvalidMessage as invalid:
            reasons.append(invalid.reason)
        else:  # readable: too long, without a key, or far in the future
            value = message.value or b""
            long, keyless = len(value) > settings.max_message_bytes, message.key is None
            assert long or keyless or json.loads(value)["ts"] > 10**12
            reasons.append("readable")
    assert sorted(reasons) == [
        "bad_time",
        "empty_value",
        "missing_field",
        "missing_field",
        "not_json",
        "not_utf8",
        "readable",
        "readable",
        "readable",
        "wrong_type",
        "wrong_type",
    ]
