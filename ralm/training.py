"""The two trained stages: user representation learning, then look-alike learning (sections 5.2 and 5.3)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from ralm.features import END_OF_TIME, Floats, Histories, Interactions, Ints
from ralm.lookalike import LookalikeTowers
from ralm.lookalike_training import train_lookalike
from ralm.sampling import NegativeSampler, bounded_positives
from ralm.user_tower import ItemTable, TowerShape, UserTower, sampled_softmax_loss

Progress = Callable[[str, int, int, float], None]
"""Called after each epoch with the stage, epochs done, epochs in all, and the mean loss."""

_CHUNK = 8192


@dataclass(frozen=True)
class TrainingConfig:
    """Every hyperparameter; what the paper does not give says so.

    Attributes:
        dim: m and h, lengths of user embedding and look-alike vector (128).
        field_dim: length of a field's embedding (not given).
        attention_size: of the merge and the global attention unit (not given).
        history: past clicks that are features (not given).
        history_dropout: share of the positives that are seen without their past clicks, so that users who have only
            a profile get meaningful vectors too (not in the paper, whose users all have a history).
        epochs_user: epochs of the user tower (not given).
        epochs_lookalike: epochs of the look-alike towers (not given).
        batch_size: positives of a step (256).
        learning_rate: Adam's (0.001).
        negatives: negatives of a positive (10).
        max_positives: most positives of a user (50).
        train_clusters: k (20).
        merge: ``attention`` or ``concat``.
        alpha: weight of the global part (0.3).
        beta: weight of the local part (0.7).
        activation: of the shared FC, ``relu`` (paper) or ``prelu``.
        dropout: of the shared FC (not given).
        loss: ``learned`` scale and shift before the sigmoid, or ``plain`` (the paper; see ``LookalikeLoss``).
        rng_seed: fixes every random choice.
    """

    dim: int = 128
    field_dim: int = 32
    attention_size: int = 32
    history: int = 50
    history_dropout: float = 0.3
    epochs_user: int = 10
    epochs_lookalike: int = 5
    batch_size: int = 256
    learning_rate: float = 0.001
    negatives: int = 10
    max_positives: int = 50
    train_clusters: int = 20
    merge: str = "attention"
    alpha: float = 0.3
    beta: float = 0.7
    activation: str = "relu"
    dropout: float = 0.0
    loss: str = "learned"
    rng_seed: int = 0


@dataclass
class Trained:
    """What training gives.

    Attributes:
        tower: the user tower.
        towers: the look-alike towers.
        log: of each epoch, its stage, number and mean loss.
    """

    tower: UserTower
    towers: LookalikeTowers
    log: list[dict[str, float | int | str]] = field(default_factory=list)

    def vectors(self, histories: Histories, users: Ints) -> Floats:
        """Look-alike vectors of users with all of their history: int64[B] to float32[B, h]."""
        times = np.full(len(users), END_OF_TIME)
        with torch.inference_mode():
            embeddings = torch.from_numpy(embed(self.tower, histories, users, times))
            vectors: Floats = self.towers.eval().transform(embeddings).numpy()
        return vectors


def train(data: Interactions, config: TrainingConfig, progress: Progress = lambda *_: None) -> Trained:
    """Train both stages on all clicks of ``data``; the same data and config give the same weights.

    Args:
        data: users, items and the clicks to learn from.
        config: the hyperparameters.
        progress: told of each epoch.

    Raises:
        ValueError: when there are too few clicks or items to learn from, or a loss is not finite.
    """
    if len(data.clicks_user) < 2 or len(np.unique(data.clicks_item)) < 2:
        msg = f"training needs at least 2 clicks on 2 items; there are {len(data.clicks_user)} clicks"
        raise ValueError(msg)
    with _deterministic():
        return _train(data, config, progress)


def _train(data: Interactions, config: TrainingConfig, progress: Progress) -> Trained:
    torch.manual_seed(config.rng_seed)
    rng = np.random.default_rng(config.rng_seed)
    shape = TowerShape.of(
        data,
        field_dim=config.field_dim,
        attention_size=config.attention_size,
        dim=config.dim,
        merge=config.merge,
    )
    towers = LookalikeTowers(
        config.dim,
        config.dim,
        config.attention_size,
        activation=config.activation,
        dropout=config.dropout,
        alpha=config.alpha,
        beta=config.beta,
    )
    trained = Trained(UserTower(shape), towers)
    histories = Histories(data, config.history)
    _train_user_tower(trained, data, histories, config, rng, progress)
    rows = bounded_positives(rng, data.clicks_user, config.max_positives)
    embeddings = embed(trained.tower, histories, data.clicks_user[rows], data.clicks_time[rows])
    for epoch, loss in train_lookalike(towers, embeddings, data.clicks_user[rows], data.clicks_item[rows], config, rng):
        _note(trained, "look-alike towers", epoch, config.epochs_lookalike, loss, progress)
    return trained


@contextmanager
def _deterministic() -> Iterator[None]:
    """Sums over threads in a fixed order, and leave the caller's choice as it was."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def embed(tower: UserTower, histories: Histories, users: Ints, times: Ints) -> Floats:
    """User embeddings of users as of times: int64[B] each to float32[B, m]."""
    parts = [np.zeros((0, tower.shape.dim), np.float32)]
    with torch.inference_mode():
        tower.eval()
        for start in range(0, len(users), _CHUNK):
            rows = slice(start, start + _CHUNK)
            parts.append(tower(histories.features(users[rows], times[rows])).numpy())
    return np.concatenate(parts)


