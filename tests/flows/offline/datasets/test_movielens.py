"""MovieLens-100k as recbole has it, and what is wrong with bad tables; the source's own files: test_source_files."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from flows.offline.datasets import movielens
from flows.offline.datasets.layout import load, save
from flows.support.errors import RalmError

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
    data = movielens.read_recbole(INTER, USER, ITEM)
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
        movielens.read_recbole(*texts)


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

    monkeypatch.setattr(movielens.subprocess, "run", run)
    monkeypatch.setattr(movielens, "find_spec", lambda _: object())
    return pythons


def test_movielens_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pythons = fake_pip(monkeypatch)
    first, again = (movielens.prepare("ml100k", tmp_path / "downloads", None) for _ in range(2))
    assert first.fingerprint() == again.fingerprint() == movielens.read_recbole(INTER, USER, ITEM).fingerprint()
    assert pythons == [sys.executable]


def test_an_environment_without_pip_is_lent_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pythons = fake_pip(monkeypatch)
    made: list[Path] = []
    monkeypatch.setattr(movielens, "find_spec", lambda _: None)
    monkeypatch.setattr(movielens.venv, "create", lambda folder, *, with_pip, symlinks: made.append(Path(folder)))
    movielens.prepare("ml100k", tmp_path, None)
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
        movielens.prepare("ml100k", tmp_path, None)
    for words in (reason, "recbole==1.2.1", f"put its wheel into {tmp_path}", "--from FOLDER"):
        assert words in str(raised.value)


def test_a_python_that_cannot_have_pip_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(*_: Any, **__: Any) -> None:
        raise subprocess.CalledProcessError(1, ["python", "-m", "ensurepip"], b"No module named ensurepip\n")

    fake_pip(monkeypatch)
    monkeypatch.setattr(movielens, "find_spec", lambda _: None)
    monkeypatch.setattr(movielens.venv, "create", create)
    with pytest.raises(RalmError, match=r"\(No module named ensurepip\): put its wheel into"):
        movielens.prepare("ml100k", tmp_path, None)
