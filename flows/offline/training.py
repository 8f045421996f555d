"""From a data set to a bundle."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.config.settings import Settings
from flows.offline.checkpoint import FileCheckpoint
from flows.offline.datasets.layout import Dataset
from flows.support.errors import RalmError
from ralm.features import ClickHistories, Interactions, Ints
from ralm.progress import Report, silent
from ralm.protocol.held_out import judge_held_out
from ralm.towers.training import train
from ralm.towers.training_config import TrainingConfig
from state.bundle.bundle import Bundle, BundleError, write_bundle
from state.user_keys import user_keys


@dataclass(frozen=True)
class Split:
    """Which clicks are learned from: those before a time (ms), or an earlier share of each user's own."""

    before: int | None = None
    share_of_user: float | None = None

    @property
    def name(self) -> str:
        """For the manifest."""
        return f"clicks before {self.before}" if self.before is not None else f"first {self.share_of_user} of each user"

    def learned(self, data: Interactions) -> NDArray[np.bool_]:
        """The clicks that are learned from, bool[n]."""
        if self.before is not None:
            return data.clicks_time < self.before
        return data.first_of_each_user(self.share_of_user or 0.0)


def config_of(settings: Settings) -> TrainingConfig:
    """The hyperparameters that the settings give."""
    return TrainingConfig(**settings.hyperparameters(), rng_seed=settings.rng_seed)


def train_bundle(
    dataset: Dataset,
    *,
    split: Split,
    path: Path,
    config: TrainingConfig,
    left_out: Ints | None = None,
    progress: Report = silent,
) -> dict[str, Any]:
    """Train on a part of the clicks, judge on the rest, and write a bundle with every user's vector.

    A training that was stopped goes on after its last whole epoch when it is started again with the same data, split
    and hyperparameters.

    Args:
        dataset: users, items and clicks.
        split: which clicks are learned from.
        path: the bundle's directory.
        config: the hyperparameters.
        left_out: users (numbers) that get no vector, as if they had come after the training.
        progress: called when a stage begins and after each epoch.

    Returns:
        The details that the bundle's manifest holds.

    Raises:
        RalmError: when there is nothing to learn from or training diverges.
    """
    data = dataset.interactions()
    learned = split.learned(data)
    before = data.only(learned)
    identity = f"{dataset.fingerprint()} {split.name} {config}"
    checkpoint = FileCheckpoint(path.parent / f".{path.name}-training", identity)
    try:
        trained = train(before, config, progress, checkpoint)
    except ValueError as error:
        msg = f"{dataset.name}: {error}"
        raise RalmError(msg) from error
    progress("held-out figures", 0, 1, float("nan"))
    users = np.arange(data.users)
    vectors = trained.vectors(ClickHistories(before, config.history_length), users)
    details = {
        "data": dataset.name,
        "fingerprint": dataset.fingerprint(),
        "split": split.name,
        "left_out": 0 if left_out is None else len(left_out),
        "hyperparameters": asdict(config),
        "clusters": config.clusters,
        "training_log": trained.log,
        "figures": asdict(
            judge_held_out(
                data,
                vectors,
                trained.towers.attention_weights(),
                learned=learned,
                clusters=config.clusters,
                rng_seed=config.rng_seed,
            )
        ),
    }
    progress("held-out figures", 1, 1, float("nan"))
    kept = users if left_out is None else np.setdiff1d(users, left_out)
    write_bundle(
        path,
        towers=trained.towers.attention_weights(),
        user_tower=_tensors(trained.tower),
        lookalike=_tensors(trained.towers),
        keys=user_keys(dataset.user_ids[kept].tolist()),
        vectors=vectors[kept],
        details=details,
    )
    checkpoint.clear()
    return details


def trained_already(
    path: Path, dataset: Dataset, *, split: Split, config: TrainingConfig, left_out: Ints
) -> Bundle | None:
    """The bundle in ``path``, if it is whole and was trained on the same data in the same way."""
    try:
        bundle = Bundle.open(path)
    except BundleError:
        return None
    expected = {
        "fingerprint": dataset.fingerprint(),
        "split": split.name,
        "left_out": len(left_out),
        "hyperparameters": asdict(config),
    }
    return bundle if all(bundle.manifest.get(name) == value for name, value in expected.items()) else None


def _tensors(module: Any) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}
