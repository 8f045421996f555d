"""What is known when requests of a window are answered: seed sets as of its start, users' clicks as of each request."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ralm.encoders.histories import Histories
from ralm.features import Ints
from ralm.protocol.next_clicks import NEXT_CLICKS, tail_of
from ralm.protocol.stream.click_log import ClickLog
from ralm.protocol.stream.requests import Requests

_DAY_MS = 86_400_000
_DAYS = 2
"""Length of a window: item state moves once in it."""
_OF_SHORT = 5
"""Windows of a stream of hours: as of the start of the only one hardly any item would be known."""
_MOST_WINDOWS = 60
"""A stream of years has longer windows."""
MIN_SEEDS = 5
"""Seeds that an item needs to be a candidate."""


def window_length(since: int, until: int) -> int:
    """The length of a window, ms: two days; a fifth of a shorter stream, and a 60th of one of years.

    >>> window_length(0, 10 * 86_400_000) // 86_400_000, window_length(0, 600 * 86_400_000) // 86_400_000
    (2, 10)
    >>> window_length(0, 10 * 3_600_000) // 3_600_000
    2
    """
    if until - since < _DAYS * _DAY_MS:
        return max(1, (until - since) // _OF_SHORT)
    return max(_DAYS, -(-(until - since) // (_DAY_MS * _MOST_WINDOWS))) * _DAY_MS


class StreamWindow:
    """The items as of a window's start.

    Args:
        log: all clicks; those from ``start`` on are not looked at.
        start: of the window, ms.

    Attributes:
        log, start: as given.
    """

    def __init__(self, log: ClickLog, start: int) -> None:
        self.log, self.start = log, start

    @cached_property
    def seeds(self) -> csr_array:
        """Who is a seed of what, CSR float32[items, users]."""
        return self.log.seed_matrix(self.start)

    @cached_property
    def counts(self) -> Ints:
        """Seeds of every item, int64[items]."""
        counts: Ints = np.diff(self.seeds.indptr).astype(np.int64)
        return counts

    @cached_property
    def live(self) -> Ints:
        """The candidates: numbers of the items with enough seeds, int64[L]."""
        return np.flatnonzero(self.counts >= MIN_SEEDS)

    @cached_property
    def tail(self) -> NDArray[np.bool_]:
        """The less clicked 80% of all items, bool[items]."""
        return tail_of(self.counts)


@dataclass(frozen=True)
class AskedBatch:
    """Requests of one window, with what is known of their users.

    Attributes:
        requests: R of them.
        histories: what each user had clicked, newest first, all of it.
        allowed: candidates that the user had not clicked, bool[R, L].
        wanted: candidates among the user's next clicks, bool[R, L].
    """

    requests: Requests
    histories: Histories
    allowed: NDArray[np.bool_]
    wanted: NDArray[np.bool_]

    @classmethod
    def of(cls, window: StreamWindow, requests: Requests) -> "AskedBatch":
        """Look up what is known."""
        log, shape = window.log, (len(requests), window.log.items)
        histories = log.histories(requests.users, requests.times, most=log.items)
        allowed = np.ones(shape, bool)
        allowed[histories.owners, histories.items] = False
        wanted = log.next_items(requests.users, requests.times, NEXT_CLICKS).toarray()
        return cls(requests, histories, allowed[:, window.live], (wanted & allowed)[:, window.live])
