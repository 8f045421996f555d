"""What messages about one's own data say to do, done to the letter: then the data are brought, and all rows with them.

A message that asks for a change of a table is followed in a copy; what a command was given it leaves as it is.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from flows.cli.main import cli
from flows.offline.datasets import movielens
from flows.offline.datasets.custom import prepare_custom
from flows.offline.datasets.first_description import describe_first
from flows.support.errors import ConfigError, RalmError

Fix: TypeAlias = dict[str, str] | Callable[[Path], object]
HEAD = "user_id,item_id,timestamp"
ROWS = "1,a,100\n2,b,90\n2,a,80\n"
EVENTS = f"{HEAD}\n{ROWS}"
MANY = "|".join(map(str, range(257)))
EXPORT = HEAD + "\n" + "".join(f"{n % 5},{'abc'[n % 3]},{n}\n" for n in range(60))


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_bytes(text.encode("cp1252" if "é" in text and "utf" not in name else "utf-8"))


def _parquet(path: Path) -> None:
    pq.write_table(pa.table({"user_id": ["1", "2", "2"], "item_id": ["a", "b", "a"], "timestamp": [1, 2, 3]}), path)


def _zipped(folder: Path) -> None:
    with zipfile.ZipFile(folder / "events.csv", "w") as archive:
        archive.writestr("clicks.csv", EVENTS)


def _unzip(folder: Path) -> None:
    with zipfile.ZipFile((folder / "events.csv").rename(folder / "events.zip")) as archive:
        (folder / "events.csv").write_bytes(archive.read("clicks.csv"))


def _as_utf8(folder: Path) -> None:
    text = (folder / "events.csv").read_bytes().decode("cp1252")
    (folder / "events.csv").write_text(text, encoding="utf-8")


CASES: dict[str, tuple[Fix, str, Fix, int]] = {
    "a line of names": (
        {"events.csv": "u-1,a,2024-01-01\nu-2,b,2024-01-02\nu-2,a,2024-01-03\n"},
        "put a line of names above them, such as user_id,item_id,timestamp",
        {"events.csv": HEAD + "\nu-1,a,2024-01-01\nu-2,b,2024-01-02\nu-2,a,2024-01-03\n"},
        3,
    ),
    "names that are said": (
        {"events.csv": "u-1,a,2024-01-01\nu-2,b,2024-01-02\nu-2,a,2024-01-03\n"},
        'say the names in data.toml, such as [names] events = ["user_id", "item_id", "timestamp"]',
        {"data.toml": '[names]\nevents = ["user_id", "item_id", "timestamp"]\n'},
        3,
    ),
    "the mean of a field": (
        {"events.csv": EVENTS, "users.csv": "user_id,age\n1,0.5\n2,\n"},
        'say blank_numbers = "mean" in data.toml',
        {"data.toml": 'blank_numbers = "mean"\n'},
        3,
    ),
    "a field that is left out": (
        {"events.csv": EVENTS, "users.csv": "user_id,age\n1,0.5\n2,\n"},
        'leave the field out: "ignore" in [kinds]',
        {"data.toml": '[kinds]\nage = "ignore"\n'},
        3,
    ),
    "a rating of yes and no": (
        {
            "events.csv": f"{HEAD},rating\n1,a,1,true\n2,b,2,true\n2,a,3,false\n",
            "data.toml": "least_rating = 4\n",
        },
        "is true or false: take least_rating out",
        {"data.toml": ""},
        2,
    ),
    "strangers who are kept": (
        {"events.csv": EVENTS, "users.csv": "user_id\n1\n"},
        'say unlisted = "keep" in data.toml',
        {"data.toml": 'unlisted = "keep"\n'},
        3,
    ),
    "strangers who are left out": (
        {"events.csv": EVENTS + "1,b,70\n", "users.csv": "user_id\n1\n"},
        '"leave out" to leave out their events',
        {"data.toml": 'unlisted = "leave out"\n'},
        2,
    ),
    "events that lack something": (
        {"events.csv": EVENTS + ",a,5\n1,,5\n"},
        'say incomplete = "leave out" in data.toml',
        {"data.toml": 'incomplete = "leave out"\n'},
        3,
    ),
    "an encoding that is said": (
        {"events.csv": EVENTS + "1,café,5\n"},
        "or say encoding in data.toml",
        {"data.toml": 'encoding = "cp1252"\n'},
        4,
    ),
    "a file that is saved as UTF-8": ({"events.csv": EVENTS + "1,café,5\n"}, "save it as that", _as_utf8, 4),
    "a column of times": (
        {"events.csv": EVENTS.replace("timestamp", "moment")},
        "say in data.toml what it is called ([columns])",
        {"data.toml": '[columns]\ntimestamp = "moment"\n'},
        3,
    ),
    "no times": (
        {"events.csv": "user_id,item_id\n1,a\n2,b\n"},
        "or timed = false if the events have no times",
        {"data.toml": "timed = false\n"},
        2,
    ),
    "dates": (
        {"events.csv": f"{HEAD}\n1,a,24 Nov 2024\n2,b,25 Nov 2024\n"},
        "say time_format in data.toml if it is a date",
        {"data.toml": 'time_format = "%d %b %Y"\n'},
        2,
    ),
    "days of Excel": (
        {"events.csv": f"{HEAD}\n1,a,45000.5\n2,b,45001\n"},
        'say time_unit = "excel" in data.toml',
        {"data.toml": 'time_unit = "excel"\n'},
        2,
    ),
    "microseconds": (
        {"events.csv": f"{HEAD}\n1,a,1732440000000000\n2,b,1732440000001000\n"},
        'say time_unit = "us" in data.toml',
        {"data.toml": 'time_unit = "us"\n'},
        2,
    ),
    "a zone's name": (
        {"events.csv": f"{HEAD}\n1,a,2024-11-24 08:00 CET\n2,b,2024-11-24 09:00 CET\n"},
        "write it as a number, such as +01:00",
        {"events.csv": f"{HEAD}\n1,a,2024-11-24 08:00 +01:00\n2,b,2024-11-24 09:00 +01:00\n"},
        2,
    ),
    "several units": (
        {"events.csv": f"{HEAD}\n1,a,1732440000\n2,b,1732440001000\n"},
        "bring them into one",
        {"events.csv": f"{HEAD}\n1,a,1732440000000\n2,b,1732440001000\n"},
        2,
    ),
    "a time that stands for none": (
        {"events.csv": f"{HEAD}\n1,a,2024-11-24\n2,b,2024-11-25\n1,b,9999-12-31\n"},
        "leave such events out",
        {"events.csv": f"{HEAD}\n1,a,2024-11-24\n2,b,2024-11-25\n"},
        2,
    ),
    "an id that is written in two ways": (
        {"events.csv": EVENTS, "users.csv": "user_id\n01\n02\n"},
        "which is written otherwise: write both in one way",
        {"users.csv": "user_id\n1\n2\n"},
        3,
    ),
    "a column that cannot be called so": (
        {"events.csv": EVENTS, "users.csv": "user_id,a.b\n1,x\n2,y\n"},
        "cannot be called 'a.b'; rename that column",
        {"users.csv": "user_id,a_b\n1,x\n2,y\n"},
        3,
    ),
    "too many values": (
        {"events.csv": EVENTS, "users.csv": f"user_id,tags\n1,{MANY}\n2,y\n"},
        "keep those that tell most",
        {"users.csv": "user_id,tags\n1,1|2|3\n2,y\n"},
        3,
    ),
    "a zip file": (_zipped, "a zip file or a workbook: unpack it", _unzip, 3),
    "a database": (
        {"events.csv": "SQLite format 3\0"},
        "a database: export its tables as CSV",
        {"events.csv": EVENTS},
        3,
    ),
}
"""What there is, what is said of it, what that says to do, and how many clicks there are then."""


def do(folder: Path, fix: Fix) -> None:
    if callable(fix):
        fix(folder)
    else:
        put(folder, fix)


@pytest.mark.parametrize("case", CASES)
def test_tables_are_brought_once_it_is_done(tmp_path: Path, case: str) -> None:
    before, words, fix, clicks = CASES[case]
    do(tmp_path, before)
    there = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises((RalmError, ConfigError)) as refused:
        prepare_custom("mine", tmp_path)
    assert words in str(refused.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == there
    do(tmp_path, fix)
    assert len(prepare_custom("mine", tmp_path).event_times) == clicks


GUESSED: dict[str, tuple[dict[str, str], str, Callable[[str], str], int]] = {
    "columns that are said": (
        {"log.csv": "who,what,when\n" + "".join(f"{n},{n},{n}\n" for n in range(60))},
        "say in data.toml what they are called ([columns]) and which file has the events ([files])",
        lambda _: '[files]\nevents = "log.csv"\n[columns]\nuser_id = "who"\nitem_id = "what"\ntimestamp = "when"\n',
        60,
    ),
    "two tables of events": (
        {"events.csv": EXPORT, "older.csv": EXPORT},
        'if its rows are events as well, say events = ["events.csv", "older.csv"]',
        lambda text: text + '[files]\nevents = ["events.csv", "older.csv"]\n',
        120,
    ),
}


def test_a_yes_or_no_becomes_a_filter_where_it_is_said(tmp_path: Path) -> None:
    rows = [f"{line},{'yes' if n % 2 else 'no'}" for n, line in enumerate(EXPORT.splitlines()[1:])]
    put(tmp_path, {"events.csv": "\n".join([f"{HEAD},mobile", *rows]) + "\n"})
    found = describe_first(tmp_path)
    assert any("if only those with yes are clicks, say so ([filter])" in note for note in found.notes)
    put(tmp_path, {"data.toml": found.text + '[filter]\nmobile = "yes"\n'})
    assert len(prepare_custom("mine", tmp_path).event_times) == 30


@pytest.mark.parametrize("case", GUESSED)
def test_a_first_description_is_changed_as_its_notes_say(tmp_path: Path, case: str) -> None:
    files, words, change, clicks = GUESSED[case]
    put(tmp_path, files)
    found = describe_first(tmp_path)
    assert any(words in line for line in (*found.notes, *found.problems)), (found.notes, found.problems)
    put(tmp_path, {"data.toml": change(found.text)})
    assert len(prepare_custom("mine", tmp_path).event_times) == clicks


def test_small_numbers_without_a_name_are_ratings(tmp_path: Path) -> None:
    lines = [f"u{n % 7},i{n % 5},{n % 5 + 1},{1_700_000_000 + n}" for n in range(70)]
    put(tmp_path, {"events.csv": "\n".join(lines) + "\n"})
    found = describe_first(tmp_path)
    assert any("look at least_rating" in note for note in found.notes)
    put(tmp_path, {"data.toml": found.text})
    assert len(prepare_custom("mine", tmp_path).event_times) == 28


def test_a_column_that_may_be_ratings_is_named_as_is_said(tmp_path: Path) -> None:
    lines = [f"u{n % 7},i{n % 5},{n % 5 + 1},{1_700_000_000 + n}" for n in range(70)]
    put(tmp_path, {"events.csv": "\n".join(["user_id,item_id,y,timestamp", *lines]) + "\n"})
    found = describe_first(tmp_path)
    assert any('if they are ratings, say rating = "y" ([columns])' in note for note in found.notes)
    put(tmp_path, {"data.toml": found.text})
    assert len(prepare_custom("mine", tmp_path).event_times) == 70
    put(tmp_path, {"data.toml": f'{found.text}[columns]\nrating = "y"\n'})
    assert len(prepare_custom("mine", tmp_path).event_times) == 28


def test_day_and_time_in_two_columns_are_put_together(tmp_path: Path) -> None:
    lines = [f"u{n % 7},i{n % 5},2024-11-{n % 28 + 1:02},{n % 24:02}:{n % 60:02}:00" for n in range(70)]
    put(tmp_path, {"events.csv": "\n".join(["user_id,item_id,date,clock", *lines]) + "\n"})
    found = describe_first(tmp_path)
    assert not [note for note in found.notes if "not used" in note]
    put(tmp_path, {"data.toml": found.text})
    assert len(np.unique(prepare_custom("mine", tmp_path).event_times)) > 28


def test_year_month_and_day_are_brought_as_one_column(tmp_path: Path) -> None:
    put(
        tmp_path,
        {"log.csv": "uid,sku,year,month,day\n" + "".join(f"{n % 5},{n % 3},2024,1,{n % 9 + 1}\n" for n in range(60))},
    )
    assert any("year, month, day are not put together" in note for note in describe_first(tmp_path).notes)
    put(tmp_path, {"log.csv": "uid,sku,on\n" + "".join(f"{n % 5},{n % 3},2024-01-0{n % 9 + 1}\n" for n in range(60))})
    (tmp_path / "data.toml").write_text(describe_first(tmp_path).text)
    assert prepare_custom("made", tmp_path).timed


def test_a_matrix_is_brought_as_a_row_for_each_of_its_numbers(tmp_path: Path) -> None:
    wide = [[f"u{user}", *(str((user * item) % 4 // 3) for item in range(30))] for user in range(40)]
    put(tmp_path, {"wide.csv": "\n".join(map(",".join, [["who", *(f"i{item}" for item in range(30))], *wide]))})
    with pytest.raises(ConfigError, match="no events"):
        prepare_custom("made", tmp_path)
    assert "'i29' the last: bring a row for each user and item" in describe_first(tmp_path).problems[0]
    rows = [f"{user},i{item},{mark}" for user, *marks in wide for item, mark in enumerate(marks)]
    put(tmp_path, {"wide.csv": "\n".join(["user_id,item_id,rating", *rows])})
    (tmp_path / "data.toml").write_text(describe_first(tmp_path).text)
    data = prepare_custom("made", tmp_path)
    assert len(data.event_users) == sum(mark == "1" for _, *marks in wide for mark in marks)


def test_ids_that_are_exported_as_text_keep_their_digits(tmp_path: Path) -> None:
    def rows(name: Callable[[int], str]) -> dict[str, str]:
        return {"events.csv": HEAD + "\n" + "".join(f"{name(n % 9)},{'abc'[n % 3]},{n}\n" for n in range(60))}

    put(tmp_path, rows(lambda n: f"9.0071992547409{n // 4}E+15"))
    assert any("export them as text" in note for note in describe_first(tmp_path).notes)
    put(tmp_path, rows(lambda n: f"900719925474099{n}"))
    found = describe_first(tmp_path)
    assert not any("export them" in note for note in found.notes)
    put(tmp_path, {"data.toml": found.text})
    assert len(prepare_custom("mine", tmp_path).user_ids) == 9


def ralm(folder: Path, *arguments: str) -> Result:
    settings = {"RALM_DATA_DIR": "data", "RALM_BUNDLE": "bundle", "RALM_ENCODER": "spectral", "RALM_EVAL_WORK": "work"}
    where = {name: str(folder / value) if name != "RALM_ENCODER" else value for name, value in settings.items()}
    return CliRunner().invoke(cli, [*arguments], env={**where, "RALM_EVAL_RESULTS": str(folder / "results")})


def test_a_description_that_is_there_is_kept_whichever_way_is_taken(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    put(own, {"events.csv": EXPORT, "data.toml": 'time_unit = "ms"\n'})
    refused = ralm(tmp_path, "data", "mine", "--from", str(own), "--init")
    assert "leave --init out to go by it, or move it to another place" in str(refused.exception)
    assert ralm(tmp_path, "data", "mine", "--from", str(own)).exit_code == 0
    (own / "data.toml").rename(tmp_path / "data.toml")
    assert ralm(tmp_path, "data", "mine", "--from", str(own), "--init").exit_code == 0
    assert (tmp_path / "data.toml").read_text() == 'time_unit = "ms"\n'


@pytest.mark.parametrize("damaged", [False, True])
def test_data_are_brought_as_the_message_says(tmp_path: Path, damaged: bool) -> None:
    own = tmp_path / "own"
    own.mkdir()
    put(own, {"events.csv": EXPORT})
    if damaged:
        assert ralm(tmp_path, "data", "mine", "--from", str(own)).exit_code == 0
        (tmp_path / "data" / "mine" / "users.npz").write_bytes(b"cut off")
    said = str(ralm(tmp_path, "train", "mine").exception)
    assert ("bring one with `ralm data NAME`" if damaged else "bring it first: ralm data mine [--from FOLDER]") in said
    assert ralm(tmp_path, "data", "mine", "--from", str(own)).exit_code == 0
    assert ralm(tmp_path, "train", "mine").exit_code == 0


def test_clicks_of_one_moment_are_brought_without_times(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    rows = [line.rpartition(",")[0] for line in EXPORT.splitlines()]
    put(own, {"events.csv": "\n".join([f"{rows[0]},timestamp", *(f"{row},5" for row in rows[1:])])})
    assert ralm(tmp_path, "data", "mine", "--from", str(own)).exit_code == 0
    said = str(ralm(tmp_path, "train", "mine").exception)
    assert "or say that there are none (timed = false in data.toml)" in said
    put(own, {"data.toml": "timed = false\n"})
    done = ralm(tmp_path, "data", "mine", "--from", str(own))
    assert "data.toml says timed = false, and timestamp is not used" in done.output
    assert ralm(tmp_path, "train", "mine").exit_code == 0


def test_a_damaged_wheel_is_moved_away_and_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "recbole-1.2.1-py3-none-any.whl"
    wheel.write_bytes(b"PK cut off")
    with pytest.raises(RalmError, match="move it to another place, and another is fetched"):
        movielens.prepare("ml100k", tmp_path, None)
    wheel.rename(tmp_path / "aside")
    fetched: list[Path] = []

    def fetch(cache: Path) -> Path:
        fetched.append(cache)
        return tmp_path / "aside"

    monkeypatch.setattr(movielens, "_fetch", fetch)
    with pytest.raises(RalmError, match="aside is damaged"):
        movielens.prepare("ml100k", tmp_path, None)
    assert fetched == [tmp_path]
