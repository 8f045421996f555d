"""One user tower for all models of one data set that want the same: most of their training is the tower's."""

import hashlib
import json
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch

from ralm.features import ClickHistories, Interactions
from ralm.progress import Report
from ralm.towers.optimising import Log, NoCheckpoint, deterministic
from ralm.towers.training_config import USER_TOWER, TrainingConfig
from ralm.towers.user_training import UserModel, new_user_model, train_user_model

Arrays = dict[str, np.ndarray]


class TowerStore(Protocol):
    """Keeps trained user towers under a key."""

    def get(self, key: str) -> Arrays | None:
        """The arrays kept under a key, None when there are none."""

    def put(self, key: str, arrays: Arrays) -> None:
        """Keep arrays under a key."""

    def lock(self, key: str) -> AbstractContextManager[object]:
        """Held by one holder at a time, so that only one trains what others wait for."""


class TowerModel:
    """What the models upon a user tower share.

    Args:
        config: the hyperparameters; each fit has its own ``rng_seed`` instead of theirs.

    Attributes:
        log: of each epoch of the last fit.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self.log: Log = []
        self._store: TowerStore | None = None

    def use_store(self, store: TowerStore) -> None:
        """Share the trained user tower through a store."""
        self._store = store

    def user_model(
        self, clicks: Interactions, rng_seed: int, report: Report
    ) -> tuple[TrainingConfig, ClickHistories, UserModel]:
        """The fit's config, the clicks' histories, and the user model trained on them.

        Raises:
            ValueError: when the loss is not finite.
        """
        config = replace(self.config, rng_seed=rng_seed)
        histories = ClickHistories(clicks, config.history_length)
        return config, histories, _user_model(clicks, histories, config, report, self._store)


def _user_model(
    data: Interactions, histories: ClickHistories, config: TrainingConfig, report: Report, store: TowerStore | None
) -> UserModel:
    """The trained user model of the data and config: from the store if it is there, else trained and kept there."""
    if store is None:
        return _trained(data, histories, config, report)
    key = _key(data, config)
    with store.lock(key):
        arrays = store.get(key)
        if arrays is None:
            model = _trained(data, histories, config, report)
            store.put(key, _arrays(model))
            return model
    model = new_user_model(data, config)
    for prefix, module in (("tower.", model.tower), ("items.", model.items)):
        module.load_state_dict(
            {name.removeprefix(prefix): torch.from_numpy(a) for name, a in arrays.items() if name.startswith(prefix)}
        )
        module.eval()
    return UserModel(model.tower, model.items, json.loads(arrays["log"].tobytes()))


def _trained(data: Interactions, histories: ClickHistories, config: TrainingConfig, report: Report) -> UserModel:
    with deterministic():
        return train_user_model(data, histories, config, report, NoCheckpoint())


def _arrays(model: UserModel) -> Arrays:
    return {
        **{f"tower.{name}": tensor.numpy() for name, tensor in model.tower.state_dict().items()},
        **{f"items.{name}": tensor.numpy() for name, tensor in model.items.state_dict().items()},
        "log": np.frombuffer(json.dumps(model.log).encode(), np.uint8),
    }


def _key(data: Interactions, config: TrainingConfig) -> str:
    digest = hashlib.sha256(repr([getattr(config, name) for name in USER_TOWER]).encode())
    for column in (data.clicks_user, data.clicks_item, data.clicks_time):
        digest.update(column.tobytes())
    return f"user-tower-{digest.hexdigest()[:16]}"
