"""One user tower for all models of one data set that want the same: most of their training is the tower's."""

import json
from dataclasses import replace

import numpy as np
import torch

from ralm.features import ClickHistories, Interactions
from ralm.models.fit_store import Arrays, FitStore, SharesFits, fit_key
from ralm.progress import Report
from ralm.towers.optimising import Log, NoCheckpoint, deterministic
from ralm.towers.training_config import USER_TOWER, TrainingConfig
from ralm.towers.user_training import UserModel, new_user_model, train_user_model


class TowerModel(SharesFits):
    """What the models upon a user tower share.

    Args:
        config: the hyperparameters; each fit has its own ``rng_seed`` instead of theirs.

    Attributes:
        log: of each epoch of the last fit.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self.log: Log = []

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
    data: Interactions, histories: ClickHistories, config: TrainingConfig, report: Report, store: FitStore | None
) -> UserModel:
    """The trained user model of the data and config: from the store if it is there, else trained and kept there."""
    if store is None:
        return _trained(data, histories, config, report)
    key = fit_key("user-tower", data, [getattr(config, name) for name in USER_TOWER])
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
