"""The base seed set of an item, in one value or, when it is large, in pieces.

RocksDB's binding keeps the interpreter to itself while a value is read or written: half a second for 48 MB on a busy
machine, in which no thread of the process runs. So a set of more than ``PIECE`` seeds is read and written in pieces of
1 MB. A new set is written beside the old one, as another generation; the head, in one batch with all that goes, makes
it the base. A crash before that leaves pieces that no head names: the next fold or the item's end removes them.
"""

from typing import NamedTuple

import numpy as np
from rocksdict import WriteBatch

from ralm.seed_set import SeedSet
from state.store import rocks
from state.store.keys import item_key, piece_key, split_key
from state.store.layout import (
    BaseHead,
    DamagedValueError,
    decode_head,
    decode_seeds,
    encode_head,
    encode_seeds,
    of_store,
)

PIECE = 65_536
"""Seeds of a piece."""


class Base(NamedTuple):
    """A base set as it lies in a store.

    Attributes:
        seeds: the set.
        head: what names its pieces, None when it is in one value or there is none.
        pieces: the keys of all pieces of the item, also of those that no head names.
    """

    seeds: SeedSet
    head: BaseHead | None
    pieces: list[bytes]


class BaseSets:
    """The base sets of an open store.

    Args:
        store: the open store, with its directory.
    """

    def __init__(self, store: rocks.OpenStore) -> None:
        self._store = store

    def read(self, item: str) -> Base:
        """The base set of an item, empty when it has none.

        Raises:
            StoreError: when it is damaged.
        """
        with of_store(self._store.path):
            while True:
                value = self._store.get(item_key(b"B", item))
                if value is not None:
                    return Base(decode_seeds(value, item), None, [])
                head = self._head(item)
                found = dict(self._store.scan(item_key(b"P", item)))
                if self._head(item) == head:  # else it was folded between the two looks
                    return self._joined(item, head, found)

    def write(self, item: str, seeds: SeedSet, old: Base, last: WriteBatch) -> None:
        """Write a new base set; it takes the old one's place with the batch ``last``, which is not written here.

        Raises:
            StoreError: when RocksDB refuses.
        """
        for key in old.pieces:
            last.delete(key)
        if len(seeds) <= PIECE:
            last.put(item_key(b"B", item), encode_seeds(seeds))
            if old.head is not None:
                last.delete(item_key(b"H", item))
            return
        generation = max((split_key(key).epoch >> 32 for key in old.pieces), default=0) + 1
        starts = range(0, len(seeds), PIECE)
        for number, start in enumerate(starts):
            piece = SeedSet(seeds.users[start : start + PIECE], seeds.times[start : start + PIECE])
            batch = WriteBatch(raw_mode=True)
            batch.put(piece_key(item, generation, number), encode_seeds(piece))
            self._store.write(batch)
        last.put(item_key(b"H", item), encode_head(BaseHead(generation, len(starts), len(seeds))))
        last.delete(item_key(b"B", item))

    def delete(self, item: str, batch: WriteBatch) -> None:
        """Have a batch delete the base set of an item, and what a crash may have left beside it.

        Raises:
            StoreError: when the store cannot be read.
        """
        batch.delete(item_key(b"B", item))
        with of_store(self._store.path):
            head = self._head(item)
        if head is not None:
            batch.delete(item_key(b"H", item))
            batch.delete_range(item_key(b"P", item), item_key(b"P", item) + b"\xff" * 9)

    def _head(self, item: str) -> BaseHead | None:
        value = self._store.get(item_key(b"H", item))
        return None if value is None else decode_head(value, item)

    @staticmethod
    def _joined(item: str, head: BaseHead | None, found: dict[bytes, bytes]) -> Base:
        if head is None:
            return Base(SeedSet.empty(), None, list(found))
        named = [found.get(piece_key(item, head.generation, number)) for number in range(head.pieces)]
        pieces = [decode_seeds(value, item) for value in named if value is not None]
        users = np.concatenate([piece.users for piece in pieces]) if pieces else np.empty(0, np.uint64)
        if len(users) != head.seeds or not (users[1:] > users[:-1]).all():
            msg = f"the seeds of item {item!r} are damaged: {len(users):,} of {head.seeds:,} are there"
            raise DamagedValueError(msg)
        return Base(SeedSet(users, np.concatenate([piece.times for piece in pieces])), head, list(found))
