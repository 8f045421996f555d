"""What is still to be done of a partition, as its store holds it beside the seed sets."""

from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple, Self

import msgspec
import numpy as np

from ralm.features import Ints
from state.store.layout import CandidateEntry, DamagedValueError, ItemRecord, of_store
from state.store.seed_store import SeedStore

_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Wire(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    newest: _Natural | None
    closed: _Natural
    heard: _Natural | None
    dirty_items: list[str]
    dirty_from: bytes
    dirty_to: bytes
    pending: dict[str, _Natural]
    dropped_until: _Natural = 0
    window: _Natural = 0
    made_with: str = ""


_decoder = msgspec.msgpack.Decoder(_Wire)
_encoder = msgspec.msgpack.Encoder()


@dataclass(frozen=True)
class OpenWork:
    """What is still to be done of a partition.

    Attributes:
        newest: greatest event time seen, ms, or None.
        closed: end of the last closed window, ms.
        heard: the clock when the newest message came, ms, or None.
        dirty: items touched since their clustering, with the first and last window that did: int64[n] each, ms.
        pending: items of closed windows whose centroids may not have been delivered yet, with their window.
        dropped_until: the greatest window end that was said of an item which was dropped since, ms.
        window: the length of the windows, ms; 0 where that was not noted.
        made_with: the settings that its items were clustered with; empty where it does not say.
    """

    newest: int | None
    closed: int
    heard: int | None
    dirty: tuple[list[str], Ints, Ints]
    pending: dict[str, int]
    dropped_until: int = 0
    window: int = 0
    made_with: str = ""

    def encode(self) -> bytes:
        """As MessagePack."""
        items, first, last = self.dirty
        columns = (first.astype("<i8").tobytes(), last.astype("<i8").tobytes())
        times = (self.newest, self.closed, self.heard)
        wire = _Wire(*times, items, *columns, self.pending, self.dropped_until, self.window, self.made_with)
        return _encoder.encode(wire)

    def handed_over(self, items: list[str], other: "OpenWork | None") -> "OpenWork":
        """What is to be done of another partition once it has taken over items of this one.

        Args:
            items: their names.
            other: what was to be done there; None where it has done nothing yet. Where no click has come to it, it
                goes on with this one's clock, if with items.
        """
        nothing = (list[str](), np.zeros(0, np.int64), np.zeros(0, np.int64))
        mine = other or OpenWork(None, 0, None, nothing, {})
        if mine.newest is None and items:
            mine = replace(mine, newest=self.newest, closed=self.closed, heard=self.heard)
        longest = max(self.window, self.window if other is None else other.window)
        taken = set(items)
        places = [place for place, name in enumerate(self.dirty[0]) if name in taken]
        names = [*mine.dirty[0], *(self.dirty[0][place] for place in places)]
        first, last = (
            np.concatenate([column, ours[places]]) for column, ours in zip(mine.dirty[1:], self.dirty[1:], strict=True)
        )
        pending = {n: max(window, mine.pending.get(n, 0)) for n, window in self.pending.items() if n in taken}
        # What was dropped here may be born there.
        until = max(mine.dropped_until, self.dropped_until, self.closed)
        return replace(
            mine,
            dirty=(names, first, last),
            pending=mine.pending | pending,
            dropped_until=until,
            window=longest if items else mine.window,
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read it back.

        Raises:
            DamagedValueError: when it is invalid.
        """
        try:
            wire = _decoder.decode(data)
            first, last = np.frombuffer(wire.dirty_from, "<i8"), np.frombuffer(wire.dirty_to, "<i8")
            if not len(first) == len(last) == len(wire.dirty_items):
                msg = "its columns are of different lengths"
                raise ValueError(msg)
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            msg = f"what it says is still to be done cannot be read ({error})"
            raise DamagedValueError(msg) from error
        dirty = (wire.dirty_items, first, last)
        more = (wire.dropped_until, wire.window, wire.made_with)
        return cls(wire.newest, wire.closed, wire.heard, dirty, wire.pending, *more)

    @classmethod
    def of(cls, store: SeedStore) -> Self | None:
        """What a store says; None where it says nothing.

        Raises:
            StoreError: when it is damaged; says what to do.
        """
        with of_store(store.path):
            return None if store.work is None else cls.decode(store.work)


class ForNewOffsets(NamedTuple):
    """What a store says of its items, where the offsets of their clicks begin anew.

    Emissions of an item are ordered by window end and offset. What is emitted next says a later window end than all
    that was, what may have been sent before a crash included, so that no offset is compared with one of before.

    Attributes:
        records: of its items.
        work: what is still to be done; None where the store does not say.
    """

    records: dict[str, ItemRecord]
    work: OpenWork | None

    @classmethod
    def of(cls, store: SeedStore) -> Self:
        """Read it.

        Raises:
            StoreError: when a record, or what is still to be done, is damaged.
        """
        work = OpenWork.of(store)
        pending = {} if work is None else work.pending
        records = {
            item: replace(record, emitted=_later(max(record.emitted, pending.get(item, 0))))
            for item, record in store.items()
        }
        return cls(records, work and replace(work, dropped_until=_later(work.dropped_until)))


def said_before(store: SeedStore) -> dict[str, CandidateEntry]:
    """What the candidates topic said of items, where its offsets begin anew: older than all that it will say.

    Raises:
        StoreError: when an entry is damaged.
    """
    end = store.meta.candidates
    return {item: entry._replace(offset=entry.offset - end) for item, entry in store.candidates()}


def _later(window_end: int) -> int:
    return window_end and window_end + 1
