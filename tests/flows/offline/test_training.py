"""From a data set to a bundle, and whether a bundle is that of a training."""

from pathlib import Path

import numpy as np
import pytest

from flows.offline.datasets.layout import Dataset, check
from flows.offline.fitting import FitOptions
from flows.offline.training import Split, train_bundle, trained_already
from ralm.encoders.histories import Histories
from ralm.progress import Report, silent
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
            titles=np.array([f"Film {n}" for n in range(12)]),
        )
    )


CONFIG = TrainingConfig(dim=8, field_dim=4, attention_size=4, epochs_user=1, epochs_lookalike=1, clusters=3)
PAPER = FitOptions("paper", towers=CONFIG)
LEFT_OUT = np.array([3])


def trained(path: Path, data: Dataset, options: FitOptions, progress: Report = silent) -> tuple[Bundle, Split]:
    split = Split(before=data.time_at(0.8))
    details = train_bundle(data, split=split, path=path, options=options, left_out=LEFT_OUT, progress=progress)
    assert details["figures"]["positives"] > 0
    return Bundle.open(path), split


def test_the_papers_towers_become_a_bundle(tmp_path: Path) -> None:
    data, told = small(), list[tuple[object, ...]]()
    bundle, _ = trained(tmp_path / "b", data, PAPER, lambda *event: told.append(event))
    stages = ("user tower", "look-alike towers", "held-out figures")
    assert [event[:2] for event in told] == [(stage, done) for stage in stages for done in (0, 1)]
    assert bundle.manifest["hyperparameters"]["dim"] == 8
    assert bundle.manifest["training_log"][0]["stage"] == "user tower"
    assert (bundle.form.name, bundle.encoder, bundle.sums) == ("paper", None, None)
    assert any(name.startswith("user_tower.") for name in bundle.towers())


def test_an_inductive_bundle_has_what_its_vectors_were_made_from(tmp_path: Path) -> None:
    data = small()
    bundle, split = trained(tmp_path / "b", data, FitOptions("spectral"))
    assert (bundle.form.name, bundle.manifest["encoder"]) == ("counted", "spectral")
    assert bundle.encoder is not None
    assert bundle.sums is not None
    profile = np.zeros((len(bundle.vectors), bundle.form.dim), "f4")
    again = bundle.encoder.finish(bundle.sums.sums.astype("f8"), bundle.vectors.clicks.astype("i8"), profile)
    np.testing.assert_allclose(again, bundle.vectors.vectors, atol=1e-6)
    before = data.interactions()
    before = before.only(split.learned(before))
    for user in (0, 7, 29):
        (row,) = bundle.vectors.rows(user_keys([str(data.user_ids[user])])).tolist()
        mine = Histories.of_clicks(before).take(np.array([user])).items
        ids = data.item_ids[mine].tolist()
        assert bundle.sums.history_of(row).tolist() == bundle.items.rows(ids).tolist()
        summed = bundle.items.table[bundle.items.rows(ids)].sum(axis=0)
        np.testing.assert_allclose(bundle.sums.sums[row], summed, atol=1e-5)
    assert bundle.items.titles_of(["i03", "nowhere"]) == ["Film 3", ""]
    assert bundle.fields.categorical["kind"] == ["a", "b"]
    assert bundle.fields.multivalent["tags"] == ["x", "y"]


@pytest.mark.parametrize("options", [PAPER, FitOptions("spectral")], ids=["paper", "spectral"])
def test_a_bundle_is_known_again_by_its_data_split_and_options(tmp_path: Path, options: FitOptions) -> None:
    data = small()
    bundle, split = trained(tmp_path / "b", data, options)
    rows = bundle.vectors.rows(user_keys(data.user_ids.tolist()))
    assert np.flatnonzero(rows < 0).tolist() == LEFT_OUT.tolist()
    same = {"split": split, "options": options, "left_out": LEFT_OUT}
    assert trained_already(tmp_path / "b", data, **same) is not None
    for other in ({"split": Split(share_of_user=0.5)}, {"left_out": LEFT_OUT[:0]}, {"options": FitOptions("learned")}):
        assert trained_already(tmp_path / "b", data, **{**same, **other}) is None
    assert trained_already(tmp_path / "b", small(1), **same) is None
    assert trained_already(tmp_path / "nothing", data, **same) is None
