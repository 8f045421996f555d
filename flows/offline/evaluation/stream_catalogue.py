"""The rankers of the streaming protocol by name."""

from collections.abc import Callable
from dataclasses import dataclass

from ralm.encoders.both import Both
from ralm.encoders.spectral import Spectral
from ralm.models.catalogue import MAIN_GROUP
from ralm.protocol.stream.looks import LookalikeRanker
from ralm.protocol.stream.rankers import Ranker, Rivals

RIVALS = "rivals"
"""Always run: the others are compared with them."""
STREAM_DIM = 64
"""Dimensions of the closed form where vectors follow the clicks; on cold items 32 are better."""


@dataclass(frozen=True)
class StreamEntry:
    """A ranker of the streaming protocol.

    Attributes:
        make: makes it, untrained.
        group: `MAIN_GROUP`, or of which comparison it is.
        description: one line, for the table.
        family: as in ``ralm.models.catalogue``.
    """

    make: Callable[[], Ranker]
    group: str
    description: str
    family: str = ""


STREAM: dict[str, StreamEntry] = {
    RIVALS: StreamEntry(Rivals, MAIN_GROUP, "random, newest, popularity so far, item-kNN over all clicks so far"),
    "spectral": StreamEntry(
        lambda: LookalikeRanker("spectral", Spectral(STREAM_DIM)), MAIN_GROUP, "vectors in closed form, 64 dimensions"
    ),
    "both": StreamEntry(
        lambda: LookalikeRanker("both", Both(spectral=Spectral(STREAM_DIM))),
        MAIN_GROUP,
        "the closed form beside the linear encoder that is trained on what is served",
    ),
}
