"""Restores a store that is missing or behind the engine's snapshot from the topics themselves.

A process may get a partition whose store is on another's disk, a disk may be lost, a backup may be older than the
recovery data. The clicks are then read again from where the store ends to where the snapshot is; the dataflow waits.
"""

from collections.abc import Iterable

import numpy as np

from flows.config.groups import WindowSettings
from flows.messages.batches import CandidateBatch, ClickBatch
from flows.seed_sets.intake import SeedSetWriter
from flows.seed_sets.windows import WindowClock

WRITE_EVERY = 1_000_000
"""Clicks that are held before they are written."""


def restore_from_topic(
    writer: SeedSetWriter,
    windows: WindowSettings,
    clicks: Iterable[ClickBatch],
    candidates: Iterable[CandidateBatch],
    until: tuple[int, int],
) -> None:
    """Apply what the store has missed. Nothing is clustered or sent: the snapshot holds what is still to be done.

    Args:
        writer: of the store.
        windows: how event time is cut; items are evicted in it as they were the first time.
        clicks: the clicks that are missing, in offset order.
        candidates: the candidates that are missing, in offset order.
        until: the offsets of clicks and candidates that the snapshot has reached.
    """
    for listed in candidates:
        for change in listed.changes:
            writer.apply_candidate(change)
    writer.candidates = max(writer.candidates, until[1])
    times = writer.items.last_click[writer.items.live]
    clock = WindowClock(windows, int(times.max()) if len(times) else None)
    held = 0
    for batch in clicks:
        for closed, part in clock.cut(batch.rows(0, int(np.searchsorted(batch.offsets, until[0])))):
            if closed is not None:
                writer.evict(writer.evictable(closed))
            writer.apply_clicks(part, clock.closed)
        held += len(batch.offsets)
        if held >= WRITE_EVERY:
            writer.write()
            held = 0
    writer.position = max(writer.position, until[0])
    writer.write()
