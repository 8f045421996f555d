"""The demo's figures, recomputed from what the topics hold after the run; no counter kept while sending goes in."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from flows.demo.ranking import HitRate, RankingJudge
from flows.demo.read_back import ReadBack, Sent
from flows.messages.types import Click, Request, Scores

_Asked = TypeVar("_Asked", Request, Scores)


@dataclass(frozen=True)
class DemoSummary:
    """What came of the demo.

    Attributes:
        clicks: readable clicks.
        users: who clicked.
        new_users: those of them who had not clicked before the cut.
        seed_sets: items with a click, each of which has a seed set.
        windows: distinct window ends among centroids and scores, that is, windows whose close gave centroids.
        items_clustered: items with centroids.
        requests: readable requests, distinct by identifier.
        scored: requests with status ``ok``.
        unknown: requests with status ``unknown_user``.
        no_candidates: requests with status ``no_candidates``.
        cold: answers that name a cold item.
        unanswered: requests without an answer.
        from_the_future: answers with centroids of a window that ends after the request; there must be none.
        dead_letters: how many messages were refused, by reason.
        all_items: hit rates.
        tail: hit rates over the less clicked items.
        clicks_seconds: sum over windows from the first click to the first request.
        requests_seconds: sum over windows from the first request to the last answer.
        latencies: ms from a request to its first answer, ascending.
    """

    clicks: int
    users: int
    new_users: int
    seed_sets: int
    windows: int
    items_clustered: int
    requests: int
    scored: int
    unknown: int
    no_candidates: int
    cold: int
    unanswered: int
    from_the_future: int
    dead_letters: Counter[str]
    all_items: HitRate
    tail: HitRate
    clicks_seconds: float
    requests_seconds: float
    latencies: list[int]

    def figures(self) -> dict[str, Any]:
        """What ``summary.json`` holds: rates are None where nothing was judged."""
        return {
            "clicks": self.clicks,
            "seed_sets": self.seed_sets,
            "windows": self.windows,
            "items_clustered": self.items_clustered,
            "requests": self.requests,
            "scored": self.scored,
            "cold": self.cold,
            "unknown": self.unknown,
            "dead_letters": self.dead_letters.total(),
            "hit_rate": _number(self.all_items.rate, 4),
            "hit_rate_popularity": _number(self.all_items.rate_popularity, 4),
            "hit_rate_tail": _number(self.tail.rate, 4),
            "hit_rate_tail_popularity": _number(self.tail.rate_popularity, 4),
            "clicks_per_s": _number(_rate(self.clicks, self.clicks_seconds), 1),
            "requests_per_s": _number(_rate(self.requests, self.requests_seconds), 1),
            "latency_p50_ms": _number(self.latency(50), 1),
            "latency_p99_ms": _number(self.latency(99), 1),
        }

    def latency(self, percent: float) -> float:
        """A percentile of the latencies, ms."""
        return float(np.percentile(self.latencies, percent)) if self.latencies else float("nan")


def summarise(topics: ReadBack, history: Sequence[Click], catalogue: Sequence[str], window: int) -> DemoSummary:
    """Make the summary.

    Args:
        topics: what the topics hold.
        history: the clicks before the cut, which were not replayed.
        catalogue: all items.
        window: length of a window, ms.
    """
    clicks = sorted(topics.clicks, key=lambda sent: (sent.message.ts, sent.message.user_id, sent.message.item_id))
    users = {sent.message.user_id for sent in clicks}
    requests = first_of_each(topics.requests)
    answers = first_of_each(topics.answers)
    answered = {key: answers[key] for key in requests if key in answers}
    judge = RankingJudge([sent.message for sent in clicks], history, catalogue, window)
    for key in sorted(answered, key=lambda key: (requests[key].message.ts, key)):
        judge.see(requests[key].message, answered[key].message)
    status = Counter(answer.message.status for answer in answered.values())
    taking, answering = _phases(clicks, requests, answered, window)
    ends = {sent.message.window_end for sent in topics.centroids}
    ends.update(item.window_end for answer in answered.values() for item in answer.message.scores)
    return DemoSummary(
        clicks=len(clicks),
        users=len(users),
        new_users=len(users - {click.user_id for click in history}),
        seed_sets=len({sent.message.item_id for sent in clicks}),
        windows=len(ends),
        items_clustered=len({sent.message.item_id for sent in topics.centroids}),
        requests=len(requests),
        scored=status["ok"],
        unknown=status["unknown_user"],
        no_candidates=status["no_candidates"],
        cold=sum(bool(answer.message.cold) for answer in answered.values()),
        unanswered=len(requests) - len(answered),
        from_the_future=sum(
            any(item.window_end > requests[key].message.ts for item in answer.message.scores)
            for key, answer in answered.items()
        ),
        dead_letters=Counter(topics.dead_letters.values()),
        all_items=judge.all_items,
        tail=judge.tail,
        clicks_seconds=taking,
        requests_seconds=answering,
        latencies=sorted(answer.at - requests[key].at for key, answer in answered.items()),
    )


def first_of_each(sent: Iterable[Sent[_Asked]]) -> dict[str, Sent[_Asked]]:
    """The first message of each request: a repeated one is the same question, or the same answer, again."""
    first: dict[str, Sent[_Asked]] = {}
    for one in sent:
        known = first.get(one.message.request_id)
        if known is None or one.at < known.at:
            first[one.message.request_id] = one
    return first


def _phases(
    clicks: Iterable[Sent[Click]], requests: dict[str, Sent[Request]], answers: dict[str, Sent[Scores]], window: int
) -> tuple[float, float]:
    """Seconds spent on clicks, and on requests, from when the messages were sent, window by window."""
    first_click: dict[int, int] = {}
    for click in clicks:
        number = click.message.ts // window
        first_click[number] = min(click.at, first_click.get(number, click.at))
    first_request: dict[int, int] = {}
    last_answer: dict[int, int] = {}
    for key, request in requests.items():
        number = request.message.ts // window
        first_request[number] = min(request.at, first_request.get(number, request.at))
        if key in answers:
            last_answer[number] = max(answers[key].at, last_answer.get(number, 0))
    taking = sum(first_request[n] - at for n, at in first_click.items() if n in first_request)
    answering = sum(at - first_request[n] for n, at in last_answer.items())
    return taking / 1000, answering / 1000


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else float("nan")


def _number(value: float, digits: int) -> float | None:
    return None if np.isnan(value) else round(value, digits)
