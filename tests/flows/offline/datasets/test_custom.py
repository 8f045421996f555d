"""One's own data: the documented example, times, kinds of fields, and what is wrong with bad tables."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from flows.cli.main import cli
from flows.offline.datasets import prepare_dataset
from flows.offline.datasets.layout import Dataset, load, save
from flows.offline.datasets.tables import Table
from flows.offline.datasets.times import times_ms
from flows.support.errors import ConfigError, RalmError

DOCUMENT = Path(__file__).parents[4] / "docs" / "data.md"
EVENTS = "user_id,item_id,timestamp\n1,a,100\n2,b,90\n2,a,80\n"


def write(folder: Path, **tables: str) -> Path:
    for name, text in tables.items():
        (folder / (f"{name}.toml" if name == "data" else f"{name}.csv")).write_text(text)
    return folder


def own(folder: Path, **tables: str) -> Dataset:
    return prepare_dataset("mine", folder / "downloads", write(folder, **tables))


def test_the_documented_example_does_what_is_said(tmp_path: Path) -> None:
    files = re.findall(r"^`(\S+)`\n\n```\w+\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    assert [name for name, _ in files] == ["events.csv", "users.csv", "items.csv", "data.toml"]
    for name, text in files:
        (tmp_path / name).write_text(text)
    done = CliRunner().invoke(cli, ["data", "shop", "--from", str(tmp_path), "--data-dir", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "4 clicks of 3 users on 3 items" in done.output
    data = load(tmp_path / "out" / "shop")
    assert data.event_users.tolist() == ["ann", "bob", "cem", "cem"]
    assert data.event_items.tolist() == ["tea", "tea", "kettle", "mug"]
    assert np.diff(data.event_times).tolist() == [2000, 83_698_000, 0]
    assert {name: kind for name, (kind, _) in data.fields.items()} == {
        "age": "continuous",
        "plan": "categorical",
        "interests": "multivalent",
    }
    assert data.interactions().multivalent["interests"][0].tolist() == [[1, 3], [0, 0], [2, 0]]
    assert data.categories.tolist() == ["kitchen", "kitchen|gift", "food"]


def test_users_and_items_without_tables_are_those_of_the_events(tmp_path: Path) -> None:
    data = own(tmp_path, events=EVENTS)
    assert data.event_times.tolist() == [80_000, 90_000, 100_000]
    assert data.user_ids.tolist() == ["1", "2"]
    assert data.item_ids.tolist() == ["a", "b"]
    assert data.fields == {}
    assert data.interactions().category_count == 1


@pytest.mark.parametrize(
    ("times", "said", "expected"),
    [
        (("1000", "1001.5"), "", [1_000_000, 1_001_500]),
        (("1732440000000", "1732440000001"), "", [1732440000000, 1732440000001]),
        (("5", "6"), 'time_unit = "ms"', [5, 6]),
        (("1732440000000000", "1732440000001000"), 'time_unit = "us"', [1732440000000, 1732440000001]),
        (("1970-01-01", "1970-01-02"), "", [0, 86_400_000]),
        (("1970-01-01 00:00:01.25", "1970-01-01T00:01"), "", [1250, 60_000]),
        (("1970-01-01T01:00:00+01:00", "1970-01-01T00:00:01Z"), "", [0, 1000]),
        (("2024-11-24T08:00:00.123456789Z", "2024-11-24T08:00:01.5Z"), "", [1732435200123, 1732435201500]),
        (("2024-11-24T08:00:00.9996Z", "2024-11-24T08:00:02Z"), "", [1732435201000, 1732435202000]),
        (("2024-11-24 08:00:00 UTC", "2024-11-24 08:00:01 UTC"), "", [1732435200000, 1732435201000]),
        (("1732440000.123", "1732440000.001"), "", [1732440000001, 1732440000123]),
        (("1732440000123600000", "1732440000123400000"), 'time_unit = "ns"', [1732440000123, 1732440000124]),
        (("20241124", "20241125"), "", [1732406400000, 1732492800000]),
        (("20241124080000", "20241124080001"), "", [1732435200000, 1732435201000]),
        (("20241124T080000Z", "20241124T080001.5Z"), "", [1732435200000, 1732435201500]),
        (("24/11/2024 08:00", "25/11/2024 08:00"), 'time_format = "%d/%m/%Y %H:%M"', [1732435200000, 1732521600000]),
        (("24Nov2024 +0100", "24Nov2024 +0000"), 'time_format = "%d%b%Y %z"', [1732402800000, 1732406400000]),
    ],
)
def test_times_as_people_write_them(tmp_path: Path, times: tuple[str, str], said: str, expected: list[int]) -> None:
    data = own(tmp_path, events=f"user_id,item_id,timestamp\n1,a,{times[0]}\n2,b,{times[1]}\n", data=said)
    assert data.event_times.tolist() == expected


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    moments = pa.array([2_500, 1_500], pa.timestamp("us", "Europe/Madrid"))
    pq.write_table(
        pa.table({"user_id": [7, 8], "item_id": ["a", "b"], "timestamp": moments}), tmp_path / "events.parquet"
    )
    users = pa.table(
        {
            "user_id": pa.array([8.0, 7.0]),  # as pandas keeps integers among which some are missing
            "tags": [["x", "y"], []],
            "level": pa.array([3, None], pa.int64()),
            "height": [1.5, 1.75],
            "member": [True, False],
            "city": pa.array(["oslo", None]).dictionary_encode(),
        }
    )
    pq.write_table(users, tmp_path / "users.parquet")
    data = own(tmp_path)
    assert data.event_times.tolist() == [2, 3]
    assert data.user_ids.tolist() == ["7", "8"]
    assert {name: (kind, column.tolist()) for name, (kind, column) in data.fields.items()} == {
        "tags": ("multivalent", ["", "x|y"]),
        "level": ("categorical", ["", "3"]),
        "height": ("continuous", [1.75, 1.5]),
        "member": ("categorical", ["false", "true"]),
        "city": ("categorical", ["", "oslo"]),
    }


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@given(seconds=st.integers(0, 2_000_000_000), thousandths=st.integers(0, 999))
def test_a_moment_is_the_same_ms_as_text_as_a_number_and_in_parquet(unit: str, seconds: int, thousandths: int) -> None:
    ms = seconds * 1000 + thousandths
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    columns = [
        pa.array([moment.isoformat()]),
        pa.array([f"{seconds}.{thousandths:03}"]) if unit == "s" else pa.array([f"{ms}{_ZEROS[unit]}"]),
        pa.array([moment], pa.timestamp("us", "UTC")),
        pa.array([seconds + thousandths / 1000]) if unit == "s" else pa.array([int(f"{ms}{_ZEROS[unit]}")]),
    ]
    for column in columns:
        table = Table("events.csv", {"timestamp": column}, 2)
        assert times_ms(table, "timestamp", unit).tolist() == [ms]


_ZEROS = {"ms": "", "us": "000", "ns": "000000"}


@pytest.mark.parametrize(
    ("content", "users"),
    [
        (EVENTS.replace("\n", "\r").encode(), ["1", "2"]),
        (EVENTS.replace("\n", "\r\n").encode(), ["1", "2"]),
        (EVENTS.encode("utf-8-sig"), ["1", "2"]),
        (EVENTS.replace(",", "\t").encode("utf-16"), ["1", "2"]),
        (EVENTS.replace(",", ";").encode(), ["1", "2"]),
        (b'"user\nid",user_id,item_id,timestamp\nq,1,a,100\nq,2,b,90\n', ["1", "2"]),
        (b'user_id,item_id,timestamp\n"1\n1",a,100\n2,b,90\n', ["1\n1", "2"]),
        (EVENTS.replace(",", " , ", 2).encode(), ["1", "2"]),
    ],
)
def test_text_as_other_programs_write_it(tmp_path: Path, content: bytes, users: list[str]) -> None:
    (tmp_path / "events.csv").write_bytes(content)
    assert prepare_dataset("mine", tmp_path, tmp_path).user_ids.tolist() == users


def test_a_byte_order_mark_before_the_description_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "data.toml").write_text('[columns]\nuser_id = "who"\n', encoding="utf-8-sig")
    assert own(tmp_path, events=EVENTS.replace("user_id", "who")).user_ids.tolist() == ["1", "2"]


def test_one_long_text_costs_its_own_length(tmp_path: Path) -> None:
    rows = "".join(f"u{n},{'b' * 20_000 if n == 7 else 'a'}\n" for n in range(20_000))
    data = own(tmp_path, events="user_id,item_id,timestamp\nu1,a,1\nu2,b,2\n", users=f"user_id,about\n{rows}")
    save(data, tmp_path / "out")
    assert (tmp_path / "out" / "users.npz").stat().st_size < 2_000_000
    again = load(tmp_path / "out")
    assert again.fingerprint() == data.fingerprint()
    assert sorted(set(again.fields["about"][1].tolist())) == ["a", "b" * 20_000]


def test_long_identifiers_are_told_apart(tmp_path: Path) -> None:
    users = [f"{n * 7919 % 997:08}-0000-4000-8000-{n:012}" for n in range(300)]
    events = "".join(f"{users[n % 300]},item-of-the-shop-number-{n * 31 % 50:04},{n}\n" for n in range(2000))
    data = own(tmp_path, events="user_id,item_id,timestamp\n" + events)
    save(data, tmp_path / "out")
    again = load(tmp_path / "out")
    for found in (data, again):
        assert found.event_users.tolist() == [users[n % 300] for n in range(2000)]
        numbers = found.interactions()
        clicked = sorted(zip(numbers.clicks_time.tolist(), numbers.clicks_user.tolist(), strict=True))
        assert [found.user_ids[user] for _, user in clicked] == [users[n % 300] for n in range(2000)]


def test_clicks_are_the_events_that_a_column_says(tmp_path: Path) -> None:
    events = "user_id,item_id,timestamp,event,n\n1,a,1,view,1\n1,b,2,buy,1\n2,a,3,click,2\n2,c,4,click,1\n"
    said = own(tmp_path, events=events, data='[filter]\nevent = ["buy", "click"]\nn = 1\n')
    assert said.event_items.tolist() == ["b", "c"]
    with pytest.raises(RalmError, match=r"no event has 'sold' as its event; it has 'buy', 'click', 'view'"):
        own(tmp_path, events=events, data='filter = {event = "sold"}')
    with pytest.raises(RalmError, match=r"events.csv, line 5: item_id is empty"):
        own(tmp_path, events=events.replace("2,c,4", "2,,4"), data='filter = {event = "click"}')


@pytest.mark.parametrize("words", [("true", "false"), ("Yes", "no"), ("T", "F")])
def test_a_rating_may_say_yes_or_no(tmp_path: Path, words: tuple[str, str]) -> None:
    yes, no = words
    events = f"user_id,item_id,timestamp,rating\n1,a,1,{yes}\n1,b,2,{no}\n2,b,3,{yes}\n"
    assert own(tmp_path, events=events).event_times.tolist() == [1000, 3000]
    with pytest.raises(ConfigError, match="says least_rating, but 'rating' is true or false"):
        own(tmp_path, events=events, data="least_rating = 3")


def test_files_may_have_other_names_and_titles_are_kept(tmp_path: Path) -> None:
    write(tmp_path, log=EVENTS, goods="item_id,title\nb,Bread\na,Äpfel\n")
    files = '[files]\nevents = "log.csv"\nitems = "goods.csv"\n'
    data = own(tmp_path, data=files)
    assert data.titles is not None
    assert data.titles.tolist() == ["Äpfel", "Bread"]
    save(data, tmp_path / "out")
    again = load(tmp_path / "out").titles
    assert again is not None
    assert again.tolist() == ["Äpfel", "Bread"]
    with pytest.raises(RalmError, match=r"says that users are in people.csv, but"):
        own(tmp_path, data=files + 'users = "people.csv"\n')


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    long = "x" * 300
    events = f"user_id,item_id,timestamp\n1,a,5\n{long},a,6\n2,,soon\n2,a,1969-01-01\n3,b,7\n"
    with pytest.raises(RalmError) as caught:
        own(
            tmp_path,
            events=events,
            users="user_id,age\n1,0.5\n2,old\n2,1.5\n,2.5\n",
            data='[kinds]\nage = "continuous"\n',
        )
    assert str(caught.value).splitlines() == [
        "users.csv, line 3: field 'age' of user '2' is 'old', not a number",
        "users.csv, line 5: user_id is empty",
        "users.csv, line 4: user_id '2' is there twice",
        "events.csv, line 4: item_id is empty",
        "events.csv, line 4: timestamp is 'soon', not a number (and 1 more)",
        'say incomplete = "leave out" in data.toml to leave out events without user, item or time: 1',
    ]


@pytest.mark.parametrize(("different", "kind"), [(10, "categorical"), (11, "continuous")])
def test_few_whole_numbers_are_codes(tmp_path: Path, different: int, kind: str) -> None:
    rows = "".join(f"{n},{n % different}\n" for n in range(40))
    events = "user_id,item_id,timestamp\n1,a,1\n1,b,2\n"
    assert own(tmp_path, events=events, users=f"user_id,code\n{rows}").fields["code"][0] == kind
    said = own(tmp_path, data='[kinds]\ncode = "multivalent"')
    assert said.fields["code"][0] == "multivalent"


def test_events_without_times_are_said_to_be_so(tmp_path: Path) -> None:
    data = own(tmp_path, events="user_id,item_id\n1,a\n2,b\n2,a\n", data="timed = false")
    assert not data.timed
    with pytest.raises(RalmError, match="mine: its clicks have no times"):
        data.time_at(0.5)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"events": "user_id,item_id\n1,a\n"}, r"events.csv has no column 'timestamp'; it has user_id, item_id"),
        ({"events": "user_id,item_id,timestamp\n"}, r"events.csv has no rows"),
        ({"events": ""}, r"events.csv has no rows"),
        ({"events": EVENTS + "1,a\n"}, r"events.csv, line 5: 2 fields instead of 3"),
        ({"events": EVENTS + "1,a,soon\n"}, r"events.csv, line 5: timestamp is 'soon', not a number"),
        ({"events": EVENTS + "1,a,\n"}, r"events.csv, line 5: timestamp is missing"),
        ({"events": EVENTS + "1,a,inf\n"}, r"events.csv, line 5: timestamp is inf, not a number"),
        ({"events": EVENTS + ",a,5\n"}, r"events.csv, line 5: user_id is empty"),
        ({"events": EVENTS + "\n1,a,5\n"}, r"events.csv, line 5: timestamp is missing"),
        ({"events": EVENTS + "x" * 257 + ",a,5\n"}, r"line 5: user_id has 257 bytes; an identifier has 1 to 256"),
        ({"events": EVENTS + "1," + "ü" * 129 + ",5\n"}, r"line 5: item_id has 258 bytes; an identifier has 1 to 256"),
        ({"events": EVENTS + "1,a,-5\n"}, r"events.csv, line 5: timestamp is of 1969-12-31, before 1970: leave"),
        (
            {"events": "user_id,item_id,timestamp\n1,a,9999-12-31\n1,b,2024-01-01\n2,b,9999-12-31\n"},
            r"events.csv, line 2: timestamp is of 9999-12-31, after 2099, .* \(and 1 more\): leave",
        ),
        (
            {"events": "user_id,item_id,timestamp\n1,a,1732440000\n1,b,1732440001000\n"},
            r"several units: 1732440000 of events.csv, line 2 looks like s, 1732440001000 of events.csv, line 3 looks",
        ),
        (
            {"events": "user_id,item_id,timestamp\n1,a,2020-01-01\n2,b,2020-01-02\n3,b,1732440000\n"},
            r"events.csv, line 4: timestamp is the number 1732440000 among times that are text",
        ),
        (
            {"events": "user_id,item_id,timestamp\n1,a,20240101\n2,b,20241399\n"},
            r"events.csv, line 3: timestamp is '20241399', not a time of the form %Y%m%d",
        ),
        (
            {"events": EVENTS, "items": "item_id,categories\na," + "|".join(map(str, range(300))) + "\nb,x\n"},
            r"mine: item 'a' has 300 categories; the most is 256",
        ),
        ({"events": "user_id,user_id,item_id\n1,1,a\n"}, r"events.csv has two columns of the name 'user_id'"),
        ({"events": "user_id,item_id,timestamp\n1,a,1\n2,a,2\n"}, r"mine: there is only one item"),
        (
            {"events": "user_id,item_id,timestamp\n1,a,2020-01-01\n2,b,today\n"},
            r"events.csv, line 3: timestamp is 'today', neither a number nor a time such as",
        ),
        (
            {"events": "user_id,item_id,timestamp\n1,a,2020-01-01\n2,b,2020-01-01T00:00:00Z\n"},
            r"some values of timestamp have an offset from UTC and some have none",
        ),
        ({"events": EVENTS + "1,a,1e16\n"}, r"timestamp goes up to 1e\+16, too much for ms; say time_unit"),
        (
            {"events": EVENTS.replace("timestamp", "timestamp,rating").replace("0\n", "0,1\n")},
            r"mine: there are no clicks: events.csv has no rating of 4 or more",
        ),
        (
            {"events": EVENTS, "users": "user_id,age\n1,3\n"},
            r"events.csv, line 3: user_id names '2', which is not among the users \(users.csv\)",
        ),
        (
            {"events": EVENTS, "items": "item_id\na\n"},
            r"events.csv, line 3: item_id names 'b', which is not among the items \(items.csv\)",
        ),
        ({"events": EVENTS, "users": "user_id\n1\n2\n1\n"}, r"users.csv, line 4: user_id '1' is there twice"),
        (
            {"events": EVENTS, "users": "user_id,age\n1,0.5\n2,\n"},
            r"users.csv, line 3: field 'age' of user '2' is missing",
        ),
        (
            {"events": EVENTS, "users": "user_id,age\n1,0.5\n2,inf\n"},
            r"users.csv, line 3: field 'age' of user '2' is inf, not a number",
        ),
        ({"events": EVENTS, "users": "user_id,a.b\n1,x\n2,y\n"}, r"a user field cannot be called 'a.b'"),
        ({"events": EVENTS, "users": "user_id,items\n1,x\n2,y\n"}, r"a user field cannot be called 'items'"),
    ],
)
def test_bad_tables_are_refused_by_file_row_and_field(tmp_path: Path, tables: dict[str, str], message: str) -> None:
    with pytest.raises(RalmError, match=message):
        own(tmp_path, **tables)


def test_text_that_is_not_utf8_and_broken_parquet_are_named(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_bytes(EVENTS.encode() + b"1,caf\xe9,5\n")
    with pytest.raises(RalmError, match=r"events.csv, line 5: this is not UTF-8"):
        own(tmp_path)
    (tmp_path / "events.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(RalmError, match=r"events.parquet cannot be read as Parquet"):
        own(tmp_path)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([["x"], ["y|z"]], r"users.parquet, row 2: tags holds 'y\|z'"),
        ([["x", None], ["y"]], r"users.parquet, row 1: tags holds None"),
    ],
)
def test_lists_that_cannot_be_joined_are_refused(tmp_path: Path, tags: list[list[str | None]], message: str) -> None:
    pq.write_table(pa.table({"user_id": ["1", "2"], "tags": tags}), tmp_path / "users.parquet")
    with pytest.raises(RalmError, match=message):
        own(tmp_path, events=EVENTS)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("least = 3", r"data.toml: least: Extra inputs"),
        ('time_unit = "h"', r"data.toml: time_unit: Input should be 's', 'ms'"),
        ("least_rating = 3", r"says least_rating, but events.csv has no column 'rating'"),
        ('[columns]\nuser_id = "who"', r"calls the column user_id 'who', but no table has that"),
        ('[kinds]\nage = "continuous"', r"says the kind of 'age', but users.csv has only plan"),
        ("least_rating", r"data.toml cannot be read"),
    ],
)
def test_a_description_that_cannot_be_followed_is_refused(tmp_path: Path, said: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        own(tmp_path, events=EVENTS, users="user_id,plan\n1,x\n2,y\n", data=said)


def test_kinds_without_users_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="says the kind of 'age', but there is no table of users"):
        own(tmp_path, events=EVENTS, data='[kinds]\nage = "continuous"')


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine"], "unknown data set mine: known are amazon, ml100k, ml1m, yelp; for your own data say --from FOLDER"),
        (["mine", "--from", "nowhere"], "nowhere has no events.parquet, events.csv or events.jsonl"),
        (["../mine", "--from", "nowhere"], "cannot be the name of a data set"),
        (["downloads", "--from", "nowhere"], "cannot be the name of a data set"),
    ],
)
def test_the_command_says_what_is_missing(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, ["data", *arguments, "--data-dir", str(tmp_path)])
    assert isinstance(done.exception, ConfigError)  # main() shows it and exits with 2
    assert message in str(done.exception)
