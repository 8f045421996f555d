"""What the engine's snapshot holds of a partition: read back as it was, or refused in words."""

from random import Random

import msgspec
import numpy as np

from flows.seed_sets.keeper_state import OperatorSnapshot
from flows.support.errors import RalmError

from .mutation import mutated, number, text
from .target import Check, Target, said

_FIELDS = 9


def snapshot(rng: Random) -> bytes:
    """A snapshot, or nearly."""
    items = [text(rng) for _ in range(rng.randrange(4))]
    windows = np.array([rng.randrange(2**53) for _ in items], np.int64)
    pending = {text(rng): rng.randrange(2**53) for _ in range(rng.randrange(3))}
    newest = rng.choice((None, 5))
    state = OperatorSnapshot(rng.randrange(9), rng.randrange(99), 0, newest, 0, (items, windows, windows), pending)
    data = state.encode()
    if rng.random() < 0.3:
        parts = msgspec.msgpack.decode(data)
        strange = (min(max(number(rng), -(2**63)), 2**64 - 1), text(rng), None, [], {}, rng.randbytes(7), 1.5)
        parts[rng.randrange(_FIELDS)] = rng.choice(strange)
        data = msgspec.msgpack.encode(parts)
    return mutated(rng, data) if rng.random() < 0.5 else data


def _snapshot_check() -> Check:
    def check(data: bytes) -> str:
        try:
            state = OperatorSnapshot.decode(data)
        except RalmError as error:
            said(error)
            return "refused"
        items, first, last = state.dirty
        assert len(items) == len(first) == len(last)
        again = OperatorSnapshot.decode(state.encode())
        assert again.encode() == state.encode(), "it does not come through again"
        for value in (state.position, state.candidates, state.closed, state.partition):
            assert 0 <= value < 2**63, f"{value} is no offset, time or partition"
        return "accepted"

    return check


TARGETS = [Target("snapshot", 0.04, snapshot, _snapshot_check)]
