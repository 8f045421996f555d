"""When users are asked for: before their first click in the stream, and then in the middle of what they click."""

from dataclasses import dataclass

import numpy as np

from ralm.features import Ints
from ralm.protocol.stream.click_log import ClickLog

ASKED_AFTER = (0, 5, 10, 20, 40, 80)
"""Clicks of a user in the stream after which it is asked for; at the first click there is little to go by."""


@dataclass(frozen=True)
class Requests:
    """R requests in the order of time, each just before a click of its user.

    Attributes:
        users: int64[R].
        times: ms, int64[R]; only what is earlier is known.
        asked_after: which of `ASKED_AFTER` it is, int64[R].
    """

    users: Ints
    times: Ints
    asked_after: Ints

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: Ints) -> "Requests":
        """Some of them, int64[B]."""
        return Requests(self.users[rows], self.times[rows], self.asked_after[rows])


def requests_of(log: ClickLog, since: int) -> Requests:
    """The requests of a stream that begins at ``since`` (ms).

    A request stands before a moment, since clicks of one moment have no order: before the first at which the user has
    clicked so often or more; where two are due at once, the later one is asked.
    """
    users, times, before = log.moments(since)
    rows, due = [], []
    for least in ASKED_AFTER:
        enough = np.flatnonzero(before >= least)
        first = enough[np.unique(users[enough], return_index=True)[1]]
        rows.append(first)
        due.append(np.full(len(first), least))
    place, asked = np.concatenate(rows), np.concatenate(due)
    order = np.lexsort((-asked, place))
    place, asked = place[order], asked[order]
    last = np.ones(len(place), bool)
    last[1:] = place[1:] != place[:-1]
    place, asked = place[last], asked[last]
    order = np.lexsort((users[place], times[place]))
    return Requests(users[place[order]], times[place[order]], asked[order])
