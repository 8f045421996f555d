"""How long a message may be that we send, and what is done so that none is longer.

The producer refuses a longer one, and after a restart the flow would make the same one again: no way leads past it.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import msgspec

from flows.messages import Scores, encode_scores

MAX_VALUE_BYTES: Final = 900_000
"""Most bytes of the value of an answer or of centroids: key and headers fit beside it into 1,000,000, the least that
the producer's ``message.max.bytes`` is, and a topic takes that unless somebody has set it lower."""
_CENTROIDS_ROOM: Final = 2_000
"""Bytes of a message of centroids besides its vectors and counts, and more: identifiers of 256 bytes, names, times."""
_COUNT_BYTES: Final = 9
_json = msgspec.json.Encoder()


def most_clusters(dim: int) -> int:
    """The most centroids of ``dim`` numbers that certainly fit into a message (0: not even one does).

    >>> most_clusters(128)
    1722
    """
    return max(0, (MAX_VALUE_BYTES - _CENTROIDS_ROOM - 4 * dim) // (4 * dim + _COUNT_BYTES))


def shortened(answer: Scores, most: int = MAX_VALUE_BYTES) -> Scores:
    """An answer without what does not fit: the best scores stay, then the first of the cold items.

    Args:
        answer: one that is too long.
        most: bytes that it may have as JSON; enough for its identifiers.
    """
    bare = msgspec.structs.replace(answer, scores=[], cold=[], stale=[], truncated=True)
    room, stale = most - len(encode_scores(bare)), set(answer.stale)
    sizes = [_size(item) + (_size(item.item_id) if item.item_id in stale else 0) for item in answer.scores]
    scores = answer.scores[: _fitting(sizes, room)]
    room -= sum(sizes[: len(scores)])
    kept = {item.item_id for item in scores}
    return msgspec.structs.replace(
        bare,
        scores=scores,
        cold=answer.cold[: _fitting([_size(item_id) for item_id in answer.cold], room)],
        stale=[item_id for item_id in answer.stale if item_id in kept],
    )


def _size(part: object) -> int:
    """Bytes of a list's element and the comma behind it."""
    return len(_json.encode(part)) + 1


def _fitting(sizes: Sequence[int], room: int) -> int:
    """How many of the first parts fit."""
    return sum(total <= room for total in accumulate(sizes))
