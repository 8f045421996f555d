"""Both trained stages, one after the other: user representation learning, then look-alike learning (5.2 and 5.3)."""

from dataclasses import dataclass

import numpy as np
import torch

from ralm.features import END_OF_TIME, ClickHistories, FeatureBatch, Floats, Interactions, Ints
from ralm.progress import Report, silent
from ralm.towers.lookalike import LookalikeTowers
from ralm.towers.lookalike_training import LookalikeTrainer, new_towers
from ralm.towers.optimising import Checkpoint, Log, NoCheckpoint, deterministic
from ralm.towers.training_config import TrainingConfig
from ralm.towers.user_tower import UserTower
from ralm.towers.user_training import UserModel, embed, train_user_model


@dataclass(frozen=True)
class Trained:
    """What training gives.

    Attributes:
        tower: the user tower.
        towers: the look-alike towers.
        log: of each epoch of both stages.
        normalise: whether user embeddings are brought to length 1 before the towers.
    """

    tower: UserTower
    towers: LookalikeTowers
    log: Log
    normalise: bool = False

    def vectors(self, histories: ClickHistories, users: Ints) -> Floats:
        """Look-alike vectors of users with all of their history: int64[B] to float32[B, h]."""
        times = np.full(len(users), END_OF_TIME)
        with deterministic(), torch.inference_mode():
            embeddings = embed(self.tower, histories, users, times, normalise=self.normalise)
            vectors: Floats = self.towers.eval().transform(torch.from_numpy(embeddings)).numpy()
        return vectors

    def vectors_of(self, features: FeatureBatch) -> Floats:
        """Look-alike vectors of any users from their features, float32[B, h]."""
        with deterministic(), torch.inference_mode():
            embeddings = self.tower.eval()(features)  # (B, m)
            if self.normalise:
                embeddings = torch.nn.functional.normalize(embeddings, dim=1)
            vectors: Floats = self.towers.eval().transform(embeddings).numpy()
        return vectors


def train(
    data: Interactions,
    config: TrainingConfig,
    progress: Report = silent,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train both stages on all clicks of ``data``; the same data and config give the same weights.

    Args:
        data: users, items and the clicks to learn from.
        config: the hyperparameters.
        progress: called when a stage begins and after each epoch.
        checkpoint: where a stopped training goes on from; None: nowhere.

    Raises:
        ValueError: when there are too few clicks or items to learn from, or a loss is not finite.
    """
    clicks, items = len(data.clicks_user), len(np.unique(data.clicks_item))
    if items < 2:
        msg = f"training needs clicks on at least 2 items; what is learned from are {clicks:,} clicks on {items}"
        raise ValueError(msg)
    histories, kept = ClickHistories(data, config.history_length), checkpoint or NoCheckpoint()
    with deterministic():
        user = train_user_model(data, histories, config, progress, kept)
        return train_lookalike(user, data, histories, config, progress, kept)


def train_lookalike(
    user: UserModel,
    data: Interactions,
    histories: ClickHistories,
    config: TrainingConfig,
    progress: Report = silent,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train the look-alike towers upon a trained user tower, which stays as it is.

    Raises:
        ValueError: when no item has two seeds, or a loss is not finite.
    """
    towers = new_towers(config)
    with deterministic():
        trainer = LookalikeTrainer(user.tower, data, histories, config, towers)
        log = trainer.run(progress, checkpoint or NoCheckpoint())
    return Trained(user.tower, towers, [*user.log, *log], config.normalise)
