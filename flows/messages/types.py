"""The messages as types. ``schemas/`` is made from them: every limit here is a limit there."""

from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from flows.config.groups import MAX_CLUSTERS, MAX_PRIOR
from flows.config.limits import MAX_IDENTIFIER_BYTES, MAX_PROFILE_FIELDS, MAX_TIME, MIN_EVENT_TIME
from flows.messages.rejects import Reason
from ralm.sketch import SKETCH_CAPACITY, Hashes

MAX_CANDIDATE_BYTES: Final = MAX_IDENTIFIER_BYTES + 3
"""Most bytes of a candidate in a request, with its quotes and a comma."""
MAX_EXPIRY: Final = 253_402_300_799_999
"""Greatest ``expires_at``, ms: the end of the year 9999. As microseconds, this number is the year 1978."""

_BYTES = f"1 to {MAX_IDENTIFIER_BYTES} bytes of UTF-8"
_TEXT = Annotated[str, Meta(min_length=1, max_length=MAX_IDENTIFIER_BYTES, description=_BYTES)]
_WHOLE = Annotated[int, Meta(description="a whole number stands for its digits")]
if TYPE_CHECKING:
    Identifier: TypeAlias = str
else:
    Identifier = _TEXT | _WHOLE  # on the wire; the decoders make it str
_MS = "milliseconds since the epoch, UTC"
Time = Annotated[int, Meta(ge=0, le=MAX_TIME, description=_MS)]
EventTime = Annotated[int, Meta(ge=MIN_EVENT_TIME, le=MAX_TIME, description=_MS)]
Expiry = Annotated[int, Meta(ge=MIN_EVENT_TIME, le=MAX_EXPIRY, description=_MS)]
MAX_NUMBER: Final = 1e6
"""Greatest magnitude of a number in centroids; vectors have about 1, and far beyond this a score is no number."""
Count = Annotated[int, Meta(ge=0, le=MAX_TIME)]
Limit = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Prior = Annotated[
    float, Meta(ge=0, le=MAX_PRIOR, description="weight of log(1 + seeds) in the scores; null: the flow's setting")
]
if TYPE_CHECKING:
    Profile: TypeAlias = dict[str, str]
else:
    _NAME = Annotated[str, Meta(min_length=1, max_length=MAX_IDENTIFIER_BYTES)]
    # On the wire; the decoders make all values text.
    Profile = Annotated[
        dict[_NAME, str | int | float | list[str | int | float] | None],
        Meta(
            max_length=MAX_PROFILE_FIELDS,
            description="what is known about a user whom the bundle may not know: fields of the training data, as "
            "text; several values of one field are joined by |; what the bundle does not know is ignored",
        ),
    ]
Cosine = Annotated[
    float,
    Meta(
        description="cosine of the user's vector and this part of the item; local_part is 0 if the bundle's beta is 0"
    ),
]
Version = Annotated[str, Meta(description="the bundle that made it")]
Status: TypeAlias = Literal["ok", "unknown_user", "no_candidates", "expired"]


class Click(msgspec.Struct, frozen=True, gc=False):
    """A user clicked an item; key: item_id."""

    user_id: Identifier
    item_id: Identifier
    ts: EventTime


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item may be recommended, until a time if one is given; or it is retired; key: item_id; the last one holds.

    A null value retires it too, for as long as the broker and the store that read it remember that.
    """

    item_id: Identifier
    expires_at: Expiry | None = None
    retired: Annotated[bool, Meta(description="it must not be recommended until it is listed again")] = False


class Request(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Which items does this user look like? Key: user_id. Without candidates: all live items."""

    request_id: Identifier
    user_id: Identifier
    ts: EventTime
    candidates: list[Identifier] | None = None
    top_k: Limit | None = None
    prior: Prior | None = None
    profile: Profile | None = None


