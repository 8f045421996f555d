"""Enrichment: a micro-batch of requests meets the live index and becomes answers."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from flows.config.groups import ScoringSettings
from flows.messages.batches import OutMessage, RequestBatch
from flows.messages.codec import MAX_VALUE_BYTES, encode_scores, shortened
from flows.messages.event_headers import EventHeaders
from flows.messages.types import Request, ScoredItem, Scores, Status
from flows.scoring.live_index import IndexView, LiveIndex
from flows.scoring.newcomers import Newcomers
from flows.scoring.sketched_items import SketchedItems
from flows.support.logs import get_logger
from monitoring import metrics
from ralm.features import Floats, Ints
from ralm.scoring import PairScores, score
from state.bundle.bundle import Bundle
from state.user_keys import user_keys

log = get_logger(__name__)


@dataclass(frozen=True)
class _Pool:
    """The candidates that some requests of a micro-batch share: their slots, int64[n], and the cold rest."""

    slots: Ints
    cold: list[str]


@dataclass(frozen=True)
class _Users:
    """B users.

    Attributes:
        rows: in the bundle, int64[B]; -1: it does not know them.
        vectors: float32[B, h].
        prior: weight of the prior, float32[B].
        activity: what their activity adds, float32[B].
    """

    rows: Ints
    vectors: Floats
    prior: Floats
    activity: Floats


class _Parts(NamedTuple):
    """A score and its parts for every pair, float32[B, n] each; the neighbours only where they are looked at."""

    score: Floats
    global_part: Floats
    local_part: Floats
    neighbours_part: Floats | None

    def of(self, row: int) -> "_Parts":
        """Those of one user, float32[n] each."""
        near = self.neighbours_part
        return _Parts(self.score[row], self.global_part[row], self.local_part[row], None if near is None else near[row])


class Enricher:
    """Answers requests; holds no state of its own.

    Args:
        bundle: the users' vectors and the form of the scores.
        index: the live index.
        options: how requests are answered.
        clock: seconds since the epoch.
        headers: of the answers; None: without those of CloudEvents.
    """

    def __init__(
        self,
        bundle: Bundle,
        index: LiveIndex,
        options: ScoringSettings,
        clock: Callable[[], float] = time.time,
        headers: EventHeaders | None = None,
    ) -> None:
        self._clock = clock
        self._bundle = bundle
        self._index = index
        self._options = options
        self._newcomers = Newcomers(bundle)
        self._headers = headers or EventHeaders("scores", bundle.version)
        if options.neighbours and bundle.sums is None:
            log.warning(
                "neighbours is set, but this bundle knows nobody's items: the setting changes no score",
                encoder=bundle.manifest["encoder"],
            )

    def answer(self, batch: RequestBatch) -> list[OutMessage]:
        """One answer for each request, in their order."""
        out: list[OutMessage] = []
        for first in range(0, len(batch.requests), self._options.score_batch):
            chunk = slice(first, first + self._options.score_batch)
            with metrics.SCORE_SECONDS.time():
                expired = self._expired(batch.sent[chunk])
                answers = self._score(batch.requests[chunk], expired, self._index.view)
            now = self._clock()
            for answer, sent in zip(answers, batch.sent[chunk], strict=True):
                headers = self._headers.of(answer.request_id, answer.user_id)
                out.append(OutMessage(answer.user_id.encode(), _encoded(answer), headers))
                if sent:
                    metrics.REQUEST_AGE_SECONDS.observe(max(0.0, now - sent / 1000))
        return out

    def _expired(self, sent: Sequence[int]) -> NDArray[np.bool_]:
        """Which messages, by their time (ms, 0 where unknown), are older than the timeout, bool[B]."""
        times, timeout = np.array(sent, np.int64), self._options.request_timeout
        if not timeout:
            return np.zeros(len(times), bool)
        return (times > 0) & (times < self._clock() * 1000 - timeout)

    def _score(self, requests: Sequence[Request], expired: NDArray[np.bool_], view: IndexView) -> list[Scores]:
        rows = self._bundle.vectors.rows(user_keys([request.user_id for request in requests]))
        answers: list[Scores] = [
            self._blank(request, "expired" if late else "unknown_user")
            for request, late in zip(requests, expired, strict=True)
        ]
        made, are_made = self._newcomers.vectors(requests, rows, expired)
        for candidates, members in _by_candidates(requests, np.flatnonzero(((rows >= 0) | are_made) & ~expired)):
            pool = _pool(view, candidates)
            if not len(pool.slots):
                for member in members:
                    answers[member] = self._blank(requests[member], "no_candidates", pool.cold)
                continue
            users = self._users([requests[member] for member in members.tolist()], rows[members], made[members])
            parts = self._parts(users, view, pool.slots, every=candidates is None)
            metrics.PAIRS.inc(parts.score.size)
            for row, member in enumerate(members):
                answers[member] = self._best(requests[member], view, pool, parts.of(row))
        for answer in answers:
            metrics.REQUESTS.labels(answer.status).inc()
            metrics.COLD.inc(bool(answer.cold))
            metrics.STALE.inc(bool(answer.stale))
        return answers

    def _users(self, requests: Sequence[Request], rows: Ints, made: Floats) -> _Users:
        """What users bring to a score: rows in the bundle, int64[B], or vectors made for them, float32[B, h]."""
        options, known = self._options, self._bundle.vectors
        inside = np.flatnonzero(rows >= 0)
        vectors, clicks = made.copy(), np.zeros(len(rows))
        vectors[inside] = known.gather(rows[inside])
        clicks[inside] = known.clicks[rows[inside]]
        priors = [options.prior if request.prior is None else request.prior for request in requests]
        activity = (options.activity * np.log1p(clicks)).astype(np.float32)
        return _Users(rows, vectors, np.array(priors, np.float32), activity)

    def _parts(self, users: _Users, view: IndexView, slots: Ints, *, every: bool) -> _Parts:
        """Score users against some slots; ``every``: these are all live ones."""
        pairs = self._pairs(users, view, None if every else slots)
        if not self._options.neighbours or view.sketched is None:
            return _Parts(*pairs, None)
        near = self._near(users.rows, view.sketched, slots)
        return _Parts(pairs.score + np.float32(self._options.neighbours) * near, *pairs[1:], near)

    def _near(self, rows: Ints, sketched: SketchedItems, slots: Ints) -> Floats:
        """What the users' newest items, as the bundle has them, say of some slots: float32[B, n]."""
        sums, items = self._bundle.sums, self._bundle.items
        if sums is None:  # said at the start
            return np.zeros((len(rows), len(slots)), np.float32)
        inside = rows >= 0
        history, start = sums.histories(rows[inside])
        near = np.zeros((len(rows), len(slots)), np.float32)
        near[inside] = sketched.near(items.keys[history], start, slots)
        return near

    def _pairs(self, users: _Users, view: IndexView, slots: Ints | None) -> PairScores:
        """Score users against some slots, or block by block against all live ones: float32[B, n] each."""
        form = self._bundle.form
        if slots is not None:
            return score(users.vectors, view.take(slots), form, users.prior, users.activity)
        parts = [(score(users.vectors, b.items, form, users.prior, users.activity), b.live) for b in view.blocks]
        return PairScores(*(np.concatenate([p[i][:, live] for p, live in parts], axis=1) for i in range(3)))

    def _best(self, request: Request, view: IndexView, pool: _Pool, parts: _Parts) -> Scores:
        wanted = min(request.top_k or self._options.top_k, self._options.max_top_k, len(pool.slots))
        best = np.argpartition(-parts.score, wanted - 1)[:wanted] if wanted < len(pool.slots) else np.arange(wanted)
        best = best[np.argsort(-parts.score[best], kind="stable")]
        scored, stale = [], []
        for place in best.tolist():
            slot = int(pool.slots[place])
            item_id, window_end = view.item_id(slot) or "", view.window_end(slot)
            total, global_, local = (float(part[place]) for part in parts[:3])
            near = UNSET if parts.neighbours_part is None else float(parts.neighbours_part[place])
            scored.append(ScoredItem(item_id, total, global_, local, window_end, near))
            if request.ts - window_end > self._options.stale_after:
                stale.append(item_id)
        return self._message(request, "ok", scored, pool.cold, stale)

    def _blank(self, request: Request, status: Status, cold: list[str] | None = None) -> Scores:
        return self._message(request, status, [], cold or [], [])

    def _message(
        self, request: Request, status: Status, scored: list[ScoredItem], cold: list[str], stale: list[str]
    ) -> Scores:
        return Scores(
            request_id=request.request_id,
            user_id=request.user_id,
            status=status,
            model_version=self._bundle.version,
            scored_at=int(self._clock() * 1000),
            scores=scored,
            cold=cold,
            stale=stale,
        )