def shuffled(rng: np.random.Generator, rows: Ints, size: int) -> Iterator[Ints]:
    """The rows in random order, in batches."""
    order = rng.permutation(rows)
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _train_user_tower(
    trained: Trained,
    data: Interactions,
    histories: Histories,
    config: TrainingConfig,
    rng: np.random.Generator,
    progress: Progress,
) -> None:
    tower, items = trained.tower, ItemTable(data.items, config.dim)
    sampler = NegativeSampler.of_clicks(data.clicks_item, data.items)
    optimiser = torch.optim.Adam([*tower.parameters(), *items.parameters()], lr=config.learning_rate)
    for epoch in range(config.epochs_user):
        tower.train()
        losses = []
        rows = bounded_positives(rng, data.clicks_user, config.max_positives)
        for batch in shuffled(rng, rows, config.batch_size):
            forget = rng.random(len(batch)) < config.history_dropout
            features = histories.features(data.clicks_user[batch], data.clicks_time[batch], forget=forget)
            positive = data.clicks_item[batch][:, None]  # (B, 1)
            negative = sampler.draw(rng, (len(batch), config.negatives))  # (B, negatives)
            chosen = torch.from_numpy(np.concatenate([positive, negative], axis=1))
            loss = sampled_softmax_loss(items(tower(features), chosen), torch.from_numpy(negative == positive))
            step(optimiser, loss, [tower, items])
            losses.append(loss.item())
        _note(trained, "user tower", epoch, config.epochs_user, float(np.mean(losses)), progress)


def step(optimiser: torch.optim.Optimizer, loss: torch.Tensor, modules: list[nn.Module]) -> None:
    """One step of the optimiser, with the gradient's norm bounded."""
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    for module in modules:
        nn.utils.clip_grad_norm_(module.parameters(), 5.0)
    optimiser.step()


def _note(trained: Trained, stage: str, epoch: int, epochs: int, loss: float, progress: Progress) -> None:
    if not np.isfinite(loss):
        msg = f"the loss of the {stage} is {loss} in epoch {epoch + 1}: try a smaller learning rate"
        raise ValueError(msg)
    trained.log.append({"stage": stage, "epoch": epoch + 1, "loss": loss})
    progress(stage, epoch + 1, epochs, loss)
