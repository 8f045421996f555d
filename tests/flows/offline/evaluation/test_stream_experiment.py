"""``ralm evaluate --protocol stream`` in small: tables, resuming, and what is refused."""

import csv
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

from flows.cli.main import cli
from flows.offline.datasets.layout import Dataset, save
from flows.offline.evaluation import stream_experiment, stream_report
from flows.support.errors import ConfigError, RalmError

HOUR = 3_600_000
ASKED = ["--protocol", "stream", "--eval-models", "spectral", "--eval-draws", "2", "--eval-stream-cut", "0.6"]


def dataset(unit: int = 1000) -> Dataset:
    rng, users, items = np.random.default_rng(0), 160, 120
    own = (np.arange(users)[:, None] + np.arange(items)) % 2 == 0
    user, item = np.nonzero(rng.random((users, items)) < np.where(own, 0.7, 0.05))
    time = 1_700_000_000_000 // unit * unit + rng.integers(0, 480 * HOUR // unit, len(user)) * unit
    order = np.lexsort((item, user, time))
    user_ids, item_ids = (
        np.array([f"{kind}{n:03}" for n in range(count)]) for kind, count in (("u", users), ("i", items))
    )
    return Dataset(
        "toy", user_ids[user[order]], item_ids[item[order]], time[order], user_ids, {}, item_ids, np.full(items, "")
    )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # it is our process that would keep the handler
    save(dataset(), tmp_path / ".ralm" / "data" / "toy")
    return tmp_path


def evaluate(*options: str) -> None:
    cli(["evaluate", "toy", *ASKED, *options], standalone_mode=False)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_tables_and_plot_are_written_and_cells_are_used_again(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate()
    results = place / "docs" / "results"
    found = {(row["row"], row["group"], row["stage"]): row for row in rows(results / "toy-stream.csv")}
    chosen = found["spectral live + neighbours", "all", "later"]
    assert float(chosen["low"]) <= float(chosen["rate"]) <= float(chosen["high"])
    assert float(found["item-knn", "all", "later"]["rate"]) > float(found["random", "all", "later"]["rate"])
    assert chosen["draws"] == "2"
    assert {row["row"] for row in rows(results / "toy-stream-shown.csv")} == {row for row, _, _ in found}
    text = (results / "toy-stream.md").read_text()
    assert "Of the rows with neighbours validation prefers `spectral live" in text
    assert "`--prior 0." in text
    assert "--protocol stream" in text
    assert (results / "toy-stream.png").stat().st_size > 0
    assert "popularity" in capsys.readouterr().out

    def never(*_: object) -> None:
        raise AssertionError("a cell was replayed again")

    monkeypatch.setattr(stream_experiment, "replay_stream", never)
    monkeypatch.setattr(stream_report, "processor", lambda: "another machine")  # the cells say where they were made
    evaluate("--no-plots")
    assert (results / "toy-stream.md").read_text() == text


def test_a_damaged_cell_is_replayed_again(place: Path) -> None:
    evaluate("--no-plots")
    text = (place / "docs" / "results" / "toy-stream.csv").read_text()
    for cell in (place / ".ralm" / "evaluate" / "toy").glob("stream-*.npz"):
        cell.write_bytes(cell.read_bytes()[:-40])
    evaluate("--no-plots")
    assert (place / "docs" / "results" / "toy-stream.csv").read_text() == text


def test_coarse_times_are_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(dataset(unit=24 * HOUR), place / ".ralm" / "data" / "toy")
    evaluate("--no-plots", "--eval-draws", "1")
    assert "times of whole days, too coarse" in capsys.readouterr().out
    assert "times of whole days, too coarse" in (place / "docs" / "results" / "toy-stream.md").read_text()


def test_what_nothing_is_asked_of_is_said_and_is_no_number(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = dataset()
    few = np.isin(whole.event_users, whole.user_ids[:80]) & np.isin(whole.event_items, whole.item_ids[:80])
    events = {name: getattr(whole, name)[few] for name in ("event_users", "event_items", "event_times")}
    save(replace(whole, **events), place / ".ralm" / "data" / "toy")  # 16 of the 80 items are withheld
    evaluate("--no-plots", "--eval-draws", "1")
    said = capsys.readouterr().out.replace("\n", " ")
    assert "too few to tell rankers apart" in said
    assert "Nothing is judged from the sixth click on of: new." in said
    for path in (place / "docs" / "results").iterdir():
        assert "nan" not in path.read_text()
    found = {(row["row"], row["group"], row["stage"]): row for row in rows(place / "docs/results/toy-stream.csv")}
    assert found["random", "new", "later"]["rate"] == ""
    assert found["random", "all", "later"]["rate"]


def test_a_stream_that_nothing_can_be_asked_of_is_refused(place: Path) -> None:
    whole = dataset()
    user, item = (axis.ravel() for axis in np.mgrid[:160, :40])
    time = 1_700_000_000_000 + item * HOUR + user * 1000
    order = np.argsort(time)  # one item after the other, each by everybody: nobody has 20 to choose from
    save(
        replace(
            whole,
            event_users=whole.user_ids[user[order]],
            event_items=whole.item_ids[item[order]],
            event_times=time[order],
        ),
        place / ".ralm" / "data" / "toy",
    )
    with pytest.raises(RalmError, match="no request can be judged: at none do 20 items"):
        evaluate("--no-plots", "--eval-draws", "1")
    assert not list((place / "docs").rglob("*.md"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--eval-models", "spectrall"], "no model 'spectrall'"),
        (["--eval-rankers", "json"], "must be a module with a dictionary STREAM"),
        (["--eval-rankers", "no.such.module"], "must be a module with a dictionary STREAM"),
        (["--eval-stream-cut", "0.01"], "choose another --eval-stream-cut"),
    ],
)
def test_what_is_not_known_is_refused(place: Path, options: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        evaluate(*options)
    assert not (place / "docs").exists()


def test_clicks_without_times_have_no_stream(place: Path) -> None:
    save(replace(dataset(), timed=False), place / ".ralm" / "data" / "toy")
    with pytest.raises(ConfigError, match="have no times, so that there is no stream"):
        evaluate()
