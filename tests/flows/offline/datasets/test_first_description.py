"""A first description of one's own data: what is guessed, what is flagged, and that it brings the data in one round."""

import gzip
import json
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from flows.cli.main import cli
from flows.offline.datasets.custom import describe, prepare_custom
from flows.offline.datasets.first_description import describe_first
from flows.offline.datasets.layout import load
from flows.support.errors import ConfigError, RalmError

PEOPLE = "".join(
    f"c{n},{'gold' if n % 3 else 'basic'},{20 + n},{n % 2},mail{n}@example.org,{10_000 + n % 30},same\n"
    for n in range(60)
)


def shop(folder: Path) -> Path:
    """Tables as a shop exports them: other names, semicolons, days first, views among the purchases."""
    log = "".join(
        f"c{n % 60};p{n % 7};{1 + n % 28:02}/11/2024 08:{n % 60:02};{('view', 'purchase', 'refund')[n % 3]}\n"
        for n in range(300)
    )
    goods = "".join(f"p{n},Thing {n},tools|home\n" for n in range(7))
    (folder / "orders_2024.csv").write_text("CustomerNo;ProductId;Created At;Action\n" + log)
    (folder / "customers.csv").write_text("id,plan,age,newsletter,email,zip,land\n" + PEOPLE)
    (folder / "products.csv").write_text("id,name,tags\n" + goods)
    (folder / "readme.md").write_text("no table")
    return folder


def bring(folder: Path, *more: str) -> Result:
    out = str(folder / "out")
    return CliRunner().invoke(cli, ["data", "shop", "--from", str(folder), "--data-dir", out, *more])


def test_a_shops_export_is_brought_in_one_round(tmp_path: Path) -> None:
    done = bring(shop(tmp_path), "--init")
    assert done.exit_code == 0, (done.output, done.exception)
    assert "100 clicks of 20 users on 7 items" in done.output or "100 clicks of 60 users on 7 items" in done.output
    said = describe(tmp_path)
    assert said.files.events == "orders_2024.csv"
    assert said.columns.user_id == ["CustomerNo", "id"]
    assert said.columns.item_id == ["ProductId", "id"]
    assert said.time_format == "%d/%m/%Y %H:%M"
    assert said.filter == {"Action": ["purchase"]}
    assert said.kinds == {
        "plan": "categorical",
        "age": "continuous",
        "newsletter": "categorical",
        "email": "ignore",
        "zip": "categorical",
        "land": "ignore",
    }
    assert "email is left out: an identifier in disguise: 60 different values in 60 rows" in done.output
    data = load(tmp_path / "out" / "shop")
    assert data.titles is not None
    assert data.titles.tolist() == [f"Thing {n}" for n in range(7)]
    assert set(data.categories.tolist()) == {"tools|home"}
    rows = [line.split() for line in done.output.splitlines() if line.startswith("customers.csv")]
    assert ["customers.csv", "age", "whole", "number", "60", "0", "continuous"] in rows


def test_a_description_that_is_there_is_kept(tmp_path: Path) -> None:
    (shop(tmp_path) / "data.toml").write_text("timed = true\n")
    done = bring(tmp_path, "--init")
    assert isinstance(done.exception, ConfigError)
    assert "is there already" in str(done.exception)
    assert (tmp_path / "data.toml").read_text() == "timed = true\n"


def test_gaps_strangers_and_ids_that_come_again_are_said_and_stand_in_no_ones_way(tmp_path: Path) -> None:
    shop(tmp_path)
    with (tmp_path / "orders_2024.csv").open("a") as file:
        file.write("stranger;p1;01/11/2024 08:00;purchase\nc1;;01/11/2024 08:00;purchase\n")
    with (tmp_path / "customers.csv").open("a") as file:
        file.write("c1,gold,22,1,mail1@example.org,10001,same\n")
    done = bring(tmp_path, "--init")
    assert done.exit_code == 0, (done.output, done.exception)
    for words in (
        "orders_2024.csv: 1 row without ProductId, left out: look at incomplete",
        "1 of 61 users that orders_2024.csv names are not in customers.csv: they are kept",
        "customers.csv: 1 row of a id that is there already, put together with it (repeated)",
    ):
        assert words in done.output
    data = load(tmp_path / "out" / "shop")
    assert data.fields["age"][1][data.user_ids.tolist().index("c1")] == 22


