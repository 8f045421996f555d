"""The live index: every live item's centroids, ready for scoring, read from the compacted centroids topic.

A view of the index is immutable. Updates build new blocks for the rows they touch and swap the whole view, so a
scorer that holds one sees one state from its first product to its last.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from flows.messages.types import Centroids
from flows.scoring.sketched_items import SketchedItems
from ralm.features import Floats, Ints
from ralm.scoring import ItemBlock, ScoreForm
from ralm.sketch import Hashes, Sketch

BLOCK_ITEMS = 256
"""Items in a block: small enough to copy at an update, large enough for a matrix product."""


@dataclass(frozen=True)
class IndexEntry:
    """One item as of its last centroids.

    Attributes:
        centroids: float32[k, h].
        counts: seeds that each stands for, int64[k].
        global_embedding: float32[h].
        window_end: of the window, ms.
        seeds: how many.
        sketch: of the seeds, uint32[n]; empty: the centroids have none.
    """

    centroids: Floats
    counts: Ints
    global_embedding: Floats
    window_end: int
    seeds: int
    sketch: Hashes = field(default_factory=lambda: np.zeros(0, np.uint32))

    @classmethod
    def of(cls, message: Centroids) -> "IndexEntry":
        """From a checked message."""
        return cls(
            message.centroids_array(),
            np.array(message.counts, np.int64),
            message.global_array(),
            message.window_end,
            message.seeds,
            message.sketch_array(),
        )


@dataclass(frozen=True)
class Block:
    """Up to ``BLOCK_ITEMS`` slots.

    Attributes:
        items: the prepared items; empty slots hold zeros.
        item_ids: of each slot, None where it is empty.
        window_ends: int64[slots], ms.
        live: bool[slots].
    """

    items: ItemBlock
    item_ids: tuple[str | None, ...]
    window_ends: Ints
    live: NDArray[np.bool_]


@dataclass(frozen=True)
class IndexView:
    """The index at one moment.

    Attributes:
        blocks: all slots, in order.
        slots: slot of each item; may already know items of later views, so ``slot`` checks.
        size: live items.
        sketched: the items' sketches; None where they are not kept.
    """

    blocks: tuple[Block, ...]
    slots: Mapping[str, int]
    size: int
    sketched: SketchedItems | None = None

    def slot(self, item_id: str) -> int | None:
        """The item's slot, None when this view does not have it."""
        slot = self.slots.get(item_id)
        if slot is None or slot >= len(self.blocks) * BLOCK_ITEMS:
            return None
        block, row = divmod(slot, BLOCK_ITEMS)
        return slot if self.blocks[block].item_ids[row] == item_id else None

    def item_id(self, slot: int) -> str | None:
        """The item in a slot."""
        return self.blocks[slot // BLOCK_ITEMS].item_ids[slot % BLOCK_ITEMS]

    def window_end(self, slot: int) -> int:
        """The window end (ms) of the item in a slot."""
        return int(self.blocks[slot // BLOCK_ITEMS].window_ends[slot % BLOCK_ITEMS])

    def take(self, slots: Ints) -> ItemBlock:
        """The items of some slots, in their order, as one block."""
        order = np.argsort(slots // BLOCK_ITEMS, kind="stable")
        parts = [
            self.blocks[number].items.take(slots[order][slots[order] // BLOCK_ITEMS == number] % BLOCK_ITEMS)
            for number in np.unique(slots // BLOCK_ITEMS).tolist()
        ]
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return ItemBlock.concatenate(parts).take(back)


class LiveIndex:
    """Holds the current view; one thread updates it, any may read.

    Args:
        form: of the scores, for which the blocks are prepared.
        sketched: whether to keep the items' sketches.
    """

    def __init__(self, form: ScoreForm, *, sketched: bool = False) -> None:
        self._form = form
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._next = 0
        self.view = IndexView((), self._slots, 0, SketchedItems.empty() if sketched else None)
        self.loaded = threading.Event()

    def update(self, changes: Mapping[str, IndexEntry | None]) -> None:
        """Apply the newest entry of each item (None retires it) and swap the view."""
        by_block: dict[int, dict[int, tuple[str, IndexEntry | None]]] = {}
        for item_id, entry in changes.items():
            slot = self._slot_for(item_id, entry)
            if slot is not None:
                by_block.setdefault(slot // BLOCK_ITEMS, {})[slot % BLOCK_ITEMS] = (item_id, entry)
        blocks = list(self.view.blocks)
        while len(blocks) * BLOCK_ITEMS < self._next:
            blocks.append(self._empty_block())
        for number, rows in by_block.items():
            blocks[number] = self._changed(blocks[number], rows)
        sketched = self.view.sketched
        if sketched is not None:
            sketched = self._sketched(sketched, by_block, len(blocks) * BLOCK_ITEMS)
        self.view = IndexView(tuple(blocks), self._slots, len(self._slots), sketched)

    def _sketched(
        self, before: SketchedItems, by_block: Mapping[int, Mapping[int, tuple[str, IndexEntry | None]]], count: int
    ) -> SketchedItems:
        """The sketches with the changes, for ``count`` slots."""
        slots = [block * BLOCK_ITEMS + row for block, rows in by_block.items() for row in rows]
        changes = [change for rows in by_block.values() for change in rows.values()]
        sketches = [Sketch(entry.sketch) if entry is not None and len(entry.sketch) else None for _, entry in changes]
        return before.changed(
            np.array(slots, np.int64),
            [None if entry is None else item_id for item_id, entry in changes],
            sketches,
            np.array([0 if entry is None else entry.seeds for _, entry in changes], np.int64),
            count,
        )

    def _slot_for(self, item_id: str, entry: IndexEntry | None) -> int | None:
        if entry is None:
            slot = self._slots.pop(item_id, None)
            if slot is not None:
                self._free.append(slot)
            return slot
        slot = self._slots.get(item_id)
        if slot is None:
            if self._free:
                slot = self._free.pop()
            else:
                slot, self._next = self._next, self._next + 1
            self._slots[item_id] = slot
        return slot

    def _empty_block(self) -> Block:
        nothing = np.zeros((1, self._form.dim), np.float32)
        items = ItemBlock.of(
            [nothing] * BLOCK_ITEMS, [nothing[0]] * BLOCK_ITEMS, self._form, np.zeros(BLOCK_ITEMS, np.int64)
        )
        return Block(items, (None,) * BLOCK_ITEMS, np.zeros(BLOCK_ITEMS, np.int64), np.zeros(BLOCK_ITEMS, bool))

    def _changed(self, block: Block, rows: Mapping[int, tuple[str, IndexEntry | None]]) -> Block:
        ids, ends, live = list(block.item_ids), block.window_ends.copy(), block.live.copy()
        filled: dict[int, IndexEntry] = {}
        for row, (item_id, entry) in rows.items():
            if entry is None:
                ids[row], live[row] = None, False
            else:
                ids[row], live[row], ends[row] = item_id, True, entry.window_end
                filled[row] = entry
        items = block.items
        if filled:
            fresh = ItemBlock.of(
                [entry.centroids for entry in filled.values()],
                [entry.global_embedding for entry in filled.values()],
                self._form,
                np.array([entry.seeds for entry in filled.values()], np.int64),
                [entry.counts for entry in filled.values()],
            )
            items = items.with_rows(np.array(list(filled), np.int64), fresh)
        return replace(block, items=items, item_ids=tuple(ids), window_ends=ends, live=live)