def _encoded(answer: Scores) -> bytes:
    """The answer as JSON, no longer than a message may be."""
    value = encode_scores(answer)
    if len(value) <= MAX_VALUE_BYTES:
        return value
    metrics.TRUNCATED.inc()
    return encode_scores(shortened(answer))


def _by_candidates(
    requests: Sequence[Request], known: NDArray[np.intp]
) -> Iterator[tuple[tuple[str, ...] | None, Ints]]:
    """Group the requests of known users that ask for the same candidates: each group is one product."""
    groups: dict[tuple[str, ...] | None, list[int]] = {}
    for number in known.tolist():
        candidates = requests[number].candidates
        groups.setdefault(None if candidates is None else tuple(candidates), []).append(number)
    for candidates, members in groups.items():
        yield candidates, np.array(members, np.int64)


def _pool(view: IndexView, candidates: tuple[str, ...] | None) -> _Pool:
    if candidates is None:
        live = [np.flatnonzero(block.live) + n * len(block.live) for n, block in enumerate(view.blocks)]
        return _Pool(np.concatenate(live) if live else np.empty(0, np.int64), [])
    slots, cold = [], []
    for item_id in dict.fromkeys(candidates):  # a candidate named twice is one
        slot = view.slot(item_id)
        if slot is None:
            cold.append(item_id)
        else:
            slots.append(slot)
    return _Pool(np.array(slots, np.int64), cold)