def test_what_is_wrong_is_all_said_and_the_description_stays(tmp_path: Path) -> None:
    shop(tmp_path)
    with (tmp_path / "orders_2024.csv").open("a") as file:
        file.write(f"{'c' * 300};p1;soon;purchase\n")
    done = bring(tmp_path, "--init")
    assert isinstance(done.exception, RalmError)
    assert "CustomerNo has 300 bytes" in str(done.exception)
    assert (tmp_path / "data.toml").exists()


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("user_id,item_id,timestamp", "u,i,1732440000", {}),
        (
            "userId,movieId,rating,timestamp",
            "1,2,4.5,1732440000",
            {"columns.user_id": "userId", "columns.item_id": "movieId"},
        ),
        ("visitor,sku,when,score", "v,s,2024-11-24,9", {"least_rating": 8, "columns.timestamp": "when"}),
        ("member_id,article_id,ts", "m,a,1732440000123456", {"time_unit": "us"}),
        ("account;song;date", "m;a;11/24/2024", {"time_format": "%m/%d/%Y"}),
        ("user,item", "u,i", {"timed": False}),
        ("reader,book,time,liked_rating", "u,b,1732440000,true", {"columns.rating": "liked_rating"}),
    ],
)
def test_columns_are_known_by_their_names_and_values(
    tmp_path: Path, header: str, row: str, expected: dict[str, object]
) -> None:
    (tmp_path / "some.csv").write_text(f"{header}\n{row}\n{row}x\n".replace("x\n", "\n"))
    found = describe_first(tmp_path)
    assert found.problems == []
    (tmp_path / "data.toml").write_text(found.text)
    said = describe(tmp_path)
    for key, value in expected.items():
        group, _, name = key.rpartition(".")
        assert getattr(getattr(said, group) if group else said, name) == value, found.text
    assert said.time_unit == expected.get("time_unit")


def test_tables_of_parquet_and_what_cannot_be_read(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"user_id": ["u", "v"], "item_id": ["a", "b"], "tags": [["x"], []]}), tmp_path / "clicks.parquet"
    )
    (tmp_path / "users.csv").write_bytes(b"user_id\nu\nv,w\n")
    found = describe_first(tmp_path)
    assert found.problems == ["users.csv, line 3: 2 fields instead of 1"]
    assert [facts.type for facts, _ in found.columns] == ["text", "text", "list"]


def test_a_folder_without_tables_and_known_data_sets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no table"):
        describe_first(tmp_path)
    (tmp_path / "some.csv").write_text("a,b\n1,2\n")
    assert "no table has a column of users and one of items" in describe_first(tmp_path).problems[0]
    done = CliRunner().invoke(cli, ["data", "ml1m", "--from", str(tmp_path), "--init"])
    assert "--init is for data of your own" in str(done.exception)


