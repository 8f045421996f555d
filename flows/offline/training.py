"""From a data set to a bundle."""

import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.config.settings import Settings
from flows.offline.datasets.field_codes import field_codes
from flows.offline.datasets.layout import Dataset
from flows.offline.fitting import FitOptions, fit
from flows.support.errors import RalmError
from ralm.features import Interactions, Ints
from ralm.progress import Report, silent
from ralm.protocol.held_out import judge_held_out
from ralm.towers.training_config import TrainingConfig
from state.bundle.bundle import Bundle, BundleError
from state.bundle.write import BundleContent, write_bundle
from state.item_keys import item_keys
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


def fit_options(settings: Settings) -> FitOptions:
    """What the settings ask for."""
    towers = TrainingConfig(**settings.hyperparameters())
    return FitOptions(
        settings.encoder,
        settings.train_local_weight,
        towers,
        clusters=towers.clusters if settings.encoder == "paper" else settings.clusters,
        prior=settings.prior,
        rng_seed=settings.rng_seed,
    )


def train_bundle(
    dataset: Dataset,
    *,
    split: Split,
    path: Path,
    options: FitOptions,
    left_out: Ints | None = None,
    progress: Report = silent,
) -> dict[str, Any]:
    """Train on a part of the clicks, judge on the rest, and write a bundle with every user's vector.

    Args:
        dataset: users, items and clicks.
        split: which clicks are learned from.
        path: the bundle's directory.
        options: what is trained, and how. The paper's towers go on after their last whole epoch when a training that
            was stopped is started again with the same data, split and options.
        left_out: users (numbers) that get no vector, as if they had come after the training.
        progress: called when a stage begins and after each epoch.

    Returns:
        The details that the bundle's manifest holds.

    Raises:
        RalmError: when there is nothing to learn from or training diverges.
    """
    data, began = dataset.interactions(), time.monotonic()
    learned = split.learned(data)
    identity = f"{dataset.fingerprint()} {split.name} {options}"
    unfinished = path.parent / f".{path.name}-training"
    try:
        fitted = fit(data.only(learned), options, unfinished, identity, progress)
    except ValueError as error:
        left = f" ({int(learned.sum()):,} of {len(learned):,} clicks; the others are held out)"
        msg = f"{dataset.name}: {error}{'' if learned.all() else left}"
        raise RalmError(msg) from error
    progress("held-out figures", 0, 1, float("nan"))
    figures = judge_held_out(
        data,
        fitted.vectors,
        fitted.form,
        learned=learned,
        clusters=options.clusters,
        prior=options.prior,
        rng_seed=options.rng_seed,
    )
    progress("held-out figures", 1, 1, float("nan"))
    details = {
        "data": dataset.name,
        "fingerprint": dataset.fingerprint(),
        "split": split.name,
        "left_out": 0 if left_out is None else len(left_out),
        "hyperparameters": options.hyperparameters(),
        "training_log": fitted.log,
        "training_seconds": round(time.monotonic() - began, 1),
        "figures": asdict(figures),
    }
    users = np.arange(data.users)
    kept = users if left_out is None else np.setdiff1d(users, left_out)
    content = BundleContent(
        options.encoder,
        fitted.form,
        user_keys(dataset.user_ids[kept].tolist()),
        fitted.vectors[kept],
        fitted.histories.counts[kept],
        item_keys=item_keys(dataset.item_ids.tolist()),
        titles=None if dataset.titles is None else dataset.titles.tolist(),
        parts=fitted.parts,
        sums=None if fitted.sums is None else fitted.sums.take(kept),
        towers=fitted.towers,
        fields=field_codes(dataset),
    )
    write_bundle(path, content, details)
    shutil.rmtree(unfinished, ignore_errors=True)
    return details


def trained_already(
    path: Path, dataset: Dataset, *, split: Split, options: FitOptions, left_out: Ints
) -> Bundle | None:
    """The bundle in ``path``, if it is whole and was trained on the same data in the same way."""
    try:
        bundle = Bundle.open(path)
    except BundleError:
        return None
    expected = {
        "encoder": options.encoder,
        "fingerprint": dataset.fingerprint(),
        "split": split.name,
        "left_out": len(left_out),
        "hyperparameters": options.hyperparameters(),
    }
    return bundle if all(bundle.manifest.get(name) == value for name, value in expected.items()) else None
