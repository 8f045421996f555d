"""How a store lies in RocksDB: what is under its keys.

All keys (``state/store/keys.py``) are in one column family, ``ITEM`` being a 2-byte length and the item's UTF-8 bytes:

======================  ============================================================================
``M``                   JSON: what ``StoreMeta`` has (``state/store/meta.py``)
``E slot``              number of the last epoch of this slot (see ``state/store/epoch_chain.py``)
``I ITEM``              the item's record: four int64, see ``ItemRecord``; format 2 has only the first two
``B ITEM``              the base seed set: users uint64[n] ascending, then times int64[n]; 16 bytes a seed
``H ITEM``              the head of a large base set instead: generation, pieces, seeds (int64 each)
``P ITEM gen piece``    a piece of it (same form as ``B``), see ``state/store/base_sets.py``
``D ITEM epoch``        a delta seed set (same form): clicks of closed windows that are not in the base yet
``O ITEM c w epoch``    clicks of an open window: the earliest (int64, ms), then a seed set (same form); ``w`` is the
                        window's end, ``c`` that of the window with whose close they are folded in (ms)
``G ITEM``              before when clicks are of a set that a gap has ended (int64, ms); where none has, there is none
``C ITEM``              the item's last centroids as they were emitted
``L ITEM``              what the candidates topic says of the item: two int64, see ``CandidateEntry``; three in format 2
``T ITEM``              the item is served no more; its tombstone may not have been delivered yet
``W``                   what is still to be done, as the operator of the seed sets encodes it
======================  ============================================================================

All numbers in values are little-endian, but for that under ``E``.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ralm.seed_set import SeedSet, WindowClicks

MAX_STORED_TIME = 1 << 53
"""Event times (ms) lie from 0 to before this."""
RETIRED = 0
"""``CandidateEntry.expires_at`` of an item that is retired."""
FOR_EVER = (1 << 63) - 1
"""``CandidateEntry.expires_at`` of an item that does not expire."""
_RECORD = struct.Struct("<qqqq")
_RECORD_2 = struct.Struct("<qq")
_CANDIDATE = struct.Struct("<qq")
_CANDIDATE_2 = struct.Struct("<qqq")
_HEAD = struct.Struct("<qqq")
_TIME = struct.Struct("<q")

WAY_OUT = (
    "Move that directory away: at its next start the flow rebuilds the store from the clicks topic (with --rebuild "
    "partial, if the topic no longer has all of it). Or then put it back from a backup: `ralm state restore BACKUP "
    "--partition N`."
)


class StoreError(Exception):
    """A store that cannot be used as it is; the message says what to do."""


class DamagedValueError(StoreError):
    """A value of a store is damaged; the message says which, and whoever knows the store says which that is."""


@contextmanager
def of_store(path: Path) -> Iterator[None]:
    """Name the store in which a damaged value lies, and the way out.

    Args:
        path: its directory.

    Raises:
        StoreError: in place of a DamagedValueError.
    """
    try:
        yield
    except DamagedValueError as error:
        msg = f"the store in {path} is damaged: {error}. {WAY_OUT}"
        raise StoreError(msg) from error


@dataclass(frozen=True)
class ItemRecord:
    """An item's line in the store.

    Attributes:
        last_click: event time of its last click, ms.
        seeds: its seeds at the last merge.
        emitted: the least window end that its next message may say, ms: that as of which it was last clustered, or 1 ms
            after that of its last tombstone; 0 before the first.
        withdrawn: whether it is served no more, since it is retired, expired, not listed or idle.
        unsure: whether the centroids topic may hold some of it that this store does not know of.
    """

    last_click: int
    seeds: int
    emitted: int = 0
    withdrawn: bool = False
    unsure: bool = False


class CandidateEntry(NamedTuple):
    """What the last message of the candidates topic says of an item.

    Attributes:
        expires_at: event time until which it is a candidate, ms; ``RETIRED``, or ``FOR_EVER``.
        offset: that message's offset; below 0 where it lay in another partition, or a topic that was there before:
            of those too the greatest is the newest, and all are older than what lies in the partition.
    """

    expires_at: int
    offset: int = 0


class BaseHead(NamedTuple):
    """What names the pieces of a large base set: their generation, how many there are, and their seeds together."""

    generation: int
    pieces: int
    seeds: int


def encode_record(record: ItemRecord) -> bytes:
    """The value of ``I``."""
    return _RECORD.pack(record.last_click, record.seeds, record.emitted, record.withdrawn + 2 * record.unsure)


def decode_record(value: bytes, item: str) -> ItemRecord:
    """Decode and check the value of ``I``.

    Raises:
        DamagedValueError: when it is damaged.
    """
    if len(value) == _RECORD_2.size:
        value += bytes(_RECORD.size - len(value))
    if len(value) == _RECORD.size:
        last_click, seeds, emitted, flags = _RECORD.unpack(value)
        if 0 <= last_click < MAX_STORED_TIME and seeds >= 0 and emitted >= 0 and 0 <= flags <= 3:
            return ItemRecord(last_click, seeds, emitted, bool(flags & 1), bool(flags & 2))
    msg = f"the record of item {item!r} is damaged: {value[:32].hex()} does not hold times and a count"
    raise DamagedValueError(msg)


def encode_since(time: int) -> bytes:
    """The value of ``G``."""
    return _TIME.pack(time)


def decode_since(value: bytes, item: str) -> int:
    """Decode and check the value of ``G``.

    Raises:
        DamagedValueError: when it is damaged.
    """
    if len(value) == _TIME.size and 0 < (time := _TIME.unpack(value)[0]) < MAX_STORED_TIME:
        return int(time)
    msg = f"when the seed set of item {item!r} began is damaged: {value[:32].hex()} is not a time"
    raise DamagedValueError(msg)


def encode_candidate_entry(entry: CandidateEntry) -> bytes:
    """The value of ``L``."""
    return _CANDIDATE.pack(*entry)


def decode_candidate_entry(value: bytes, item: str) -> CandidateEntry:
    """Decode and check the value of ``L``.

    Raises:
        DamagedValueError: when it is damaged.
    """
    if len(value) == _CANDIDATE_2.size:
        expires_at, since, retired_at = _CANDIDATE_2.unpack(value)
        if min(expires_at, since, retired_at) >= 0:
            return CandidateEntry(RETIRED if retired_at else max(1, expires_at))
    if len(value) == _CANDIDATE.size:
        entry = CandidateEntry(*_CANDIDATE.unpack(value))
        if entry.expires_at >= 0:
            return entry
    msg = f"the candidate entry of item {item!r} is damaged: {value[:32].hex()} is not a time and an offset"
    raise DamagedValueError(msg)


def encode_head(head: BaseHead) -> bytes:
    """The value of ``H``."""
    return _HEAD.pack(*head)


def decode_head(value: bytes, item: str) -> BaseHead:
    """Decode and check the value of ``H``.

    Raises:
        DamagedValueError: when it is damaged.
    """
    if len(value) == _HEAD.size:
        head = BaseHead(*_HEAD.unpack(value))
        if 0 < head.pieces <= head.seeds and 0 < head.generation < 1 << 32:
            return head
    msg = f"the head of the seeds of item {item!r} is damaged: {value[:32].hex()}"
    raise DamagedValueError(msg)


def encode_seeds(seeds: SeedSet) -> bytes:
    """The value of ``B`` and ``D``."""
    return seeds.users.astype("<u8", copy=False).tobytes() + seeds.times.astype("<i8", copy=False).tobytes()


def decode_seeds(value: bytes, item: str) -> SeedSet:
    """Decode and check the value of ``B`` or ``D``: about 2 ns a seed.

    Raises:
        DamagedValueError: when it is damaged.
    """
    count, rest = divmod(len(value), 16)
    users = np.frombuffer(value, "<u8", count)
    times = np.frombuffer(value, "<i8", count, offset=8 * count)
    why = ""
    if rest:
        why = f"{len(value)} bytes is not a multiple of 16"
    elif not (users[1:] > users[:-1]).all():
        why = "its users are not ascending"
    elif count and (times.min() < 0 or times.max() >= MAX_STORED_TIME):
        why = f"a time is outside 0 to {MAX_STORED_TIME} ms"
    if why:
        msg = f"the seeds of item {item!r} are damaged: {why}"
        raise DamagedValueError(msg)
    return SeedSet(users, times)


def encode_window(clicks: WindowClicks) -> bytes:
    """The value of ``O``."""
    return _TIME.pack(clicks.first) + encode_seeds(clicks.seeds)


def decode_window(value: bytes, item: str, closes: int, window: int) -> WindowClicks:
    """Decode and check the value of ``O``.

    Args:
        value: the value.
        item: the item of its key.
        closes: with which window's end it is folded in, ms, as its key says.
        window: its window's end, ms, as its key says.

    Raises:
        DamagedValueError: when it is damaged.
    """
    seeds = decode_seeds(value[8:], item)
    if len(value) >= 24 and 0 < window <= closes:
        first = int.from_bytes(value[:8], "little", signed=True)
        if 0 <= first <= int(seeds.times.min()) and int(seeds.times.max()) < window:
            return WindowClicks(closes, window, first, seeds)
    msg = (
        f"the clicks of item {item!r} in the window until {window} are damaged: {value[:32].hex()} does not hold times "
        "before its end"
    )
    raise DamagedValueError(msg)
