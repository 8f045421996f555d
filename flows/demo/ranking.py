"""Hit rates: what the scores put first, and what popularity would have, beside what the users clicked next.

For each answered request: *next* are the user's next 10 clicks, the first of them right after the request. The scores'
ranking is the answer's; popularity ranks by the clicks before the start of the request's window, which are the clicks
that the scores' seed sets had. Both leave out what the user had clicked before, both rank the request's candidates
where it names some, and both are judged on the same requests. A hit is one of the next clicks among the first 10.

*Tail*: the less clicked 80% of the catalogue, by all clicks before the window's start, those before the cut included.
Rankings and next clicks are then restricted to these items, and requests with no such next click are left out.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from flows.messages.types import Click, Request, Scores
from ralm.accuracy import hit_rate
from ralm.protocol.exposure import TAIL

BEST = 10
"""Places of a ranking that are looked at, and next clicks that are hits."""


@dataclass(frozen=True)
class HitRate:
    """Hit rates over the same requests; NaN when nothing was judged.

    Attributes:
        rate: of the scores.
        rate_popularity: of the popularity ranking.
        requests: that were judged.
    """

    rate: float
    rate_popularity: float
    requests: int


class _Hits:
    """Which of the best places of two rankings were hits, a row for each judged request."""

    def __init__(self) -> None:
        self._scored: list[list[bool]] = []
        self._popular: list[list[bool]] = []

    def add(self, scored: Sequence[str], popular: Sequence[str], wanted: Collection[str]) -> None:
        for rows, ranking in ((self._scored, scored), (self._popular, popular)):
            best = [item in wanted for item in ranking[:BEST]]
            rows.append(best + [False] * (BEST - len(best)))

    def rate(self) -> HitRate:
        return HitRate(hit_rate(np.array(self._scored)), hit_rate(np.array(self._popular)), len(self._scored))


class RankingJudge:
    """Judges answers; requests must come in the order of their windows.

    Args:
        clicks: the clicks that were replayed, in event-time order.
        history: the clicks before the cut.
        catalogue: all items.
        window: length of a window, ms.
    """

    def __init__(
        self, clicks: Sequence[Click], history: Sequence[Click], catalogue: Sequence[str], window: int
    ) -> None:
        self._all_items, self._tail = _Hits(), _Hits()
        self._clicks = clicks
        self._times = [click.ts for click in clicks]
        self._window = window
        self._catalogue = catalogue
        self._replayed: Counter[str] = Counter()
        self._ever = Counter(click.item_id for click in history)
        self._counted = 0
        self._of_user: dict[str, list[Click]] = {}
        for click in clicks:
            self._of_user.setdefault(click.user_id, []).append(click)
        self._had: dict[str, set[str]] = {}
        for click in history:
            self._had.setdefault(click.user_id, set()).add(click.item_id)
        self._popular: list[str] = []
        self._in_tail: frozenset[str] = frozenset()
        self._start = -1

    @property
    def all_items(self) -> HitRate:
        """Hit rates over all items."""
        return self._all_items.rate()

    @property
    def tail(self) -> HitRate:
        """Hit rates over the tail."""
        return self._tail.rate()

    def see(self, request: Request, answer: Scores) -> None:
        """Judge the answer to a request; one without scores is passed over, and so is one that no click follows."""
        self._move_to(request.ts // self._window * self._window)
        mine = self._of_user.get(request.user_id, [])
        place = bisect_left(mine, request.ts, key=lambda click: click.ts)
        wanted = {click.item_id for click in mine[place : place + BEST]}
        if answer.status != "ok" or not wanted:
            return
        known = self._had.get(request.user_id, set()) | {click.item_id for click in mine[:place]}
        named = None if request.candidates is None else set(request.candidates)
        scored = [item.item_id for item in answer.scores if item.item_id not in known]
        popular = [item for item in self._popular if item not in known and (named is None or item in named)]
        self._all_items.add(scored, popular, wanted)
        wanted &= self._in_tail
        if wanted:
            scored, popular = ([item for item in ranking if item in self._in_tail] for ranking in (scored, popular))
            self._tail.add(scored, popular, wanted)

    def _move_to(self, start: int) -> None:
        """Count the clicks before a window's start."""
        if start == self._start:
            return
        self._start = start
        until = bisect_left(self._times, start)
        new = Counter(click.item_id for click in self._clicks[self._counted : until])
        self._counted = until
        self._replayed += new
        self._ever += new
        self._popular = _by_count(self._replayed, self._replayed)
        self._in_tail = frozenset(_by_count(self._catalogue, self._ever)[round((1 - TAIL) * len(self._catalogue)) :])


def _by_count(items: Iterable[str], counts: Counter[str]) -> list[str]:
    """The most clicked first; of equally clicked ones the lesser name."""
    return sorted(items, key=lambda item: (-counts[item], item))
