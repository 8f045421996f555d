"""What the engine's snapshot holds of a partition.

The engine pickles what a step gives it. It is given bytes, so that reading them back, also by ``ralm state verify``,
can run no code: a pickle of bytes needs no names.
"""

from dataclasses import dataclass
from typing import Annotated, Self

import msgspec
import numpy as np

from flows.support.errors import RalmError
from ralm.features import Ints

_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Wire(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    partition: _Natural
    position: _Natural
    candidates: _Natural
    newest: _Natural | None
    closed: _Natural
    dirty_items: list[str]
    dirty_from: bytes
    dirty_to: bytes
    pending: dict[str, _Natural]


_decoder = msgspec.msgpack.Decoder(_Wire)
_encoder = msgspec.msgpack.Encoder()


@dataclass(frozen=True)
class OperatorSnapshot:
    """What the engine's snapshot holds of a partition.

    Attributes:
        partition: the Kafka partition.
        position: the offset after the last click that the store has.
        candidates: the same of the candidates topic.
        newest: greatest event time seen, ms, or None.
        closed: end of the last closed window, ms.
        dirty: items touched since their clustering, with the first and last window that did: int64[n] each, ms.
        pending: items of closed windows whose centroids are not emitted yet, with their window.
    """

    partition: int
    position: int
    candidates: int
    newest: int | None
    closed: int
    dirty: tuple[list[str], Ints, Ints]
    pending: dict[str, int]

    def encode(self) -> bytes:
        """As MessagePack."""
        items, first, last = self.dirty
        return _encoder.encode(
            _Wire(
                self.partition,
                self.position,
                self.candidates,
                self.newest,
                self.closed,
                items,
                first.astype("<i8").tobytes(),
                last.astype("<i8").tobytes(),
                self.pending,
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read it back.

        Raises:
            RalmError: when it is invalid; says what to do.
        """
        try:
            wire = _decoder.decode(data)
            first, last = np.frombuffer(wire.dirty_from, "<i8"), np.frombuffer(wire.dirty_to, "<i8")
            if not len(first) == len(last) == len(wire.dirty_items):
                msg = "its columns are of different lengths"
                raise ValueError(msg)
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            msg = (
                f"the engine's snapshot of the seed sets cannot be read: {error}. Restore the state directory (stores "
                "and recovery together) from a backup, or move its folder recovery away: then all clicks that the "
                "topic still has are read again, which changes no seed set."
            )
            raise RalmError(msg) from error
        dirty = (wire.dirty_items, first.astype(np.int64), last.astype(np.int64))
        return cls(wire.partition, wire.position, wire.candidates, wire.newest, wire.closed, dirty, wire.pending)
