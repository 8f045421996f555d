"""What a store says is still to be done of a partition: read back as it was, or refused."""

from random import Random

import msgspec
import numpy as np

from flows.seed_sets.keeper_state import OpenWork
from state.store.layout import DamagedValueError

from .mutation import mutated, number, text
from .target import Check, Target, said

_FIELDS = 7


def open_work(rng: Random) -> bytes:
    """What is to be done, or nearly."""
    items = [text(rng) for _ in range(rng.randrange(4))]
    windows = np.array([rng.randrange(2**53) for _ in items], np.int64)
    pending = {text(rng): rng.randrange(2**53) for _ in range(rng.randrange(3))}
    newest = rng.choice((None, 5))
    state = OpenWork(newest, rng.randrange(99), rng.choice((None, 7)), (items, windows, windows), pending)
    data = state.encode()
    if rng.random() < 0.3:
        parts = msgspec.msgpack.decode(data)
        strange = (min(max(number(rng), -(2**63)), 2**64 - 1), text(rng), None, [], {}, rng.randbytes(7), 1.5)
        parts[rng.randrange(_FIELDS)] = rng.choice(strange)
        data = msgspec.msgpack.encode(parts)
    return mutated(rng, data) if rng.random() < 0.5 else data


def _check() -> Check:
    def check(data: bytes) -> str:
        try:
            state = OpenWork.decode(data)
        except DamagedValueError as error:
            said(error)
            return "refused"
        items, first, last = state.dirty
        assert len(items) == len(first) == len(last)
        again = OpenWork.decode(state.encode())
        assert again.encode() == state.encode(), "it does not come through again"
        assert 0 <= state.closed < 2**63, f"{state.closed} is not a time"
        return "accepted"

    return check


TARGETS = [Target("open-work", 0.04, open_work, _check)]
