"""Item keys: 64 bits that stand for an item's identifier in a bundle, made as user keys are."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from state.user_keys import user_keys


def item_keys(item_ids: Sequence[str]) -> NDArray[np.uint64]:
    """The keys of items, uint64[n]."""
    return user_keys(item_ids)