class ScoredItem(msgspec.Struct, frozen=True, gc=False):
    """How much a user looks like an item's seeds."""

    item_id: str
    score: Annotated[
        float,
        Meta(
            description="alpha global_part + beta local_part + prior log(1 + seeds) + activity log(1 + clicks) + "
            "neighbours neighbours_part"
        ),
    ]
    global_part: Cosine
    local_part: Cosine
    window_end: Annotated[Time, Meta(description="of the centroids it was made with, milliseconds since the epoch")]
    neighbours_part: (
        Annotated[
            float,
            Meta(
                description="how many seeds the item shares with the user's newest items; 1 is the most among the "
                "items that the user had not clicked; left out where the flow's setting neighbours is 0"
            ),
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET


class Scores(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The answer to a request; key: user_id. Answers to one request_id are to the same question: keep one.

    Every field is always there but truncated, and of a score neighbours_part; lists may be empty.
    """

    request_id: str
    user_id: str
    status: Annotated[
        Status,
        Meta(
            title="AnswerStatus",
            description="ok: use the scores; unknown_user: the bundle has no vector of the user, and knows nothing of "
            "a profile, fall back; no_candidates: no candidate has centroids yet, fall back; expired: the request "
            "waited too long, ask again "
            "if somebody still waits",
        ),
    ]
    model_version: Version
    scored_at: Time
    scores: Annotated[list[ScoredItem], Meta(description="best first")]
    cold: Annotated[list[str], Meta(description="candidates without centroids of this model version")]
    stale: Annotated[list[str], Meta(description="scored items whose centroids are old")]
    truncated: Annotated[
        bool, Meta(description="it was too long for a message: scores after the best, or cold items, were left out")
    ] = False


_ROWS = "little-endian float32, row by row, in a MessagePack bin"


class Centroids(msgspec.Struct, frozen=True, rename={"global_": "global"}):
    """What an item's seeds look like at the end of a window, as MessagePack; key: model_version + "/" + item_id."""

    item_id: str
    model_version: Version
    window_end: Time
    seeds: Annotated[int, Meta(ge=1, le=MAX_TIME, description="users in the seed set")]
    counts: Annotated[list[Count], Meta(description="members of each of the k clusters, together 1 to seeds")]
    k: Annotated[int, Meta(ge=1, le=MAX_CLUSTERS, description="number of centroids")]
    h: Annotated[int, Meta(ge=1, le=2**31 - 1, description="length of a vector")]
    centroids: Annotated[bytes, Meta(description=f"k x h numbers, {_ROWS}")]
    global_: Annotated[
        bytes, Meta(description=f"the global embedding (the mean of the seeds, or eq. 10): h numbers, {_ROWS}")
    ]
    clicks_offset: Annotated[
        Count, Meta(description="offset of the clicks topic after the last click that it takes into account")
    ] = 0
    sketch: Annotated[
        bytes,
        Meta(
            description="the smallest hashes of the seeds, ascending little-endian uint32 in a MessagePack bin, at "
            f"most {SKETCH_CAPACITY}; empty: none, as with the flow's setting sketches at false"
        ),
    ] = b""

    @classmethod
    def of(
        cls,
        *,
        item_id: str,
        model_version: str,
        window_end: int,
        seeds: int,
        counts: NDArray[np.int64],
        centroids: NDArray[np.float32],
        global_: NDArray[np.float32],
        clicks_offset: int = 0,
    ) -> "Centroids":
        """Make the message from arrays: counts int64[k], centroids float32[k, h], global float32[h]."""
        k, h = centroids.shape
        return cls(
            item_id,
            model_version,
            window_end,
            seeds,
            counts.tolist(),
            k,
            h,
            centroids.astype("<f4").tobytes(),
            global_.astype("<f4").tobytes(),
            clicks_offset,
        )

    def with_sketch(self, hashes: Hashes) -> "Centroids":
        """The same with a sketch of the seeds, uint32[n]."""
        return msgspec.structs.replace(self, sketch=hashes.astype("<u4").tobytes())

    def centroids_array(self) -> NDArray[np.float32]:
        """float32[k, h]."""
        return np.frombuffer(self.centroids, "<f4").reshape(self.k, self.h)

    def global_array(self) -> NDArray[np.float32]:
        """float32[h]."""
        return np.frombuffer(self.global_, "<f4")

    def sketch_array(self) -> Hashes:
        """uint32[n], ascending; empty without a sketch."""
        return np.frombuffer(self.sketch, "<u4")


_DIGITS = Annotated[str, Meta(pattern="^[0-9]+$")]


class DeadLetterHeaders(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dead letter's headers; key and value are the original's, and its own headers follow as original.NAME."""

    schema_version: Literal["1"]
    topic: Annotated[str, Meta(description="where it was read")]
    partition: _DIGITS
    offset: _DIGITS
    reason: Annotated[Reason, Meta(title="DeadLetterReason", description="why it was refused")]
    detail: Annotated[str, Meta(description="for people")]
    time: Annotated[_DIGITS, Meta(description="when it was refused, milliseconds since the epoch")]
    original_bytes: Annotated[_DIGITS | None, Meta(description="length of the value, where it had to be cut")] = None
    original_key_bytes: Annotated[_DIGITS | None, Meta(description="length of the key, where it had to be cut")] = None
    headers_left_out: Annotated[
        Annotated[str, Meta(pattern="^([0-9]+|all)$")] | None,
        Meta(description="how many of its own headers did not fit, or all if they cannot be read"),
    ] = None


class Receipt(msgspec.Struct, frozen=True):
    """In the dead-letter topic, beside the letters: these letters of this partition were redriven. It has no key."""

    redriven: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(description="the letters' offsets, ascending")]
    time: Time
