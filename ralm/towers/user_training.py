"""User representation learning: the user tower, by sampled softmax over items (section 5.2)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import ModuleDict
from torch.nn import functional as F

from ralm.accuracy import grouped_auc
from ralm.features import END_OF_TIME, ClickHistories, Floats, Interactions, Ints
from ralm.progress import Report
from ralm.sampling import NegativeSampler, bounded_positives, times_before
from ralm.towers.optimising import Checkpoint, Log, Stage, shuffled
from ralm.towers.training_config import TrainingConfig
from ralm.towers.user_tower import ItemEmbeddings, TowerShape, UserTower, sampled_softmax_loss

_CHUNK = 4096
_MOST_VALIDATED = 10_000


@dataclass(frozen=True)
class UserModel:
    """What the first stage gives.

    Attributes:
        tower: the user tower.
        items: the items' embeddings; only YouTube DNN scores with them.
        log: of each epoch.
    """

    tower: UserTower
    items: ItemEmbeddings
    log: Log

    def embeddings(self, histories: ClickHistories, users: Ints) -> Floats:
        """User embeddings with all of their history: int64[B] to float32[B, m]."""
        return embed(self.tower, histories, users, np.full(len(users), END_OF_TIME))


def embed(tower: UserTower, histories: ClickHistories, users: Ints, times: Ints, *, normalise: bool = False) -> Floats:
    """User embeddings of users as of times, of length 1 if wished: int64[B] each to float32[B, m]."""
    parts = [np.zeros((0, tower.shape.dim), np.float32)]
    with torch.inference_mode():
        tower.eval()
        for start in range(0, len(users), _CHUNK):
            rows = slice(start, start + _CHUNK)
            parts.append(tower(histories.features(users[rows], times[rows])).numpy())
    embeddings: Floats = np.concatenate(parts)
    if normalise:
        embeddings /= np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    return embeddings


def new_user_model(data: Interactions, config: TrainingConfig) -> UserModel:
    """An untrained user model of the sizes that the data needs."""
    torch.manual_seed(config.rng_seed)
    shape = TowerShape.of(
        data,
        field_dim=config.field_dim,
        attention_size=config.attention_size,
        dim=config.dim,
        merge=config.merge,
    )
    return UserModel(UserTower(shape), ItemEmbeddings(data.items, config.dim), [])


def train_user_model(
    data: Interactions, histories: ClickHistories, config: TrainingConfig, report: Report, checkpoint: Checkpoint
) -> UserModel:
    """Train the user tower and the items' table on all clicks of ``data``.

    Raises:
        ValueError: when a loss is not finite.
    """
    model = new_user_model(data, config)
    modules = ModuleDict({"user_tower": model.tower, "item_table": model.items})
    optimiser = torch.optim.Adam(modules.parameters(), lr=config.learning_rate)
    stage = Stage("user tower", modules, optimiser, config.epochs_user, config.patience, config.rng_seed, model.log)
    sampler = NegativeSampler.of_clicks(data.clicks_item, data.items)
    log_q = torch.from_numpy(sampler.log_probability()) if config.logq else torch.zeros(data.items)
    kept, validated = validation_rows(data, config)

    def loss_of(batch: Ints, rng: np.random.Generator) -> Tensor:
        forget = rng.random(len(batch)) < config.history_dropout
        times = times_before(rng, data, batch, config.far)
        users = model.tower(histories.features(data.clicks_user[batch], times, forget=forget))
        positive = data.clicks_item[batch][:, None]  # (B, 1)
        if config.share_negatives:
            drawn = sampler.draw(rng, (1, config.negatives))  # (1, negatives)
            logits = torch.cat(
                [
                    model.items(users, torch.from_numpy(positive)),
                    users @ model.items.table(torch.from_numpy(drawn[0])).T,
                ],
                dim=1,
            )  # (B, 1 + negatives)
        else:
            drawn = sampler.draw(rng, (len(batch), config.negatives))  # (B, negatives)
            logits = model.items(users, torch.from_numpy(np.concatenate([positive, drawn], axis=1)))
        correction = torch.cat([log_q[positive], log_q[drawn].expand(len(batch), -1)], dim=1)
        return sampled_softmax_loss(logits - correction, torch.from_numpy(drawn == positive))

    def epoch(rng: np.random.Generator) -> float:
        rows = kept[bounded_positives(rng, data.clicks_user[kept], config.max_positives)]
        return float(np.mean([stage.step(loss_of(batch, rng)) for batch in shuffled(rng, rows, config.batch_size)]))

    def validate() -> dict[str, float]:
        if not len(validated):
            return {}
        embeddings = embed(model.tower, histories, data.clicks_user[validated], ends(data, kept, validated))
        return _validated(torch.from_numpy(embeddings), model.items, data.clicks_item[validated])

    stage.run(epoch, validate, report, checkpoint)
    return UserModel(model.tower, model.items, stage.log)


def validation_rows(data: Interactions, config: TrainingConfig) -> tuple[Ints, Ints]:
    """The clicks that are trained on, and the last clicks of users, on which training is validated.

    No click of the first kind has one of the second in its history. Where users have too few clicks for a share of
    them to be one, the last clicks of some users are taken.
    """
    count = len(data.clicks_user)
    if not config.validation:
        return np.arange(count), np.zeros(0, np.int64)
    rng, wanted = np.random.default_rng(0), min(_MOST_VALIDATED, int(count * config.validation))
    earlier = data.first_of_each_user(1.0 - config.validation)
    if count - earlier.sum() < wanted // 2:
        last = np.flatnonzero(np.diff(data.clicks_user, append=-1))
        last = last[last > np.searchsorted(data.clicks_user, data.clicks_user[last])]  # not a user's only click
        earlier[rng.choice(last, min(wanted, len(last) // 2), replace=False)] = False
    late = np.flatnonzero(~earlier)
    if len(late) > _MOST_VALIDATED:
        late = np.sort(rng.choice(late, _MOST_VALIDATED, replace=False))
    return np.flatnonzero(earlier), late


def ends(data: Interactions, kept: Ints, validated: Ints) -> Ints:
    """As of when the users of validated clicks are looked at: after the last click that is trained on, int64[V], ms."""
    users = data.clicks_user[validated]
    place = np.searchsorted(data.clicks_user[kept], users, side="right") - 1
    return np.minimum(data.clicks_time[kept[place]] + 1, data.clicks_time[validated])


def _validated(users: Tensor, items: ItemEmbeddings, positive: Ints) -> dict[str, float]:
    """Loss over all items (eq. 4 and 5) and AUC against one random item each: users (V, m), int64[V]."""
    other = np.random.default_rng(0).integers(0, len(items.table.weight), len(positive))
    losses, mine, others = [], [], []
    with torch.inference_mode():
        for start in range(0, len(positive), _CHUNK):
            rows = slice(start, start + _CHUNK)
            logits = users[rows] @ items.table.weight.T  # (b, m) x (m, D) -> (b, D)
            losses.append(F.cross_entropy(logits, torch.from_numpy(positive[rows]), reduction="sum").item())
            place = np.arange(len(logits))
            mine.append(logits.numpy()[place, positive[rows]])
            others.append(logits.numpy()[place, other[rows]])
    auc = grouped_auc(np.concatenate(mine), np.concatenate(others), np.zeros(len(positive), np.int64))
    return {"val_loss": sum(losses) / len(positive), "auc": float(auc[0])}
