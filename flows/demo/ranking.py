"""Hit rates: what the scores put first, and what popularity would have, beside what the users clicked next.

For each answered request: *next* are the user's next 10 clicks, the first of them right after the request. The scores'
ranking is the answer's; popularity ranks by the clicks before the start of the request's window, which are the clicks
that the scores' seed sets had. Both leave out what the user had clicked before, both rank the request's candidates
where it names some, and both are judged on the same requests. A hit is one of the next clicks among the first 10.

*Tail*: the less clicked 80% of the catalogue, by all clicks before the window's start, those before the cut included.
Rankings and next clicks are then restricted to these items, and requests with no such next click are left out.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flows.messages.types import Click, Request, Scores
from ralm.features import Floats, Ints
from ralm.protocol.next_clicks import NEXT_CLICKS, Bools, hits_by_group, judged_requests, tail_of


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


class RankingJudge:
    """Judges answers, as ``ralm.protocol.next_clicks`` says; requests must come in the order of their windows.

    Args:
        clicks: the clicks that were replayed, in event-time order.
        history: the clicks before the cut.
        catalogue: all items.
        window: length of a window, ms.
    """

    def __init__(
        self, clicks: Sequence[Click], history: Sequence[Click], catalogue: Sequence[str], window: int
    ) -> None:
        self._numbers = {item: number for number, item in enumerate(sorted(catalogue))}
        self._window = window
        self._times = [click.ts for click in clicks]
        self._items = self._numbered(click.item_id for click in clicks)
        self._ever = np.bincount(self._numbered(click.item_id for click in history), minlength=len(self._numbers))
        self._replayed = np.zeros_like(self._ever)
        self._counted = 0
        self._of_user: dict[str, list[Click]] = {}
        for click in clicks:
            self._of_user.setdefault(click.user_id, []).append(click)
        self._had: dict[str, set[str]] = {}
        for click in history:
            self._had.setdefault(click.user_id, set()).add(click.item_id)
        self._groups: dict[str, Bools] = {}
        self._hits: dict[str, list[tuple[bool, bool]]] = {"all": [], "tail": []}
        self._start = -1

    @property
    def all_items(self) -> HitRate:
        """Hit rates over all items."""
        return self._rate("all")

    @property
    def tail(self) -> HitRate:
        """Hit rates over the tail."""
        return self._rate("tail")

    def see(self, request: Request, answer: Scores) -> None:
        """Judge the answer to a request; one without scores is passed over, and so is one that no click follows."""
        self._move_to(request.ts // self._window * self._window)
        mine = self._of_user.get(request.user_id, [])
        place = bisect_left(mine, request.ts, key=lambda click: click.ts)
        wanted = self._among(click.item_id for click in mine[place : place + NEXT_CLICKS])
        if answer.status != "ok" or not wanted.any():
            return
        new = ~self._among(self._had.get(request.user_id, set()) | {click.item_id for click in mine[:place]})
        named = new if request.candidates is None else new & self._among(request.candidates)
        answered = self._numbered(item.item_id for item in answer.scores)
        scored: Floats = np.zeros(len(self._numbers), np.float32)
        scored[answered] = -np.arange(len(answered))
        listed = np.isin(np.arange(len(scored)), answered)
        popular = self._replayed.astype(np.float32)
        of_scores, of_popularity = (
            hits_by_group(scores[None], allowed[None], wanted[None], self._groups)
            for scores, allowed in ((scored, listed & new), (popular, named & (self._replayed > 0)))
        )
        for name, judged in judged_requests(wanted[None], self._groups).items():
            if judged[0]:
                self._hits[name].append((bool(of_scores[name][0]), bool(of_popularity[name][0])))

    def _rate(self, group: str) -> HitRate:
        rows = np.array(self._hits[group], float).reshape(-1, 2)
        scored, popular = rows.mean(axis=0).tolist() if len(rows) else (float("nan"), float("nan"))
        return HitRate(scored, popular, len(rows))

    def _numbered(self, items: Iterable[str]) -> Ints:
        return np.array([self._numbers[item] for item in items], np.int64)

    def _among(self, items: Iterable[str]) -> NDArray[np.bool_]:
        """Which of the catalogue's items are among some, bool[I]; names that it does not have are passed over."""
        found = np.zeros(len(self._numbers), bool)
        found[[self._numbers[item] for item in items if item in self._numbers]] = True
        return found

    def _move_to(self, start: int) -> None:
        """Count the clicks before a window's start."""
        if start == self._start:
            return
        self._start = start
        until = bisect_left(self._times, start)
        new: Ints = np.bincount(self._items[self._counted : until], minlength=len(self._numbers))
        self._counted = until
        self._replayed += new
        self._ever += new
        self._groups = {"all": np.ones(len(self._ever), bool), "tail": tail_of(self._ever)}
