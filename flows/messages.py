"""The message contract: types, decoding with every check, encoding. See ``flows/schemas`` for the JSON Schemas."""

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

SCHEMA_VERSION: Final = "1"
REASONS: Final = frozenset(
    {
        "null_value",
        "empty_value",
        "oversized",
        "not_utf8",
        "not_json",
        "wrong_type",
        "missing_field",
        "bad_identifier",
        "bad_time",
        "future_time",
        "null_key",
        "key_mismatch",
        "unsupported_schema_version",
        "too_many_candidates",
    }
)
"""Why a message can become a dead letter."""
MAX_IDENTIFIER_BYTES: Final = 256
MAX_TIME: Final = 2**53 - 1
"""Greatest event time, ms: what every JSON reader holds exactly."""

_IDENTIFIER = msgspec.Meta(description="1 to 256 bytes of UTF-8; an integer stands for its digits")
if TYPE_CHECKING:
    Identifier: TypeAlias = str
else:
    Identifier = Annotated[str | int, _IDENTIFIER]  # on the wire; the decoders below make it str
Time = Annotated[int, msgspec.Meta(description="milliseconds since the epoch, UTC, 0 to 2**53 - 1")]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Reject(Exception):  # noqa: N818 (an answer about a message, not a fault of the program)
    """A message that cannot be used.

    Attributes:
        reason: one of ``REASONS``.
        detail: for a person.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Click(msgspec.Struct, frozen=True):
    """A user clicked an item; key: item_id."""

    user_id: Identifier
    item_id: Identifier
    ts: Time


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item may be recommended, until a time if one is given; key: item_id; a null value retires it."""

    item_id: Identifier
    expires_at: Time | None = None


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which items does this user look like? Key: user_id. Without candidates: all live items."""

    request_id: Identifier
    user_id: Identifier
    ts: Time
    candidates: list[Identifier] | None = None
    top_k: Count | None = None


class ScoredItem(msgspec.Struct, frozen=True, rename={"global_": "global"}):
    """One item's score (eq. 2), its two cosines, and the window end (ms) of the centroids it was made with."""

    item_id: str
    score: float
    global_: float
    local: float
    window_end: Time


class Scores(msgspec.Struct, frozen=True):
    """The answer to a request; key: user_id; best first.

    ``status``: ``ok``, ``unknown_user`` (the bundle has no vector of the user), ``no_candidates`` (no candidate has
    centroids). ``cold``: candidates without centroids of this model. ``stale``: scored items with old centroids.
    """

    request_id: str
    user_id: str
    status: str
    model_version: str
    scored_at: Time
    scores: list[ScoredItem]
    cold: list[str]
    stale: list[str]


class Centroids(msgspec.Struct, frozen=True, rename={"global_": "global"}):
    """What an item's seeds look like at the end of a window (MessagePack); key: model_version + "/" + item_id.

    ``seeds``: seeds in the set. ``counts``: members of each cluster. ``centroids``: k x h numbers, row by row, and
    ``global``: h numbers (eq. 10), both little-endian float32.
    """

    item_id: str
    model_version: str
    window_end: int
    seeds: int
    counts: list[int]
    k: int
    h: int
    centroids: bytes
    global_: bytes

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
        )

    def centroids_array(self) -> NDArray[np.float32]:
        """float32[k, h]."""
        return np.frombuffer(self.centroids, "<f4").reshape(self.k, self.h)

    def global_array(self) -> NDArray[np.float32]:
        """float32[h]."""
        return np.frombuffer(self.global_, "<f4")


_click = msgspec.json.Decoder(Click)
_candidate = msgspec.json.Decoder(Candidate)
_request = msgspec.json.Decoder(Request)
_centroids = msgspec.msgpack.Decoder(Centroids)
_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()
M = TypeVar("M")


def decode_click(value: bytes | None) -> Click:
    """Decode and check a click.

    >>> decode_click(b'{"user_id": 7, "item_id": "news-1", "ts": 1000}')
    Click(user_id='7', item_id='news-1', ts=1000)

    Raises:
        Reject: when it cannot be used.
    """
    click = _decoded(_click, value)
    user, item = click.user_id, click.item_id
    _check_time("ts", click.ts)
    if type(user) is str and type(item) is str and 0 < len(user) < 65 and 0 < len(item) < 65:
        return click  # at most 4 bytes a character: nothing to change, nothing to check
    return Click(_identifier("user_id", user), _identifier("item_id", item), click.ts)


