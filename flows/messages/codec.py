"""The message contract: decoding with every check, and encoding within the size that a producer takes.

The types are in ``types.py``. Decoding is one call of msgspec; why a message cannot be used is found out only once it
has failed. The producer refuses a message that is too long, and after a restart the flow would make the same one
again: no way leads past it. So answers are cut and clusters are bounded here.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, TypeVar

import msgspec
import numpy as np

from flows.config.limits import MAX_IDENTIFIER_BYTES
from flows.messages.nesting import check_msgpack_depth
from flows.messages.rejects import InvalidMessage, classify_error, classify_json_error
from flows.messages.types import MAX_NUMBER, Candidate, Centroids, Click, Request, Scores
from ralm.encoders.profiles import SEPARATOR
from ralm.sketch import SKETCH_CAPACITY
from state.nesting import MAX_DEPTH, NestedTooDeepError, check_depth

SCHEMA_VERSION: Final = "1"
_SHORT: Final = MAX_IDENTIFIER_BYTES // 4 + 1
"""Fewer characters are certainly not too many bytes, at four bytes a character."""

_click = msgspec.json.Decoder(Click)
_candidate = msgspec.json.Decoder(Candidate)
_request = msgspec.json.Decoder(Request)
_scores = msgspec.json.Decoder(Scores)
_centroids = msgspec.msgpack.Decoder(Centroids)
_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()
_M = TypeVar("_M")
MAX_VALUE_BYTES: Final = 900_000
"""Most bytes of the value of an answer or of centroids: key and headers fit beside it into 1,000,000, the least that
the producer's ``message.max.bytes`` is, and a topic takes that unless somebody has set it lower."""
_CENTROIDS_ROOM: Final = 2_000 + 4 * SKETCH_CAPACITY
"""Bytes of a message of centroids besides its vectors and counts, and more: identifiers of 256 bytes, names, times, and
the sketch, whether there is one or not."""
_COUNT_BYTES: Final = 9
_DEFAULTS: Final = 24
"""Bytes of the fields that older messages of centroids do not have."""


def decode_click(value: bytes | None) -> Click:
    """Decode and check a click.

    >>> decode_click(b'{"user_id": 7, "item_id": "news-1", "ts": 1732440000000}')
    Click(user_id='7', item_id='news-1', ts=1732440000000)

    Raises:
        InvalidMessage: when it cannot be used.
    """
    click = _decoded(_click, value)
    user, item = click.user_id, click.item_id
    if type(user) is str and type(item) is str and len(user) < _SHORT and len(item) < _SHORT:
        return click  # nothing to change, nothing more to check
    return Click(_identifier("user_id", user), _identifier("item_id", item), click.ts)


def decode_candidate(value: bytes | None) -> Candidate:
    """Decode and check a candidate (not a tombstone).

    Raises:
        InvalidMessage: when it cannot be used.
    """
    candidate = _decoded(_candidate, value)
    return Candidate(_identifier("item_id", candidate.item_id), candidate.expires_at, candidate.retired)


def decode_item_key(key: bytes | None) -> str:
    """The item of a tombstone, from its key.

    Raises:
        InvalidMessage: when it is not valid.
    """
    if key is None:
        raise InvalidMessage("null_key", "a tombstone has its item as key")
    try:
        item_id = key.decode()
    except UnicodeDecodeError as error:
        raise InvalidMessage("not_utf8", f"the key: {error}") from None
    if not item_id:
        raise InvalidMessage("bad_identifier", "the key is empty")
    return _identifier("the key", item_id)


def decode_request(value: bytes | None) -> Request:
    """Decode and check a request.

    Raises:
        InvalidMessage: when it cannot be used.
    """
    request = _decoded(_request, value)
    candidates = request.candidates
    return Request(
        _identifier("request_id", request.request_id),
        _identifier("user_id", request.user_id),
        request.ts,
        None if candidates is None else [_identifier("candidates", item) for item in candidates],
        request.top_k,
        request.prior,
        None if request.profile is None else _texts(request.profile),
    )


def encode_message(message: Click | Candidate | Request | Scores) -> bytes:
    """A message as JSON.

    >>> encode_message(Request("r-1", "u-1", 1000, top_k=5))
    b'{"request_id":"r-1","user_id":"u-1","ts":1000,"top_k":5}'
    """
    return _json.encode(message)


def encode_scores(scores: Scores) -> bytes:
    """The answer as JSON."""
    return _json.encode(scores)


def decode_scores(value: bytes | None) -> Scores:
    """Decode an answer, for those who read them.

    Raises:
        InvalidMessage: when it is not valid.
    """
    return _decoded(_scores, value)


def encode_centroids(centroids: Centroids) -> bytes:
    """The centroids as MessagePack."""
    return _msgpack.encode(centroids)


