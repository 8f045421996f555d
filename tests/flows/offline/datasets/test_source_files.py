"""The public data sets: their own files, the same as Parquet or CSV, and what is said when they are absent."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from flows.cli import main as cli
from flows.offline.datasets import SOURCES, prepare_dataset
from flows.offline.datasets.layout import Dataset, load, save
from flows.offline.fitting import FitOptions
from flows.offline.training import Split, train_bundle
from flows.support.errors import ConfigError, RalmError
from ralm.towers.training_config import TrainingConfig
from state.bundle.bundle import Bundle

FILES: dict[str, dict[str, str]] = {
    "ml100k": {
        "u.data": "2\t10\t5\t100\n1\t10\t4\t100\n1\t11\t3\t101\n1\t12\t4\t99\n",
        "u.user": "1|20|F|writer|90210\n2|40|M|other|T8H1N\n",
        "u.item": (
            f"10|Caf\xe9 (1995)|01-Jan-1995||http://x|{'0|' * 5}1|0|0|1{'|0' * 10}\n"
            f"11|Two|||http://y|{'0|' * 8}1{'|0' * 10}\n"
            f"12|Three|||http://z|1{'|0' * 18}\n"
        ),
    },
    "ml1m": {
        "ratings.dat": "2::10::5::100\n1::10::4::100\n1::11::3::101\n1::12::4::99\n",
        "users.dat": "1::F::1::10::48067\n2::M::56::16::T0072-12\n",
        "movies.dat": "10::Caf\xe9: (1995)::Comedy|Drama\n11::Two::Drama\n12::Three::Sci-Fi\n",
    },
    "amazon": {
        "user_item.dat": "2\t10\t5\t86400\n1\t10\t4\t86400\n1\t11\t3\t86400\n1\t12\t4\t0\n",
        "item_category.dat": "10,0\n10,1\n11,0\n12,0\n",
        "item_brand.dat": "10,7\n12,8\n",
    },
    "yelp": {
        "user_business.dat": "2\t10\t5\n1\t10\t4\n1\t11\t3\n1\t12\t4\n",
        "business_category.dat": "10\t0\t1\n10\t1\t1\n12\t0\t1\n",
        "business_city.dat": "11\t7\t1\n12\t8\t1\n",
        "user_compliment.dat": "2\t3\t1\n2\t1\t1\n4\t1\t1\n",
    },
}
EVENTS = {"user_id": [2, 1, 1, 1], "item_id": [10, 10, 11, 12], "rating": pa.array([5, 4, 3, 4], pa.int8())}
SECONDS = {"timestamp": [100, 100, 101, 99]}
FILMS = {"item_id": [10, 11, 12], "genres": ["Comedy|Drama", "Drama", "Sci-Fi"]}
TABLES: dict[str, dict[str, dict[str, object]]] = {
    "ml100k": {
        "ml100k_events": {**EVENTS, **SECONDS},
        "ml100k_users": {
            "user_id": [1, 2],
            "age": [20, 40],
            "gender": ["F", "M"],
            "occupation": ["writer", "other"],
            "zip_code": ["90210", "T8H1N"],
        },
        "ml100k_items": {"item_id": [10, 11, 12], "genres": ["Comedy|Drama", "Drama", "unknown"]},
    },
    "ml1m": {
        "ml1m_events": {**EVENTS, **SECONDS},
        "ml1m_users": {
            "user_id": [1, 2],
            "gender": ["F", "M"],
            "age": [1, 56],
            "occupation": [10, 16],
            "zip_code": ["48067", "T0072-12"],
        },
        "ml1m_items": FILMS,
    },
    "amazon": {
        "amazon_hin_events": {**EVENTS, "timestamp": [86_400, 86_400, 86_400, 0]},
        "amazon_hin_items": {"item_id": [10, 11, 12], "category_id": ["0|1", "0", "0"], "brand_id": [7.0, None, 8.0]},
    },
    "yelp": {
        "yelp_hin_events": EVENTS,
        "yelp_hin_items": {
            "item_id": [10, 11, 12],
            "category_id": ["0|1", None, "0"],
            "city_id": [None, 7.0, 8.0],
        },
        "yelp_hin_user_compliments": {"user_id": [2, 2, 4], "compliment_id": [3, 1, 1]},
    },
}


def folder_of(name: str, folder: Path, **instead: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in {**FILES[name], **instead}.items():
        (folder / file).write_text(text, encoding="latin-1")
    return folder


def fetched(name: str, folder: Path) -> Dataset:
    return prepare_dataset(name, folder / "downloads", folder)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_own_files_and_tables_are_the_same_data(tmp_path: Path, name: str, suffix: str) -> None:
    from_files = fetched(name, folder_of(name, tmp_path / "files"))
    for table, columns in TABLES[name].items():
        found = pa.table(columns)
        if suffix == "parquet":
            pq.write_table(found, tmp_path / f"{table}.parquet")
        else:
            rows = [found.column_names, *zip(*found.to_pydict().values(), strict=True)]
            lines = [",".join("" if value is None else str(value) for value in row) for row in rows]
            (tmp_path / f"{table}.csv").write_text("\n".join(lines))
    from_tables = fetched(name, tmp_path)
    assert from_tables.fingerprint() == from_files.fingerprint()
    save(from_tables, tmp_path / "out")
    assert load(tmp_path / "out").fingerprint() == from_files.fingerprint()


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        (
            "ml100k",
            {
                "age": ("continuous", [20.0, 40.0]),
                "gender": ("categorical", ["F", "M"]),
                "occupation": ("categorical", ["writer", "other"]),
                "region": ("categorical", ["9", "T"]),
            },
        ),
        (
            "ml1m",
            {
                "gender": ("categorical", ["F", "M"]),
                "age": ("categorical", ["1", "56"]),
                "occupation": ("categorical", ["10", "16"]),
                "region": ("categorical", ["4", "T"]),
            },
        ),
        ("amazon", {}),
    ],
)
def test_what_is_known_of_users_and_when_they_clicked(tmp_path: Path, name: str, fields: dict[str, object]) -> None:
    data = fetched(name, folder_of(name, tmp_path))
    assert data.timed
    assert data.event_users.tolist() == ["1", "1", "2"]
    assert data.event_items.tolist() == ["12", "10", "10"]
    assert data.event_times.tolist() == (
        [0, 86_400_000, 86_400_000] if name == "amazon" else [99_000, 100_000, 100_000]
    )
    assert {field: (kind, column.tolist()) for field, (kind, column) in data.fields.items()} == fields


@pytest.mark.parametrize(
    ("name", "categories"),
    [
        ("ml100k", ["Comedy|Drama", "Drama", "unknown"]),
        ("ml1m", ["Comedy|Drama", "Drama", "Sci-Fi"]),
        ("amazon", ["0|1|brand:7", "0", "0|brand:8"]),
        ("yelp", ["0|1", "city:7", "0|city:8"]),
    ],
)
def test_categories_of_items(tmp_path: Path, name: str, categories: list[str]) -> None:
    data = fetched(name, folder_of(name, tmp_path))
    assert data.item_ids.tolist() == ["10", "11", "12"]
    assert data.categories.tolist() == categories


def test_yelp_has_no_times_and_an_order_that_is_always_the_same(tmp_path: Path) -> None:
    rows = [f"{user}\t{item}\t5" for user in range(40) for item in range(10)]
    data = fetched("yelp", folder_of("yelp", tmp_path / "a", **{"user_business.dat": "\n".join(rows)}))
    again = fetched("yelp", folder_of("yelp", tmp_path / "b", **{"user_business.dat": "\n".join(rows[::-1])}))
    assert not data.timed
    assert data.fingerprint() == again.fingerprint()
    assert data.event_times.tolist() == list(range(400))
    # Held out by time means held out at random: each item is about as often among the last as another.
    numbers = data.interactions()
    last = np.bincount(numbers.clicks_item[~numbers.first_of_each_user(0.9)], minlength=10)
    assert last.sum() == 40
    assert last.max() < 12
    with pytest.raises(RalmError, match="yelp: its clicks have no times, so that they cannot be cut by time"):
        data.time_at(0.8)
    save(data, tmp_path / "out")
    assert not load(tmp_path / "out").timed
    compliments, count = numbers.multivalent["compliments"]
    assert count == 3
    by_user = dict(zip(data.user_ids.tolist(), compliments.tolist(), strict=True))
    assert by_user["2"] == [2, 1]
    assert by_user["4"] == [1, 0]
    assert by_user["7"] == [0, 0]


def test_clicks_without_times_can_be_trained_on(tmp_path: Path) -> None:
    rows = "\n".join(f"{user}\t{item}\t5" for user in range(20) for item in range(user % 3, 12, 2))
    save(fetched("yelp", folder_of("yelp", tmp_path, **{"user_business.dat": rows})), tmp_path / "yelp")
    small = [
        "--train-dim",
        "8",
        "--train-field-dim",
        "4",
        "--train-attention-size",
        "4",
        "--train-epochs-user",
        "1",
        "--train-epochs-lookalike",
        "1",
        "--train-clusters",
        "2",
    ]
    places = ["--data-dir", str(tmp_path), "--bundle", str(tmp_path / "bundle")]
    done = CliRunner().invoke(cli.cli, ["train", "yelp", *small, *places])
    assert done.exit_code == 0, done.exception
    assert Bundle.open(tmp_path / "bundle").manifest["split"] == "first 0.9 of each user"


def test_folders_from_before_times_could_be_absent_still_load(tmp_path: Path) -> None:
    data = fetched("amazon", folder_of("amazon", tmp_path))
    save(data, tmp_path / "out")
    described = json.loads((tmp_path / "out" / "fields.json").read_text())
    del described["timed"]
    (tmp_path / "out" / "fields.json").write_text(json.dumps(described))
    assert load(tmp_path / "out").timed


@pytest.mark.parametrize("name", SOURCES)
def test_an_absent_file_is_named_with_its_home(tmp_path: Path, name: str) -> None:
    home = "https://grouplens.org/" if name.startswith("ml") else "https://github.com/librahu/"
    first, second, *_ = FILES[name]
    with pytest.raises(ConfigError, match=rf"{name}: .* is not a folder with {first}, {second}.*{home}"):
        fetched(name, tmp_path)
    (folder_of(name, tmp_path) / second).unlink()
    with pytest.raises(ConfigError, match=rf"{name}: .* has no {second}; it must be a folder with .*{home}"):
        fetched(name, tmp_path)
    pq.write_table(pa.table(next(iter(TABLES[name].values()))), tmp_path / f"{next(iter(TABLES[name]))}.parquet")
    with pytest.raises(ConfigError, match=rf"{name}: .* has no {list(TABLES[name])[1]}.parquet or .csv"):
        fetched(name, tmp_path)


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "ml100k"])
def test_without_a_folder_the_command_exits_with_2(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ralm", "data", name])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert f"ralm: {name}: say --from FOLDER, a folder with {next(iter(FILES[name]))}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "instead", "message"),
    [
        ("ml1m", {"ratings.dat": "1::10::5\n"}, r"ratings.dat, line 1: 3 fields instead of 4"),
        ("ml1m", {"ratings.dat": "1::10::5::1\n1::10::x::1\n"}, r"ratings.dat, line 2: rating is 'x', not a number"),
        ("ml1m", {"ratings.dat": "1::10::nan::1\n"}, r"ratings.dat, line 1: rating is nan, not a number"),
        (
            "ml1m",
            {"ratings.dat": "1::10::5::1\n3::10::5::1\n"},
            r"ratings.dat, line 2: user_id names '3', which is not among the users \(users.dat\)",
        ),
        (
            "ml100k",
            {"u.data": "1\t10\t5\t1\n1\t13\t1\t1\n"},
            r"u.data, line 2: item_id names '13', which is not among the items \(u.item\)",
        ),
        (
            "ml100k",
            {"u.user": "1|20|F|writer|9\n2|old|M|other|T\n"},
            r"u.user, line 2: field 'age' of user '2' is 'old'",
        ),
        ("ml100k", {"u.user": ""}, r"u.user has no rows"),
        ("amazon", {"item_brand.dat": "10,7\n,8\n"}, r"item_brand.dat, line 2: item_id is empty"),
        (
            "amazon",
            {"user_item.dat": "1\t10\t3\t5\n"},
            r"amazon: there are no clicks: user_item.dat has no rating of 4",
        ),
        ("yelp", {"user_compliment.dat": "2\t3\n"}, r"user_compliment.dat, line 1: 2 fields instead of 3"),
    ],
)
def test_bad_files_are_refused_by_line_and_field(
    tmp_path: Path, name: str, instead: dict[str, str], message: str
) -> None:
    with pytest.raises(RalmError, match=message):
        fetched(name, folder_of(name, tmp_path, **instead))


def test_a_missing_column_of_a_table_is_named(tmp_path: Path) -> None:
    for table, columns in TABLES["ml1m"].items():
        pq.write_table(pa.table(columns), tmp_path / f"{table}.parquet")
    pq.write_table(pa.table(TABLES["ml1m"]["ml1m_users"]).drop_columns("zip_code"), tmp_path / "ml1m_users.parquet")
    with pytest.raises(RalmError, match=r"ml1m_users.parquet has no column 'zip_code'; it has user_id, gender"):
        fetched("ml1m", tmp_path)


def test_users_of_whom_only_clicks_are_known_can_be_learned_from(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = [f"{user}\t{item}\t5\t{86_400 * day}" for day, (user, item) in enumerate(rng.integers(0, 12, (300, 2)))]
    files = {"user_item.dat": "\n".join(rows), "item_category.dat": "1,0\n", "item_brand.dat": "2,0\n"}
    data = fetched("amazon", folder_of("amazon", tmp_path, **files))
    config = TrainingConfig(dim=8, field_dim=4, attention_size=4, epochs_user=1, epochs_lookalike=1, clusters=2)
    details = train_bundle(
        data,
        split=Split(before=data.time_at(0.8)),
        path=tmp_path / "bundle",
        options=FitOptions("paper", towers=config),
    )
    assert details["figures"]["positives"] > 0
