"""Dead letters set aside on disk while the topic is read, to be taken in the order in which they were first sent."""

import tempfile
from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager

import msgspec
import numpy as np

from flows.messages.batches import Ints
from flows.messages.dead_letter import DeadLetter, RedriveReceipt

_COLUMNS = 7
"""Topic, its partition, its offset; partition and offset of the letter; place and length in the file."""
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(DeadLetter)


class Spool(AbstractContextManager["Spool"]):
    """Letters in a file that is gone with the process; in memory, 56 bytes of each."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self._size = 0
        self._index = array("q")
        self._topics: dict[str, int] = {}
        self._sent: set[tuple[int, int]] = set()

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, letter: DeadLetter) -> None:
        """Set a letter aside."""
        content = _encoder.encode(letter)
        topic = self._topics.setdefault(letter.topic, len(self._topics))
        source = (topic, letter.source_partition, letter.source_offset)
        self._index.extend((*source, letter.partition, letter.offset, self._size, len(content)))
        self._file.write(content)
        self._size += len(content)

    def note(self, receipt: RedriveReceipt) -> None:
        """Note letters that were redriven."""
        self._sent.update((receipt.partition, offset) for offset in receipt.offsets)

    def __len__(self) -> int:
        return len(self._index) // _COLUMNS

    def in_order(self) -> "InOrder":
        """The letters by topic, partition and offset of the original, each original once, without what was redriven.

        The flow may have written a letter twice (at least once); if one of the two was redriven, both were.
        """
        rows = np.array(self._index, np.int64).reshape(-1, _COLUMNS)
        rows = rows[np.lexsort(rows.T[4::-1])]
        new = np.ones(len(rows), bool)
        new[1:] = (rows[1:, :3] != rows[:-1, :3]).any(axis=1)
        group = np.cumsum(new) - 1
        sent = np.fromiter(
            (place in self._sent for place in zip(*rows[:, 3:5].T.tolist(), strict=True)), bool, len(rows)
        )
        settled = np.zeros(group[-1] + 1 if len(rows) else 0, bool)
        np.logical_or.at(settled, group, sent)
        return InOrder(self, rows, np.flatnonzero(new), settled)

    def read(self, place: int, length: int) -> DeadLetter:
        """The letter at a place of the file."""
        self._file.seek(place)
        return _decoder.decode(self._file.read(length))


class InOrder:
    """Letters in their original order.

    Attributes:
        already: how many originals were redriven before.
    """

    def __init__(self, spool: Spool, rows: Ints, firsts: Ints, settled: np.ndarray) -> None:
        self._spool = spool
        self._rows = rows
        self._bounds = [*firsts.tolist(), len(rows)]
        self._settled = settled
        self.already = int(settled.sum())

    def __len__(self) -> int:
        return len(self._settled) - self.already

    def __iter__(self) -> Iterator[tuple[DeadLetter, list[tuple[int, int]]]]:
        """Each letter, with partition and offset of all its copies."""
        for number in np.flatnonzero(~self._settled).tolist():
            rows = self._rows[self._bounds[number] : self._bounds[number + 1]]
            place, length = rows[0, 5:].tolist()
            yield self._spool.read(place, length), [(p, o) for p, o in rows[:, 3:5].tolist()]
