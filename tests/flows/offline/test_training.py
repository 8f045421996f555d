"""From a data set to a bundle, and whether a bundle is that of a training."""

from pathlib import Path

import numpy as np

from flows.offline.datasets.layout import Dataset, check
from flows.offline.training import Split, train_bundle, trained_already
from ralm.towers.training_config import TrainingConfig
from state.bundle.bundle import Bundle
from state.user_keys import user_keys


def small(rng_seed: int = 0) -> Dataset:
    rng = np.random.default_rng(rng_seed)
    users, items = np.array([f"u{n:02d}" for n in range(30)]), np.array([f"i{n:02d}" for n in range(12)])
    return check(
        Dataset(
            "small",
            rng.choice(users, 400),
            rng.choice(items, 400),
            np.arange(400) * 1000,
            users,
            {"kind": ("categorical", rng.choice(["a", "b"], 30)), "tags": ("multivalent", np.array(["x|y"] * 30))},
            items,
            np.array(["p|q"] * 12),
        )
    )


CONFIG = TrainingConfig(dim=8, field_dim=4, attention_size=4, epochs_user=1, epochs_lookalike=1, clusters=3)


def test_a_data_set_becomes_a_bundle(tmp_path: Path) -> None:
    data, told = small(), []
    split, left_out = Split(before=data.time_at(0.8)), np.array([3])
    details = train_bundle(
        data, split=split, path=tmp_path / "b", config=CONFIG, left_out=left_out, progress=lambda *e: told.append(e)
    )
    stages = ("user tower", "look-alike towers", "held-out figures")
    assert [(stage, done) for stage, done, _, _ in told] == [(stage, done) for stage in stages for done in (0, 1)]
    assert details["figures"]["positives"] > 0
    bundle = Bundle.open(tmp_path / "b")
    assert bundle.manifest["hyperparameters"]["dim"] == 8
    assert bundle.manifest["training_log"][0]["stage"] == "user tower"
    rows = bundle.vectors.rows(user_keys(data.user_ids.tolist()))
    assert np.flatnonzero(rows < 0).tolist() == [3]
    found = trained_already(tmp_path / "b", data, split=split, config=CONFIG, left_out=left_out)
    assert found is not None
    other = {"split": Split(share_of_user=0.5), "config": CONFIG, "left_out": left_out}
    assert trained_already(tmp_path / "b", data, **other) is None
    assert trained_already(tmp_path / "b", small(1), split=split, config=CONFIG, left_out=left_out) is None
