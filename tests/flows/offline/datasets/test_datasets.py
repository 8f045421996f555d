"""Data sets: reading them, the common layout, and what is wrong with bad ones."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.offline.datasets import ml100k
from flows.offline.datasets.layout import Dataset, check, load, save
from flows.offline.training import Split, train_bundle, trained_already
from flows.support.errors import RalmError
from ralm.towers.training_config import TrainingConfig
from state.bundle.bundle import Bundle
from state.user_keys import user_keys

INTER = """user_id:token\titem_id:token\trating:float\ttimestamp:float
2\t10\t5\t100
1\t10\t4\t100
1\t11\t3\t101
1\t12\t4\t99
"""
USER = """user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token
1\t20\tF\twriter\t90210
2\t40\tM\t\tT8H1N
"""
ITEM = """item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq
10\tOne\t1990\tComedy Drama
11\tTwo\t1991\tDrama
12\tThree\t1992\t
"""


def test_movielens_is_read(tmp_path: Path) -> None:
    data = ml100k.read(INTER, USER, ITEM)
    assert list(zip(data.event_times.tolist(), data.event_users.tolist(), data.event_items.tolist(), strict=True)) == [
        (99_000, "1", "12"),
        (100_000, "1", "10"),
        (100_000, "2", "10"),
    ]
    numbers = data.interactions()
    assert numbers.users == 2
    assert numbers.items == 3
    assert numbers.continuous.ravel().tolist() == [0.0, 1.0]
    assert numbers.categorical["occupation"][0].tolist() == [1, 0]  # an empty value is unknown
    assert numbers.item_categories.tolist() == [[1, 2], [2, 0], [0, 0]]
    assert numbers.clicks_user.tolist() == [0, 0, 1]
    save(data, tmp_path / "d")
    again = load(tmp_path / "d")
    assert again.fingerprint() == data.fingerprint()
    assert again.name == "ml100k"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ((INTER + "1\t10\n", USER, ITEM), r"ml-100k.inter, line 6: 2 fields instead of 4"),
        ((INTER + "1\t10\tgood\t5\n", USER, ITEM), r"ml-100k.inter, line 6: rating is 'good'"),
        ((INTER + "9\t10\t5\t100\n", USER, ITEM), r"names '9', which is not among the users"),
        ((INTER + "1\t99\t5\t100\n", USER, ITEM), r"names '99', which is not among the items"),
        ((INTER, USER.replace("\t40\t", "\tnan\t"), ITEM), r"field 'age' of user '2' is nan"),
        ((INTER, "", ITEM), r"ml-100k.user has no rows"),
        ((INTER.replace("\t5\t", "\t1\t").replace("\t4\t", "\t1\t"), USER, ITEM), "there are no clicks"),
    ],
)
def test_bad_data_is_refused_by_file_row_and_field(texts: tuple[str, str, str], message: str) -> None:
    with pytest.raises(RalmError, match=message):
        ml100k.read(*texts)


def test_a_folder_without_a_data_set_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RalmError, match="run `ralm data`"):
        load(tmp_path)
    save(ml100k.read(INTER, USER, ITEM), tmp_path)
    np.savez(tmp_path / "users.npz", id=np.array(["1", "2"]))
    with pytest.raises(RalmError, match="KeyError"):
        load(tmp_path)


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
    assert [(stage, done) for stage, done, _, _ in told] == [("user tower", 1), ("look-alike towers", 1)]
    assert details["figures"]["pairs"] > 0
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


def test_an_empty_side_of_a_cut_is_refused() -> None:
    with pytest.raises(RalmError, match="leaves one side empty"):
        small().time_at(1.0)


def fake_pip(monkeypatch: pytest.MonkeyPatch, stderr: str = "", *, wheel: bool = True) -> list[str]:
    """Stands for ``pip download`` with pip in the environment; returns the commands' first words as they come."""
    pythons: list[str] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        pythons.append(command[0])
        if stderr:
            raise subprocess.CalledProcessError(1, command, "", stderr)
        if wheel:
            with zipfile.ZipFile(Path(command[-1]) / "recbole-1.whl", "w") as files:
                for part, text in (("inter", INTER), ("user", USER), ("item", ITEM)):
                    files.writestr(f"recbole/dataset_example/ml-100k/ml-100k.{part}", text)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(ml100k.subprocess, "run", run)
    monkeypatch.setattr(ml100k, "find_spec", lambda _: object())
    return pythons


def test_movielens_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pythons = fake_pip(monkeypatch)
    first, again = (ml100k.bring(tmp_path / "downloads", None) for _ in range(2))
    assert first.fingerprint() == again.fingerprint() == ml100k.read(INTER, USER, ITEM).fingerprint()
    assert pythons == [sys.executable]


def test_an_environment_without_pip_is_lent_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pythons = fake_pip(monkeypatch)
    made: list[Path] = []
    monkeypatch.setattr(ml100k, "find_spec", lambda _: None)
    monkeypatch.setattr(ml100k.venv, "create", lambda folder, *, with_pip, symlinks: made.append(Path(folder)))
    ml100k.bring(tmp_path, None)
    assert [Path(python).parents[1] for python in pythons] == made
    assert not made[0].exists(), "it was for the purpose alone"


@pytest.mark.parametrize(
    ("stderr", "wheel", "reason"),
    [("WARNING: x\nERROR: no route\n", True, "ERROR: no route"), ("", False, "no wheel came")],
)
def test_what_cannot_be_fetched_may_be_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stderr: str, wheel: bool, reason: str
) -> None:
    fake_pip(monkeypatch, stderr, wheel=wheel)
    with pytest.raises(RalmError) as raised:
        ml100k.bring(tmp_path, None)
    for words in (reason, "recbole==1.2.1", f"put its wheel into {tmp_path}", "--from FOLDER"):
        assert words in str(raised.value)


def test_a_python_that_cannot_have_pip_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(*_: Any, **__: Any) -> None:
        raise subprocess.CalledProcessError(1, ["python", "-m", "ensurepip"], b"No module named ensurepip\n")

    fake_pip(monkeypatch)
    monkeypatch.setattr(ml100k, "find_spec", lambda _: None)
    monkeypatch.setattr(ml100k.venv, "create", create)
    with pytest.raises(RalmError, match=r"\(No module named ensurepip\): put its wheel into"):
        ml100k.bring(tmp_path, None)