def test_what_is_written_can_be_read_whatever_the_columns_are_called(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user_id,item_id,timestamp\nann,tea,1732440000\nbob,mug,1732440001\n")
    (tmp_path / "users.csv").write_text('user_id,"pl\x7fan","a""b\n\u202ec"\nann,x,1\nbob,y,2\n')
    (tmp_path / "data.toml").write_text(describe_first(tmp_path).text, encoding="utf-8")
    assert describe(tmp_path).kinds.keys() == {"pl\x7fan", 'a"b\n\u202ec'}


def clicks(count: int = 200) -> list[tuple[str, str, int]]:
    """User, item and time (s) of clicks."""
    return [(f"u{n % 20}", f"i{n * 7 % 9}", 1_740_787_200 + 3600 * n) for n in range(count)]


def written(folder: Path, name: str, header: str, lines: list[str], encoding: str = "utf-8") -> None:
    content = "\n".join([header, *lines, ""]).encode(encoding)
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def test_json_lines_are_tables_with_columns_of_what_lies_within(tmp_path: Path) -> None:
    lines = [
        json.dumps({"user": {"id": u, "from": None}, "item_id": n, "ts": t, "event": ("click", "view")[t // 3600 % 2]})
        for u, n, t in clicks()
    ]
    (tmp_path / "log.jsonl").write_text("\n\n".join(lines))
    (tmp_path / "items.json").write_text(json.dumps([{"item_id": f"i{n}", "tags": ["a", f"b{n}"]} for n in range(9)]))
    done = bring(tmp_path, "--init")
    assert done.exit_code == 0, (done.output, done.exception)
    assert "100 clicks of 10 users on 9 items" in done.output
    assert load(tmp_path / "out" / "shop").categories.tolist()[:2] == ["a|b0", "a|b1"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"user_id": 1}\n\n{"user_id": \n', "line 3: this is no JSON"),
        ('{"user_id": 1}\n\n[1]\n', "line 3: this is no object"),
        ('[{"user_id": 1}, 2]', "row 2: this is no object"),
        ("[" * 5000, "line 1: this is no JSON"),
        ("{}\n", "has no rows"),
        ('{"user_id": "u"}\n{"user_id": "\\udc00"}\n', "line 2: user_id holds half of a pair of surrogates"),
        ('[{"user_id": "\\ud800x"}]', "row 1: user_id holds half of a pair of surrogates"),
    ],
)
def test_json_that_is_no_table_says_where(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "events.jsonl").write_text(content)
    with pytest.raises(RalmError, match=words):
        prepare_custom("made", tmp_path)


def test_lines_of_json_end_only_where_lines_do_and_no_number_is_missing(tmp_path: Path) -> None:
    rows = [{"user_id": u, "item_id": f"i\u2028\x85{n}", "timestamp": t} for u, n, t in clicks()]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (tmp_path / "events.jsonl").write_text("\r\n".join(lines), newline="", encoding="utf-8")
    users = [
        {"user_id": u, "age": float("nan") if u == rows[0]["user_id"] else 30} for u in {r["user_id"] for r in rows}
    ]
    (tmp_path / "users.json").write_text(json.dumps(users))
    data = prepare_custom("made", tmp_path)
    assert len(data.event_times) == len(rows)
    assert "i\u2028\x85i0" in data.item_ids.tolist()


def test_folded_tables_are_read_and_damaged_ones_refused(tmp_path: Path) -> None:
    written(tmp_path, "events.csv.gz", "user_id,item_id,timestamp", [f"{u},{n},{t}" for u, n, t in clicks()])
    assert len(prepare_custom("made", tmp_path).event_times) == 200
    whole = (tmp_path / "events.csv.gz").read_bytes()
    for damaged in (whole[:-20], b"no gzip", whole[:50] + b"x" + whole[51:]):
        (tmp_path / "events.csv.gz").write_bytes(damaged)
        with pytest.raises(RalmError, match=r"events\.csv\.gz cannot be read"):
            prepare_custom("made", tmp_path)


def test_columns_that_are_called_otherwise_are_known_by_their_values(tmp_path: Path) -> None:
    lines = [f'"{u}";{n};{datetime.fromtimestamp(t, UTC):%d.%m.%Y %H:%M};{t % 7},5' for u, n, t in clicks()]
    written(tmp_path, "Klicks.csv", 'Wer;"Was\nNr.";Wann;Stand', lines, "utf-8-sig")
    found = describe_first(tmp_path)
    assert any("by its values Wer is taken for the users" in note for note in found.notes)
    done = bring(tmp_path, "--init")
    assert done.exit_code == 0, (done.output, done.exception)
    said = describe(tmp_path)
    assert (said.columns.user_id, said.columns.item_id, said.columns.timestamp) == ("Wer", "Was\nNr.", "Wann")
    assert load(tmp_path / "out" / "shop").event_times[0] == 1_740_787_200_000


def test_yes_and_no_tell_clicks_or_are_said(tmp_path: Path) -> None:
    lines = [f"{u},{n},{t},{t // 3600 % 2},{'yes' if t % 3 else 'no'}" for u, n, t in clicks()]
    written(tmp_path, "events.csv", "user_id,item_id,timestamp,purchased,mobile", lines)
    found = describe_first(tmp_path)
    assert '[filter]\npurchased = ["1"]' in found.text
    assert any(note.startswith("mobile says yes or no") for note in found.notes) == any("yes" in line for line in lines)


def test_ids_that_pandas_wrote_as_floats_are_whole_numbers(tmp_path: Path) -> None:
    written(tmp_path, "events.csv", "user_id,item_id,timestamp", [f"{u[1:]}.0,{n},{t}" for u, n, t in clicks()])
    written(tmp_path, "users.csv", "user_id,age", [f"{n},{20 + n}" for n in range(20)])
    assert prepare_custom("made", tmp_path).user_ids.tolist() == sorted(str(n) for n in range(20))


def test_an_id_that_is_written_otherwise_is_named(tmp_path: Path) -> None:
    written(tmp_path, "events.csv", "user_id,item_id,timestamp", [f"{u[1:]:0>5},{n},{t}" for u, n, t in clicks()])
    written(tmp_path, "users.csv", "user_id,age", [f"{n},{20 + n}" for n in range(20)])
    with pytest.raises(
        RalmError, match=r"'00000', which is not among the users .* there is '0', which is written otherwise"
    ):
        prepare_custom("made", tmp_path)


def test_text_that_is_not_utf_8_is_read_as_windows_writes_it(tmp_path: Path) -> None:
    written(tmp_path, "events.csv", "user_id,item_id,timestamp", [f"Zoë {u},{n},{t}" for u, n, t in clicks()], "cp1252")
    with pytest.raises(RalmError, match="line 2: this is not UTF-8; save it as that, or say encoding"):
        prepare_custom("made", tmp_path)
    done = bring(tmp_path, "--init")
    assert done.exit_code == 0, (done.output, done.exception)
    assert "is not UTF-8 and read as cp1252" in done.output
    assert load(tmp_path / "out" / "shop").user_ids[0] == "Zoë u0"
    (tmp_path / "data.toml").write_text('encoding = "klingon"')
    with pytest.raises(ConfigError, match="'klingon' is no encoding of text"):
        describe(tmp_path)


@pytest.mark.parametrize(
    ("encoding", "header", "name"),
    [
        ("gb18030", "用户,商品,时间,商品名称", "书{}的故事"),
        ("shift_jis", "ユーザー,商品,日時,商品名", "東京の本{}"),
        ("euc_kr", "고객,상품,날짜,이름", "서울의 책{}"),
        ("cp1251", "клиент,товар,дата,название", "Книга {}"),
        ("big5", "用戶,商品,時間,商品名", "臺北的書{}"),
    ],
)
def test_text_of_other_scripts_is_read_in_its_encoding(tmp_path: Path, encoding: str, header: str, name: str) -> None:
    rows = [f"c{n % 20},i{n * 7 % 12},2024-01-{n % 28 + 1:02d},{name.format(n * 7 % 12)}" for n in range(200)]
    (tmp_path / "log.csv").write_bytes("\n".join([header, *rows]).encode(encoding))
    found = describe_first(tmp_path)
    assert f'encoding = "{encoding}"' in found.text
    (tmp_path / "data.toml").write_text(found.text, encoding="utf-8")
    data = prepare_custom("made", tmp_path)
    assert data.titles is not None
    assert set(data.titles.tolist()) == {name.format(n) for n in range(12)}


def test_a_first_line_of_values_is_told_from_names(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("".join(f"{u[1:]},{n[1:]},{t}\n" for u, n, t in clicks()))
    with pytest.raises(RalmError, match="line 1: these are values, and no names of columns"):
        prepare_custom("made", tmp_path)


def test_accents_that_are_written_in_two_ways_are_said(tmp_path: Path) -> None:
    forms = ("NFC", "NFD")
    lines = [f"{unicodedata.normalize(forms[k % 3 % 2], 'Zoë ' + u)},{n},{t}" for k, (u, n, t) in enumerate(clicks())]
    written(tmp_path, "events.csv", "user_id,item_id,timestamp", lines)
    assert any(
        "20 values of user_id differ from others only by blanks" in note for note in describe_first(tmp_path).notes
    )


def test_a_file_that_is_none_of_the_tables_stands_in_no_ones_way(tmp_path: Path) -> None:
    written(tmp_path, "clicks.csv", "user_id,item_id,timestamp", [f"{u},{n},{t}" for u, n, t in clicks()])
    (tmp_path / "notes.csv").write_text("")
    found = describe_first(tmp_path)
    assert (found.problems, "notes.csv has no rows, and is not used" in found.notes) == ([], True)


def test_all_that_is_wrong_with_times_is_said_at_once(tmp_path: Path) -> None:
    wrong = ["9999-12-31", "0001-01-01", "", "yesterday", "1969-12-31"]
    lines = [f"{u},{n},2025-03-01" for u, n, _ in clicks(20)] + [f"u1,i1,{time}" for time in wrong]
    written(tmp_path, "events.csv", "user_id,item_id,timestamp", lines)
    with pytest.raises(RalmError) as refused:
        prepare_custom("made", tmp_path)
    for words in (
        "line 24: timestamp is missing",
        "line 25: timestamp is 'yesterday'",
        "line 22: timestamp is of 9999",
    ):
        assert words in str(refused.value)
    assert "line 23: timestamp is of 0001-01-01, before 1970 (and 1 more)" in str(refused.value)


def test_a_date_that_stands_for_none_does_not_turn_dates_into_seconds(tmp_path: Path) -> None:
    lines = [f"{u},{n},20250301" for u, n, _ in clicks(20)]
    written(tmp_path, "events.csv", "user_id,item_id,timestamp", [*lines, "u1,i1,99991231"])
    with pytest.raises(RalmError, match="line 22: timestamp is of 9999-12-31, after 2099"):
        prepare_custom("made", tmp_path)


def test_decimals_after_a_comma_are_numbers(tmp_path: Path) -> None:
    written(tmp_path, "events.csv", "user_id;item_id;timestamp;rating", [f"{u};{n};{t};4,5" for u, n, t in clicks(20)])
    assert len(prepare_custom("made", tmp_path).event_times) == 20
    written(
        tmp_path, "events.csv", "user_id;item_id;timestamp;rating", [f"{u};{n};{t};1,234" for u, n, t in clicks(20)]
    )
    with pytest.raises(RalmError, match="rating is '1,234', not a number"):
        prepare_custom("made", tmp_path)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('time_format = "%H:%M %H"', "'%H:%M %H' is no form of times"),
        ('time_format = "%Q"', "'Q' is a bad directive"),
        ('time_format = "%d%"', "'%d%' is no form of times"),
        (f'[files]\nevents = "{"x" * 300}"', "has no such file"),
    ],
)
def test_a_description_that_cannot_be_followed_is_refused_in_words(tmp_path: Path, said: str, words: str) -> None:
    written(tmp_path, "events.csv", "user_id,item_id,timestamp", [f"{u},{n},{t}" for u, n, t in clicks(20)])
    (tmp_path / "data.toml").write_text(said)
    with pytest.raises((RalmError, ConfigError), match=words):
        prepare_custom("made", tmp_path)


def test_dates_are_taken_for_the_times_before_hours_that_are_written_as_numbers(tmp_path: Path) -> None:
    """As in a table of flights: times of day as 1745 come again as ids do, and stand before the date."""
    rows = "".join(
        f"{500 + n % 60},{700 + n % 60},N{n % 31:03},A{n % 23:02},2013-01-{1 + n % 28:02}T{n % 24:02}:00:00Z\n"
        for n in range(900)
    )
    (tmp_path / "flights.csv").write_text("dep_time,sched_dep_time,tail,dest,time_hour\n" + rows)
    done = bring(tmp_path, "--init")
    assert done.exit_code == 0, (done.output, done.exception)
    columns = describe(tmp_path).columns
    assert (columns.user_id, columns.item_id, columns.timestamp) == ("tail", "dest", "time_hour")
    assert "March 1973" not in done.output


def test_seconds_since_anything_are_times_where_there_are_no_better(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(f"u{n % 30},i{n % 21},{n}\n" for n in range(400)))
    assert bring(tmp_path, "--init").exit_code == 0
    assert describe(tmp_path).columns.timestamp == "time"


def test_numbers_from_one_to_five_are_pointed_out_as_perhaps_ratings(tmp_path: Path) -> None:
    rows = "".join(f"s{n % 40},d{n % 25},{1 + n % 5},{n % 4}\n" for n in range(600))
    (tmp_path / "lectures.csv").write_text("user,item,y,age\n" + rows)
    done = bring(tmp_path, "--init")
    assert "600 clicks" in done.output
    assert 'y has the numbers from 1 to 5, and is not used: if they are ratings, say rating = "y"' in done.output
