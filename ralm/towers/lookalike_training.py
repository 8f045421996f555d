"""Look-alike learning with iterative clustering (section 5.3 of the paper).

A step takes some clicks. Their users, as of a random earlier click of theirs (``far``), are the targets; their items,
each given by its clustered seeds, are what the targets are told apart by: a target's own item is the positive, the
step's other items that it never clicked are the negatives. A target is kept out of its own item's seeds. Seeds are
clustered afresh before each epoch with the weights as they then are.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import ModuleDict

from ralm.click_matrix import click_matrix
from ralm.features import END_OF_TIME, ClickHistories, Floats, Interactions, Ints
from ralm.progress import Report
from ralm.sampling import bounded_positives, times_before
from ralm.towers.lookalike import LookalikeTowers
from ralm.towers.lookalike_loss import LookalikeLoss, StepScores
from ralm.towers.optimising import Checkpoint, Log, Stage, shuffled
from ralm.towers.seed_clusters import ClusterMeans, SeedClusters, SeedSets
from ralm.towers.training_config import TrainingConfig
from ralm.towers.user_tower import UserTower
from ralm.towers.user_training import embed, ends, validation_rows


def new_towers(config: TrainingConfig) -> LookalikeTowers:
    """Untrained towers; the shared FC starts near the identity, so that the user embeddings' geometry is not lost."""
    torch.manual_seed(config.rng_seed)
    towers = LookalikeTowers(
        config.dim,
        config.dim,
        config.attention_size,
        activation=config.activation,
        dropout=config.dropout,
        alpha=config.alpha,
        beta=config.beta,
        local_temperature=config.local_temperature,
        prior=config.prior,
    )
    with torch.no_grad():
        towers.fc.weight.copy_(torch.eye(config.dim) + 0.02 * torch.randn(config.dim, config.dim))
        towers.fc.bias.zero_()
    return towers


