"""What the demo replays: the clicks after the cut window by window, the requests among them, a few bad messages."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flows.kafka.producer import ProducerRecord
from flows.kafka.topics import TopicNames
from flows.messages.types import Click, Request
from flows.offline.datasets.layout import Dataset
from flows.offline.datasets.words import among, as_words
from flows.support.errors import RalmError
from ralm.features import Ints

CUT = 0.7
"""Share of the clicks that the bundle is trained on; the rest is replayed."""
LEFT_OUT = 0.05
"""Share of all users who have no vector in the bundle; drawn among those whose first click is after the cut."""
WITH_CANDIDATES = 4
"""Each so many-th request names its candidates."""
NEW_ITEMS = 10
"""Candidates of such a request that nobody has clicked yet: they must come back as cold."""
_YEAR_MS = 365 * 86_400_000


@dataclass(frozen=True)
class Window:
    """What is sent in one window of event time: first all clicks, then, once they are taken in, all requests.

    Attributes:
        start: ms since the epoch.
        clicks: in event-time order.
        requests: one for each user who clicks in the window, at the time just before the first of these clicks.
    """

    start: int
    clicks: list[Click]
    requests: list[Request]


def users_left_out(data: Dataset, cut: int, rng_seed: int) -> Ints:
    """The users (numbers) who get no vector: they came after the training."""
    came_before = among(data.user_ids, data.event_users[data.event_times < cut])
    clicked = among(data.user_ids, data.event_users)
    new = np.flatnonzero(clicked & ~came_before)
    count = min(len(new), round(LEFT_OUT * len(data.user_ids)))
    chosen: Ints = np.sort(np.random.default_rng(rng_seed).choice(new, count, replace=False))
    return chosen


def cut_into_windows(
    data: Dataset,
    *,
    cut: int,
    window: int,
    top_k: int,
    rng_seed: int,
    days: int | None = None,
    newcomers: Ints | None = None,
) -> list[Window]:
    """Cut the clicks after a time into windows and put the requests in.

    Args:
        data: the data set.
        cut: ms since the epoch; earlier clicks are not replayed.
        window: length of a window, ms.
        top_k: scores that each request asks for.
        rng_seed: fixes which items nobody has clicked yet are named as candidates.
        days: only so many days of clicks.
        newcomers: users (numbers) whose requests bring their profiles; None: nobody's do.

    Raises:
        RalmError: when there is no click after the cut.
    """
    times = data.event_times
    until = np.inf if days is None else cut + days * 86_400_000
    rows = np.flatnonzero((times >= cut) & (times < until))
    if not len(rows):
        msg = f"{data.name}: there is no click after the cut"
        raise RalmError(msg)
    rng = np.random.default_rng(rng_seed)
    profiles = {str(data.user_ids[user]): _profile(data, user) for user in ([] if newcomers is None else newcomers)}
    seen: dict[str, None] = {}
    story: list[Window] = []
    asked = 0
    for number in np.unique(times[rows] // window):
        part = rows[times[rows] // window == number]
        clicks = [Click(str(data.event_users[r]), str(data.event_items[r]), int(times[r])) for r in part]
        start = int(number) * window
        requests = []
        for user, first in _first_clicks(clicks).items():
            asked += 1
            named = _candidates(data, seen, rng) if asked % WITH_CANDIDATES == 0 else None
            ts = max(first - 1, start)
            requests.append(Request(f"r{asked:06d}", user, ts, named, top_k, profile=profiles.get(user)))
        seen.update(dict.fromkeys(click.item_id for click in clicks))
        story.append(Window(start, clicks, requests))
    return story


def bad_messages(names: TopicNames, max_message_bytes: int) -> list[ProducerRecord]:
    """Messages that nobody can use, one of each kind: they must end as dead letters and disturb nothing."""
    now = int(time.time() * 1000)

    def click(**fields: object) -> bytes:
        return json.dumps({"user_id": "1", "item_id": "1", "ts": now, **fields}).encode()

    clicks = [
        (b"1", b"\xff\xfe\x00"),  # not UTF-8
        (b"1", b'{"user_id": "1", '),  # not JSON
        (b"1", click(ts="yesterday")),
        (b"1", b'{"item_id": "1", "ts": %d}' % now),  # whose click?
        (b"1", click(ts=now + _YEAR_MS)),
        (b"1", click(ts=now // 1000)),  # seconds
        (b"1", click(note="x" * max_message_bytes)),
        (b"1", b""),
        (None, click()),
    ]
    requests = [(b"1", b'{"user_id": "1", "ts": %d}' % now), (b"1", b"[]")]
    return [
        *(ProducerRecord(names.clicks, key, value) for key, value in clicks),
        *(ProducerRecord(names.requests, key, value) for key, value in requests),
    ]


def _profile(data: Dataset, user: int) -> dict[str, str]:
    """What is known of a user, as requests say it."""
    return {name: str(column[user]) for name, (_, column) in data.fields.items() if str(column[user])}


def _first_clicks(clicks: Sequence[Click]) -> dict[str, int]:
    """Each user's first click, ms, in the order of time."""
    first: dict[str, int] = {}
    for click in clicks:
        first.setdefault(click.user_id, click.ts)
    return first


def _candidates(data: Dataset, seen: dict[str, None], rng: np.random.Generator) -> list[str]:
    """Every item clicked before this window, and a few that nobody has clicked."""
    unseen = data.item_ids[~among(data.item_ids, as_words(list(seen)))]
    new = rng.choice(unseen, min(NEW_ITEMS, len(unseen)), replace=False)
    return [*seen, *(str(item) for item in new)]