def decode_candidate(value: bytes | None) -> Candidate:
    """Decode and check a candidate (not a tombstone).

    Raises:
        Reject: when it cannot be used.
    """
    candidate = _decoded(_candidate, value)
    if candidate.expires_at is not None:
        _check_time("expires_at", candidate.expires_at)
    return Candidate(_identifier("item_id", candidate.item_id), candidate.expires_at)


def decode_request(value: bytes | None) -> Request:
    """Decode and check a request.

    Raises:
        Reject: when it cannot be used.
    """
    request = _decoded(_request, value)
    _check_time("ts", request.ts)
    candidates = request.candidates
    return Request(
        _identifier("request_id", request.request_id),
        _identifier("user_id", request.user_id),
        request.ts,
        None if candidates is None else [_identifier("candidates", item) for item in candidates],
        request.top_k,
    )


def encode_scores(scores: Scores) -> bytes:
    """The answer as JSON."""
    return _json.encode(scores)


def encode_centroids(centroids: Centroids) -> bytes:
    """The centroids as MessagePack."""
    return _msgpack.encode(centroids)


def decode_centroids(value: bytes) -> Centroids:
    """Decode centroids and check that their sizes fit together.

    Raises:
        Reject: when they cannot be used.
    """
    try:
        message = _centroids.decode(value)
    except msgspec.ValidationError as error:
        raise Reject("wrong_type", str(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Reject("not_json", f"not MessagePack: {error}") from None
    k, h = message.k, message.h
    if k < 1 or h < 1 or len(message.counts) != k or len(message.centroids) != 4 * k * h:
        raise Reject("wrong_type", f"k={k} and h={h} do not fit the counts and centroids")
    if len(message.global_) != 4 * h:
        raise Reject("wrong_type", f"h={h} does not fit the global embedding")
    if not (np.isfinite(message.centroids_array()).all() and np.isfinite(message.global_array()).all()):
        raise Reject("wrong_type", "a number is not finite")
    return message


def centroids_key(model_version: str, item_id: str) -> bytes:
    """The key of an item's centroids.

    >>> centroids_key("5f2c", "news-1")
    b'5f2c/news-1'
    """
    return f"{model_version}/{item_id}".encode()


def split_centroids_key(key: bytes | None) -> tuple[str, str]:
    """Model version and item of a key of the topic of centroids.

    Raises:
        Reject: when it is no such key.
    """
    if key is None:
        raise Reject("null_key", "centroids have the key model_version/item_id")
    try:
        model_version, slash, item_id = key.decode().partition("/")
    except UnicodeDecodeError as error:
        raise Reject("not_utf8", f"the key: {error}") from None
    if not slash:
        raise Reject("key_mismatch", f"the key {key[:64]!r} is no model_version/item_id")
    return model_version, item_id


def _decoded(decoder: "msgspec.json.Decoder[M]", value: bytes | None) -> M:
    try:
        return decoder.decode(value)  # type: ignore[arg-type]  # None raises TypeError: explained off the fast path
    except (msgspec.DecodeError, TypeError, UnicodeDecodeError, RecursionError) as error:
        raise _why(value, error) from None


def _why(value: bytes | None, error: Exception) -> Reject:
    """Find the reason of a failure."""
    if value is None:
        return Reject("null_value", "the message has no value")
    if not value.strip():
        return Reject("empty_value", "the value is empty")
    try:
        value.decode()
    except UnicodeDecodeError as wrong:
        return Reject("not_utf8", f"byte {wrong.start} is not UTF-8")
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return Reject("not_json", text)
    if "missing required field" in text:
        return Reject("missing_field", text)
    if text.endswith(("`$.ts`", "`$.expires_at`")) and "out of range" in text:
        return Reject("bad_time", text)
    if "out of range" in text:
        return Reject("bad_identifier", text)
    return Reject("wrong_type", text)


def _check_time(name: str, time: int) -> None:
    if not 0 <= time <= MAX_TIME:
        raise Reject("bad_time", f"{name} is {time}; it must be milliseconds since the epoch, 0 to {MAX_TIME}")


def _identifier(name: str, value: Any) -> str:
    text = value if type(value) is str else str(value)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Reject("bad_identifier", f"{name} holds half of a surrogate pair") from None
    if not 0 < size <= MAX_IDENTIFIER_BYTES:
        raise Reject("bad_identifier", f"{name} has {size} bytes; it must have 1 to {MAX_IDENTIFIER_BYTES}")
    return text
