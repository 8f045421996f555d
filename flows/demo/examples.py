"""What the demo shows by name: three users and their best films, and a film that training never saw.

All of it is read from the topics, as the figures are; names and profiles are the data set's.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from flows.demo.read_back import ReadBack
from flows.demo.summary import first_of_each
from flows.messages.types import Click, Request, Scores
from flows.offline.datasets.layout import Dataset
from flows.offline.datasets.words import Text
from ralm.protocol.next_clicks import NEXT_CLICKS, PLACES

USERS = 3
FILMS = 5
"""Films that are shown of a user."""
LIKED = 3
"""Films that a user liked before, which are shown beside them."""
SHOWN = 3
"""First recommendations of the new film that are shown."""
_LEAST_LIKED = 20
"""Clicks before the cut of a user who is shown: fewer say little of a taste."""


@dataclass(frozen=True)
class UserExample:
    """A user, and what was recommended.

    Attributes:
        user_id: who.
        profile: what is known of the user, as text.
        liked: titles of the last films that the user liked before the request.
        best: titles of the best films that the user did not know, and whether the user clicked each soon afterwards.
    """

    user_id: str
    profile: str
    liked: list[str]
    best: list[tuple[str, bool]]


@dataclass(frozen=True)
class Recommendation:
    """An item among a user's best.

    Attributes:
        user_id: whose.
        place: from 1.
        ts: of the request, ms.
        clicked: whether the user clicked it soon afterwards.
    """

    user_id: str
    place: int
    ts: int
    clicked: bool


@dataclass(frozen=True)
class ItemExample:
    """An item that had no click before the cut.

    Attributes:
        title: its name.
        first_click: ms.
        clustered: end of the window whose close gave its first centroids, ms.
        seeds: that it had then.
        recommended: its first recommendations, in time order.
        times: how often it was among a user's best in all.
        came_true: of these, how often the user clicked it soon afterwards.
    """

    title: str
    first_click: int
    clustered: int
    seeds: int
    recommended: list[Recommendation]
    times: int
    came_true: int


class Examples:
    """Finds them.

    Args:
        topics: what the topics hold.
        data: the data set.
        cut: ms; the bundle knows the clicks before it.
    """

    def __init__(self, topics: ReadBack, data: Dataset, cut: int) -> None:
        self._data, self._cut = data, cut
        clicks = (sent.message for sent in topics.clicks)
        self._clicks = sorted(clicks, key=lambda click: (click.ts, click.user_id, click.item_id))
        self._of_user: dict[str, list[Click]] = {}
        earlier = np.flatnonzero(data.event_times < cut).tolist()
        history = [Click(str(data.event_users[r]), str(data.event_items[r]), int(data.event_times[r])) for r in earlier]
        for click in [*history, *self._clicks]:
            self._of_user.setdefault(click.user_id, []).append(click)
        self._before = set(data.event_items[earlier].tolist())
        self._centroids = topics.centroids
        requests, answers = first_of_each(topics.requests), first_of_each(topics.answers)
        self._asked = sorted(
            ((requests[key], answers[key]) for key in requests if key in answers and answers[key].message.scores),
            key=lambda pair: (pair[0].message.ts, pair[0].message.request_id),
        )

    def users(self) -> list[UserExample]:
        """The users whose taste training knew best, of different profiles, as of their last open question."""
        last: dict[str, tuple[Request, Scores]] = {}
        for request, answer in self._open():
            if len(self._ranking(request, answer)) >= FILMS:
                last[request.user_id] = (request, answer)
        known = {user: sum(click.ts < self._cut for click in self._of_user.get(user, ())) for user in last}
        found: list[UserExample] = []
        for user in sorted(last, key=lambda user: (-known[user], user)):
            profile = self._profile(user)
            if known[user] < _LEAST_LIKED or len(found) == USERS:
                break
            if profile and any(profile == other.profile for other in found):
                continue
            request, answer = last[user]
            liked = [click.item_id for click in self._of_user[user] if click.ts < request.ts][-LIKED:]
            wanted = self._following(request)
            best = [(self._title(item), item in wanted) for item in self._ranking(request, answer)[:FILMS]]
            found.append(UserExample(user, profile, [self._title(item) for item in reversed(liked)], best))
        return found

    def item(self) -> ItemExample | None:
        """The new item that was recommended most often to users who then clicked it; None where no new one was."""
        firsts: dict[str, tuple[int, int]] = {}
        for sent in self._centroids:
            made = sent.message
            if made.item_id not in self._before:
                entry = (made.window_end, made.seeds)
                firsts[made.item_id] = min(entry, firsts.get(made.item_id, entry))
        shown: dict[str, list[Recommendation]] = {item: [] for item in firsts}
        for request, answer in self._open():
            wanted = self._following(request)
            for place, item in enumerate(self._ranking(request, answer)[:PLACES], 1):
                if item in shown:
                    shown[item].append(Recommendation(request.user_id, place, request.ts, item in wanted))
        if not any(shown.values()):
            return None
        best = max(shown, key=lambda item: (sum(r.clicked for r in shown[item]), len(shown[item]), item))
        first_click = next(click.ts for click in self._clicks if click.item_id == best)
        came_true = sum(r.clicked for r in shown[best])
        return ItemExample(
            self._title(best), first_click, *firsts[best], shown[best][:SHOWN], len(shown[best]), came_true
        )

    def distinct(self) -> int:
        """How many different items stand among the best of all answered requests."""
        return len({item for request, answer in self._open() for item in self._ranking(request, answer)[:PLACES]})

    def _open(self) -> Iterator[tuple[Request, Scores]]:
        """Answered requests for which all live items competed, in time order."""
        return ((r.message, a.message) for r, a in self._asked if r.message.candidates is None)

    def _ranking(self, request: Request, answer: Scores) -> list[str]:
        """The items of an answer that the user had not clicked."""
        had = {click.item_id for click in self._of_user.get(request.user_id, ()) if click.ts < request.ts}
        return [item.item_id for item in answer.scores if item.item_id not in had]

    def _following(self, request: Request) -> set[str]:
        later = (click.item_id for click in self._of_user.get(request.user_id, ()) if click.ts >= request.ts)
        return {item for item, _ in zip(later, range(NEXT_CLICKS), strict=False)}

    def _title(self, item_id: str) -> str:
        row = _row(self._data.item_ids, item_id)
        title = "" if self._data.titles is None or row is None else str(self._data.titles[row])
        return title or item_id

    def _profile(self, user_id: str) -> str:
        row = _row(self._data.user_ids, user_id)
        if row is None:
            return ""
        parts = [(name, kind, column[row]) for name, (kind, column) in self._data.fields.items()]
        texts = ((name, f"{value:g}" if kind == "continuous" else str(value)) for name, kind, value in parts)
        return ", ".join(f"{name} {text}" for name, text in texts if text)


def _row(ids: Text, wanted: str) -> int | None:
    rows = np.flatnonzero(ids == wanted)
    return int(rows[0]) if len(rows) else None