def decode_centroids(value: bytes | None) -> Centroids:
    """Decode centroids (not a tombstone) and check that they can be scored: sizes, counts, and each number.

    Raises:
        InvalidMessage: when they cannot be used.
    """
    if value is None:
        raise InvalidMessage("null_value", "the message has no value")
    try:
        message = _centroids.decode(value)
        # Only what is not ours can be nested: fields of a later version.
        if len(value) - len(_msgpack.encode(message)) + _DEFAULTS > MAX_DEPTH:
            check_msgpack_depth(value)
    except msgspec.ValidationError as error:
        raise classify_error(error) from None
    except UnicodeDecodeError as error:
        raise InvalidMessage("not_utf8", f"a text in it: {error}") from None
    except (NestedTooDeepError, RecursionError):
        raise InvalidMessage("not_json", str(NestedTooDeepError())) from None
    except msgspec.DecodeError as error:
        raise InvalidMessage("not_json", f"not MessagePack: {error}") from None
    _check_centroids(message)
    return message


def _check_centroids(message: Centroids) -> None:
    """See that centroids can be scored: what passes here can make no scorer fail, and no score that is not a number."""
    k, h, members = message.k, message.h, sum(message.counts)
    if len(message.counts) != k or len(message.centroids) != 4 * k * h:
        raise InvalidMessage("wrong_type", f"k={k} and h={h} do not fit the counts and centroids")
    if len(message.global_) != 4 * h:
        raise InvalidMessage("wrong_type", f"h={h} does not fit the global embedding")
    if not 1 <= members <= message.seeds:
        raise InvalidMessage("wrong_type", f"{members} members of clusters, but {message.seeds} seeds")
    for numbers in (message.centroids_array(), message.global_array()):
        if not (np.abs(numbers) <= MAX_NUMBER).all():  # NaN is not either
            raise InvalidMessage("wrong_type", f"a number is not finite, or beyond {MAX_NUMBER:g}")
    _check_sketch(message)


def _check_sketch(message: Centroids) -> None:
    """See that a sketch is one of so many seeds; whose it is only its maker knows."""
    size, rest = divmod(len(message.sketch), 4)
    if rest or size > SKETCH_CAPACITY:
        raise InvalidMessage(
            "wrong_type", f"a sketch of {len(message.sketch)} bytes; it has 4 for each of {SKETCH_CAPACITY} or fewer"
        )
    if size > message.seeds:
        raise InvalidMessage("wrong_type", f"a sketch of {size} members, but {message.seeds} seeds")
    hashes = message.sketch_array()
    if not (hashes[1:] > hashes[:-1]).all():
        raise InvalidMessage("wrong_type", "the hashes of the sketch are not ascending, or not distinct")


def centroids_key(model_version: str, item_id: str) -> bytes:
    """The key of an item's centroids.

    >>> centroids_key("5f2c", "news-1")
    b'5f2c/news-1'
    """
    return f"{model_version}/{item_id}".encode()


def split_centroids_key(key: bytes | None) -> tuple[str, str]:
    """Model version and item of a key of the centroids topic.

    >>> split_centroids_key(b"5f2c/news/1")
    ('5f2c', 'news/1')

    Raises:
        InvalidMessage: when it is not such a key.
    """
    if key is None:
        raise InvalidMessage("null_key", "centroids have the key model_version/item_id")
    try:
        model_version, slash, item_id = key.decode().partition("/")
    except UnicodeDecodeError as error:
        raise InvalidMessage("not_utf8", f"the key: {error}") from None
    if not (model_version and slash and item_id):
        raise InvalidMessage("key_mismatch", f"the key {key[:64]!r} is not model_version/item_id")
    _identifier("model_version", model_version)
    _identifier("item_id", item_id)
    return model_version, item_id


def _decoded(decoder: "msgspec.json.Decoder[_M]", value: bytes | None) -> _M:
    try:
        check_depth(value)  # type: ignore[arg-type]  # None raises TypeError: explained off the fast path
        return decoder.decode(value)  # type: ignore[arg-type]
    except (msgspec.DecodeError, TypeError, UnicodeDecodeError, NestedTooDeepError) as error:
        raise classify_json_error(value, error) from None


def _texts(profile: Mapping[str, Any]) -> dict[str, str]:
    """The values of a profile as text, without those that are not known: empty ones and null."""
    texts = {
        name: SEPARATOR.join(map(_text, value)) if type(value) is list else _text(value)
        for name, value in profile.items()
        if value is not None
    }
    return {name: text for name, text in texts.items() if text}


def _text(value: Any) -> str:
    """A value as the tables of a data set have it: a whole number as its digits."""
    return str(int(value)) if type(value) is float and value.is_integer() else str(value)


def _identifier(name: str, value: Any) -> str:
    text = value if type(value) is str else str(value)
    size = len(text.encode())  # msgspec lets no half of a surrogate pair through
    if size > MAX_IDENTIFIER_BYTES:
        raise InvalidMessage("bad_identifier", f"{name} has {size} bytes; it must have 1 to {MAX_IDENTIFIER_BYTES}")
    return text


def most_clusters(dim: int) -> int:
    """The most centroids of ``dim`` numbers that certainly fit into a message (0: not even one does).

    >>> most_clusters(128)
    1721
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