class LookalikeTrainer:
    """Trains the look-alike towers.

    Args:
        tower: the trained user tower; it is not changed.
        data: users, items and the clicks to learn from.
        histories: of the same clicks.
        config: the hyperparameters.
        towers: what is trained.
    """

    def __init__(
        self,
        tower: UserTower,
        data: Interactions,
        histories: ClickHistories,
        config: TrainingConfig,
        towers: LookalikeTowers,
    ) -> None:
        self._tower, self._data, self._histories, self._config, self._towers = tower, data, histories, config, towers
        self._loss = LookalikeLoss(config.loss, config.lookalike_negatives, config.among_users)
        modules = ModuleDict({"towers": towers, "loss": self._loss})
        trained = [p for p in modules.parameters() if p.requires_grad]
        optimiser = torch.optim.Adam(trained, lr=config.learning_rate)
        self._stage = Stage(
            "look-alike towers", modules, optimiser, config.epochs_lookalike, config.patience, config.rng_seed
        )
        everyone = np.arange(data.users)
        self._seed_embeddings = torch.from_numpy(self._embed(everyone, np.full(data.users, END_OF_TIME)))  # (users, m)
        self._clicked = click_matrix(data)
        self._sets = SeedSets.of_clicks(data)
        self._seed_counts = torch.from_numpy(self._sets.counts.astype(np.float32))  # (items)
        kept, validated = validation_rows(data, config)
        self._rows, self._validated = self._with_other_seeds(kept), self._with_other_seeds(validated)
        self._validated_embeddings = torch.from_numpy(
            self._embed(data.clicks_user[self._validated], ends(data, kept, self._validated))
        )
        counts = np.bincount(data.clicks_user, minlength=data.users)
        self._item_log_q = _log_share(np.bincount(data.clicks_item[self._rows], minlength=data.items), config)
        self._user_log_q = _log_share(np.minimum(counts, config.lookalike_positives), config)
        # Clustered once means with the untrained towers, which a resumed training has here too.
        once = np.random.default_rng(config.rng_seed)
        self._clusters: SeedClusters | None = None if config.recluster else self._clustered(once)

    def run(self, report: Report, checkpoint: Checkpoint) -> Log:
        """Train, and give what each epoch was like.

        Raises:
            ValueError: when a loss is not finite, or no item has two seeds.
        """
        if not len(self._rows):
            msg = "no item has two different users who clicked it: there is nothing to learn a look-alike from"
            raise ValueError(msg)
        self._stage.run(self._epoch, self._validate, report, checkpoint)
        return self._stage.log

    def _epoch(self, rng: np.random.Generator) -> float:
        config = self._config
        rows = self._rows[bounded_positives(rng, self._data.clicks_user[self._rows], config.lookalike_positives)]
        times = times_before(rng, self._data, rows, config.far)
        embeddings = torch.from_numpy(self._embed(self._data.clicks_user[rows], times))
        losses = []
        batches = list(shuffled(rng, np.arange(len(rows)), config.batch_size))
        clustered_at = clustering_steps(len(batches), config.recluster)
        for number, batch in enumerate(batches):
            if number in clustered_at:
                self._clusters = self._clustered(rng)
            losses.append(self._stage.step(self._loss_of(embeddings[torch.from_numpy(batch)], rows[batch], rng)))
        return float(np.mean(losses))

    def _validate(self) -> dict[str, float]:
        if not len(self._validated):
            return {}
        rng, losses, size = np.random.default_rng(0), [], self._config.batch_size
        torch.manual_seed(0)
        with torch.inference_mode():
            for start in range(0, len(self._validated), size):
                batch = slice(start, start + size)
                losses.append(self._loss_of(self._validated_embeddings[batch], self._validated[batch], rng).item())
        return {"val_loss": float(np.mean(losses))}

    def _clustered(self, rng: np.random.Generator) -> SeedClusters:
        """Each item's seeds, clustered with the towers as they are."""
        training = self._towers.training
        with torch.inference_mode():
            vectors = self._towers.eval().transform(self._seed_embeddings).numpy()
        self._towers.train(training)
        return SeedClusters.of(self._sets.sample(self._config.seeds, rng), vectors, self._config.clusters, rng)

    def _loss_of(self, embeddings: Tensor, rows: Ints, rng: np.random.Generator) -> Tensor:
        """The loss of a step: embeddings of the targets (B, m), and their clicks int64[B]."""
        assert self._clusters is not None  # noqa: S101 (for the type checker)
        users, positives = self._data.clicks_user[rows], self._data.clicks_item[rows]
        items, column = np.unique(positives, return_inverse=True)  # I of them
        own = torch.from_numpy(column)
        dropped = self._config.seed_dropout if self._towers.training else 0.0
        taken = rng.random(len(self._clusters.seeds.items)) >= dropped
        targets = self._towers.transform(embeddings)  # (B, h)
        seeds = self._towers.transform(self._seed_embeddings)  # (users, h)
        sums, counts = self._clusters.sums(items, seeds, taken)  # (I, k, h), (I, k)
        theirs = ClusterMeans.of(sums, counts)
        seed_counts = self._seed_counts[torch.from_numpy(items)]  # (I)
        others = self._towers.score(targets, theirs.vectors, theirs.present, seed_counts).score  # (B, I)
        mine = ClusterMeans.of(*self._clusters.without(sums[own], counts[own], seeds, (positives, users), taken))
        global_ = self._towers.global_embedding(mine.vectors, mine.present)  # (B, h)
        less = seed_counts[own] - 1.0
        positive = self._towers.score_pairs(targets, mine.vectors, mine.present, global_, less).score  # (B)
        negative = torch.from_numpy(self._clicked[users][:, items].toarray() == 0)
        item_log_q, user_log_q = self._item_log_q[torch.from_numpy(items)], self._user_log_q[torch.from_numpy(users)]
        loss: Tensor = self._loss(StepScores(positive, others, negative, own, item_log_q, user_log_q))
        return loss

    def _with_other_seeds(self, rows: Ints) -> Ints:
        """The clicks on items that have another seed than the clicker."""
        return rows[self._sets.counts[self._data.clicks_item[rows]] > 1]

    def _embed(self, users: Ints, times: Ints) -> Floats:
        return embed(self._tower, self._histories, users, times, normalise=self._config.normalise)


def clustering_steps(steps: int, times: int) -> set[int]:
    """Before which of an epoch's steps the seeds are clustered: evenly spread, at most once before each step.

    >>> sorted(clustering_steps(10, 3)), sorted(clustering_steps(10, 7)), clustering_steps(10, 0)
    ([0, 3, 6], [0, 1, 2, 4, 5, 7, 8], set())
    """
    return {step * steps // times for step in range(times)} if times else set()


def _log_share(counts: Ints, config: TrainingConfig) -> Tensor:
    """Logarithm of q, float32 (n), how probable each is in a step; what is in none has the q of the rarest that is."""
    if not config.logq:
        return torch.zeros(len(counts))
    share = counts / max(1, counts.sum())
    return torch.from_numpy(np.log(np.maximum(share, share[share > 0].min(initial=1.0))).astype(np.float32))
