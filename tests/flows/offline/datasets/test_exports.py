"""Exports as companies make them, by kind: several parts, no names, marks for nothing, lists, damaged quotes."""

import gzip
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from flows.cli.main import cli
from flows.offline.datasets.custom import prepare_custom
from flows.offline.datasets.description import describe
from flows.offline.datasets.first_description import FirstDescription, describe_first
from flows.offline.datasets.kinds import as_numbers
from flows.offline.datasets.layout import Dataset
from flows.support.errors import ConfigError, RalmError

CLICKS = [(f"u{n % 40}", f"i{n * 7 % 30}", 1_740_787_200 + 3600 * n) for n in range(240)]
HEAD = "user_id,item_id,timestamp"
ROWS = [f"{u},{i},{t}" for u, i, t in CLICKS]


def put(folder: Path, name: str, *lines: str, encoding: str = "utf-8") -> None:
    content = ("\n".join(lines) + "\n").encode(encoding)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def guessed(folder: Path) -> tuple[FirstDescription, Dataset]:
    """What is guessed of a folder, and what it brings."""
    found = describe_first(folder)
    assert found.problems == []
    (folder / "data.toml").write_text(found.text, encoding="utf-8")
    return found, prepare_custom("made", folder)


def said(folder: Path, text: str) -> Dataset:
    (folder / "data.toml").write_text(text, encoding="utf-8")
    return prepare_custom("made", folder)


def pairs(data: Dataset) -> list[tuple[str, str]]:
    return sorted(zip(data.event_users.tolist(), data.event_items.tolist(), strict=True))


EXPECTED = sorted((u, i) for u, i, _ in CLICKS)


@pytest.mark.parametrize("names", [("part-00000-1c2d.csv.gz", "part-00001-1c2d.csv.gz"), ("jan_2024.csv", "2024.csv")])
def test_files_whose_names_differ_by_numbers_are_one_table(tmp_path: Path, names: tuple[str, str]) -> None:
    put(tmp_path, names[0], HEAD, *ROWS[:100])
    put(tmp_path, names[1].replace("2024.csv", "jan_2025.csv"), HEAD, *ROWS[100:])
    put(tmp_path, "part-00002-1c2d.csv.gz", HEAD)  # Spark writes parts without rows
    put(tmp_path, "_SUCCESS")
    put(tmp_path, ".part-00000.csv.crc", "crc")
    assert pairs(guessed(tmp_path)[1]) == EXPECTED


def test_a_folder_of_parts_is_a_table_and_its_paths_say_columns(tmp_path: Path) -> None:
    for day in (1, 2):
        folder = tmp_path / "events.parquet" / f"day=2025-03-0{day}"
        folder.mkdir(parents=True)
        table = pa.table({"user_id": [u for u, *_ in CLICKS], "item_id": [i for _, i, _ in CLICKS]})
        pq.write_table(table, folder / "part-0.parquet")
    data = said(tmp_path, '[columns]\ntimestamp = "day"\n')
    assert pairs(data) == sorted(EXPECTED * 2)
    assert {datetime.fromtimestamp(t / 1000, UTC).day for t in data.event_times.tolist()} == {1, 2}


def test_a_part_that_may_not_be_read_is_not_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "events.csv/a/part-0.csv", HEAD, *ROWS)
    put(tmp_path, "events.csv/b/part-1.csv", HEAD, *ROWS)
    look = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(RalmError, match=r"events\.csv/b cannot be read: Permission denied"):
        prepare_custom("made", tmp_path)


def test_files_of_other_columns_are_joined_if_they_are_said_and_named_if_not(tmp_path: Path) -> None:
    put(tmp_path, "clicks.csv", "user_id,item_id,clicked_at,page", *(f"{row},home" for row in ROWS[:150]))
    put(
        tmp_path,
        "purchases.csv",
        "user_id,price,item_id,bought_at",
        *(row.replace(",", ",1,", 1) for row in ROWS[150:]),
    )
    found, data = guessed(tmp_path)
    assert len(pairs(data)) == 150
    (note,) = (note for note in found.notes if "purchases.csv is not used" in note)
    toml = note.partition("say ")[2].replace(", timestamp", "\n[columns]\ntimestamp")
    assert pairs(said(tmp_path, f"[files]\n{toml}\n")) == EXPECTED


def test_a_wrong_row_is_named_in_its_own_file(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", HEAD, *ROWS[:150])
    put(tmp_path, "b.csv", HEAD, *ROWS[150:], "u1,i1,soon")
    with pytest.raises(RalmError, match=r"b\.csv, line 92: timestamp is 'soon'"):
        said(tmp_path, '[files]\nevents = ["a.csv", "b.csv"]\n')
    with pytest.raises(RalmError, match=r"says that events are in c\*\.csv, but .* has no such file"):
        said(tmp_path, '[files]\nevents = ["a.csv", "c*.csv"]\n')


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "\x01", "::"])
def test_a_first_line_of_values_is_no_line_of_names(tmp_path: Path, separator: str) -> None:
    lines = [
        separator.join((u, "play", i, f"{datetime.fromtimestamp(t, UTC):%Y-%m-%dT%H:%M:%SZ}")) for u, i, t in CLICKS
    ]
    put(tmp_path, "log.dat", *lines)
    found, data = guessed(tmp_path)
    assert pairs(data) == EXPECTED
    assert any("its first line has values" in note for note in found.notes)
    with pytest.raises(RalmError, match=r"these are values, and no names of columns .* \[names\] events = "):
        said(tmp_path, '[files]\nevents = "log.dat"\n')


@pytest.mark.parametrize(
    "header", ["user,item,2024", "sku,uid,when", "customer,0,1,product", '"user_id","item","2024-01-01"']
)
def test_names_that_look_like_values_are_names(tmp_path: Path, header: str) -> None:
    put(tmp_path, "log.csv", header, *(",".join(f"{k}{n}" for k in range(header.count(",") + 1)) for n in range(30)))
    assert len(describe_first(tmp_path).columns) == header.count(",") + 1
    assert "[names]" not in describe_first(tmp_path).text


@pytest.mark.parametrize("mark", ["NULL", "null", r"\N", "NaN", "None", "<NA>", ""])
def test_words_for_no_value_are_nobodys_id(tmp_path: Path, mark: str) -> None:
    put(tmp_path, "events.csv", HEAD, *ROWS, f"{mark},i1,1740787200", f"u1,{mark},1740787200", f"u1,i1,{mark}")
    with pytest.raises(RalmError) as refused:
        prepare_custom("made", tmp_path)
    lines = str(refused.value).splitlines()
    assert [line.partition(": ")[2] for line in lines[:3]] == [
        "user_id is empty",
        "item_id is empty",
        "timestamp is missing",
    ]
    assert 'say incomplete = "leave out"' in lines[3]
    data = said(tmp_path, 'incomplete = "leave out"\n')
    assert pairs(data) == EXPECTED
    assert [note.partition(": ")[2] for note in data.notes] == [
        f"1 events without {name} are left out" for name in HEAD.split(",")
    ]


def test_words_for_no_value_are_those_that_are_said(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", HEAD, *ROWS, "None,i1,1740787200")
    assert "None" in said(tmp_path, 'missing = ["-"]\n').user_ids.tolist()


def test_users_and_items_of_no_table_are_kept_or_left_out_as_is_said(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", HEAD, *ROWS)
    put(tmp_path, "users.csv", "user_id,age,plan", *(f"u{n},{n / 2},gold" for n in range(5, 50)))
    put(tmp_path, "items.csv", "item_id,title", *(f"i{n},Thing {n}" for n in range(29)))
    with pytest.raises(RalmError, match='say unlisted = "keep"'):
        prepare_custom("made", tmp_path)
    kept = said(tmp_path, 'unlisted = "keep"\n')
    assert pairs(kept) == EXPECTED
    row = kept.user_ids.tolist().index("u0")
    assert (kept.fields["plan"][1][row], kept.fields["age"][1][row]) == ("", 13.5)
    assert kept.titles is not None
    assert kept.titles[kept.item_ids.tolist().index("i29")] == ""
    left = said(tmp_path, 'unlisted = "leave out"\n')
    assert pairs(left) == [(u, i) for u, i in EXPECTED if int(u[1:]) >= 5 and i != "i29"]
    assert [len(data.notes) for data in (kept, left)] == [2, 2]


def test_a_number_that_is_missing_is_the_mean_if_that_is_said(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", HEAD, *ROWS)
    put(tmp_path, "users.csv", "user_id,age", *(f"u{n},{'NA' if n % 4 == 0 else 20 + n}" for n in range(40)))
    found, data = guessed(tmp_path)
    assert {"missing", "blank_numbers"} <= {line.partition(" =")[0] for line in found.text.splitlines()}
    there = [20 + n for n in range(40) if n % 4]
    assert data.fields["age"][1][data.user_ids.tolist().index("u0")] == pytest.approx(sum(there) / len(there))
    (tmp_path / "users.csv").write_text((tmp_path / "users.csv").read_text().replace("NA", ""))
    with pytest.raises(RalmError, match=r"field 'age' of user 'u0' is missing .*\nsay blank_numbers = .mean."):
        said(tmp_path, "")


def test_an_event_on_several_items_is_a_click_on_each(tmp_path: Path) -> None:
    orders = [
        {
            "order": n,
            "customer": {"id": u},
            "at": t,
            "lines": [{"sku": i, "qty": 1}, {"sku": f"x{n % 3}"}] if n % 5 else [],
        }
        for n, (u, i, t) in enumerate(CLICKS)
    ]
    put(tmp_path, "orders.jsonl", *map(json.dumps, orders))
    _, data = guessed(tmp_path)
    expected = [(u, sku) for n, (u, i, _) in enumerate(CLICKS) if n % 5 for sku in (i, f"x{n % 3}")]
    assert pairs(data) == sorted(expected)
    assert [note.partition(": ")[2] for note in data.notes] == [
        "192 events name several items, and are one click on each",
        "48 events name no item, and are no clicks",
    ]
    table = pa.table({"user_id": ["a", "b"], "item_id": [["x", "y"], ["y"]], "timestamp": [10**9, 10**9]})
    (tmp_path / "nested").mkdir()
    pq.write_table(table, tmp_path / "nested" / "events.parquet")
    assert pairs(prepare_custom("made", tmp_path / "nested")) == [("a", "x"), ("a", "y"), ("b", "y")]


def test_ids_are_the_same_digits_however_they_are_kept(tmp_path: Path) -> None:
    big = 2**53 + 1
    lines = [
        f'{{"user_id": {big + n % 2}, "item_id": {("7", "7.0", "8e0", "8.10")[n % 4]}, "timestamp": {10**9 + n}}}'
        for n in range(8)
    ]
    put(tmp_path, "events.jsonl", *lines)
    data = prepare_custom("made", tmp_path)
    assert data.user_ids.tolist() == [str(big), str(big + 1)]
    assert data.item_ids.tolist() == ["7", "8", "8.10"]
    put(tmp_path / "csv", "a.csv", HEAD, "1,007,1000000000", "2,10,1000000001")
    put(tmp_path / "csv", "b.csv", HEAD, "1.0,007,1000000000", "2.0,10,1000000001")  # pandas, with a gap somewhere
    data = said(tmp_path / "csv", '[files]\nevents = ["a.csv", "b.csv"]\n')
    assert (data.user_ids.tolist(), data.item_ids.tolist()) == (["1", "2"], ["007", "10"])


def test_ids_whose_digits_are_lost_are_said(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", HEAD, *(f"u{n % 20},{n % 9}.23457E+12,{10**9 + n}" for n in range(100)))
    assert any("whose last digits are lost" in note for note in describe_first(tmp_path).notes)


def test_quotes_behind_backslashes_are_in_values(tmp_path: Path) -> None:
    titles = ['The "Real" J.; Man', "Ends in a backslash \\", "plain"]
    put(tmp_path, "events.csv", HEAD, *(f"u,{n},{10**9}" for n in range(3)))
    escaped = [title.replace("\\", "\\\\").replace('"', '\\"') for title in titles]
    put(tmp_path, "items.csv", '"item_id";"title"', *(f'"{n}";"{title}"' for n, title in enumerate(escaped)))
    data = prepare_custom("made", tmp_path)
    assert data.titles is not None
    assert data.titles.tolist() == titles
    put(tmp_path, "items.csv", '"item_id";"title"', '"0";"C:\\"', '"1";"a ""b"" c"', '"2";"d"')  # doubled quotes
    assert prepare_custom("made", tmp_path).titles.tolist() == ["C:\\", 'a "b" c', "d"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "lines",
    [
        [HEAD + ",", *(row + "," for row in ROWS)],
        [HEAD, *(row + "," for row in ROWS)],
        [HEAD + ",", *ROWS],
        ["," + HEAD, *(f"{n},{row}" for n, row in enumerate(ROWS))],
        [HEAD, *ROWS[:99], HEAD, *ROWS[99:]],
    ],
)
def test_what_programs_add_to_lines_is_no_column_and_no_row(tmp_path: Path, lines: list[str]) -> None:
    put(tmp_path, "events.csv", *lines)
    data = prepare_custom("made", tmp_path)
    assert pairs(data) == EXPECTED
    assert any("names of the columns come again" in note for note in data.notes) == (lines.count(HEAD) == 2)


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["4,5", "1.234"], [4.5, 1234.0]),
        (["1.234,50", "7"], [1234.5, 7.0]),
        (["1,234.50", "1,234"], [1234.5, 1234.0]),
        (["1,234"], None),
        (["4,5", "4.5"], None),
        (["1,234.5", "1.234,5"], None),
    ],
)
def test_thousands_and_decimals_are_told_or_not_taken(values: list[str], numbers: list[float] | None) -> None:
    found = as_numbers(pa.array(values))
    assert (None if found is None else found.tolist()) == numbers


@pytest.mark.parametrize(
    ("header", "user", "item"),
    [
        ("Kundennummer;Artikelnummer;Bestelldatum", "Kundennummer", "Artikelnummer"),
        ("session_id;customer_id;sku", "customer_id", "sku"),
        ("Email;Title;Lineitem sku", "Email", "Lineitem sku"),
        ("reviewerID;asin;unixReviewTime", "reviewerID", "asin"),
    ],
)
def test_the_best_name_is_taken(tmp_path: Path, header: str, user: str, item: str) -> None:
    put(tmp_path, "some.csv", header, *(f"a{n % 20};b{n % 21};c{n % 22}" for n in range(99)))
    found = {taken: facts.name for facts, taken in describe_first(tmp_path).columns}
    assert (found["user_id"], found["item_id"]) == (user, item)


@pytest.mark.parametrize(
    ("header", "title"),
    [
        ("用户ID,商品编号,点击时间,商品名称", "商品名称"),
        ("ユーザーID,商品ID,日時,商品名", "商品名"),
        ("고객번호,상품번호,날짜,이름", "이름"),
        ("пользователь,товар,время,название", "название"),
        ("Kundennummer,Artikelnr,Bestelldatum,Artikelbezeichnung", "Artikelbezeichnung"),
        ("Numéro_Client,Référence_Produit,Date,Nom", "Nom"),
    ],
)
def test_names_in_other_languages_are_known(tmp_path: Path, header: str, title: str) -> None:
    put(tmp_path, "log.csv", header, *(f"{row},Thing {row.split(',')[1]}" for row in ROWS))
    found, data = guessed(tmp_path)
    assert pairs(data) == EXPECTED
    assert f'title = "{title}"' in found.text
    assert not any("by its values" in note for note in found.notes)


def test_of_columns_without_names_users_come_first_and_categories_are_no_items(tmp_path: Path) -> None:
    rows = [f"{u[1:]},{91000 + int(i[1:])},c{int(i[1:]) % 25}xx,{t}" for u, i, t in CLICKS]
    put(tmp_path, "checkins.txt", *rows)
    assert pairs(guessed(tmp_path)[1]) == sorted((u[1:], str(91000 + int(i[1:]))) for u, i in EXPECTED)
    (tmp_path / "data.toml").unlink()
    put(tmp_path, "checkins.txt", *(f"B{int(i[1:]):09d},A{int(u[1:]):012d},5.0,{t}" for u, i, t in CLICKS))
    data = guessed(tmp_path)[1]
    assert {user[0] for user in data.user_ids.tolist()} == {"A"}


@pytest.mark.parametrize(("other", "count"), [("rome", 240), ("rome_view", 120), ("sample", 120)])
def test_files_that_differ_by_a_word_are_one_table_unless_it_says_what_was_done(
    tmp_path: Path, other: str, count: int
) -> None:
    put(tmp_path, "clicks_paris.csv", HEAD, *ROWS[:120])
    put(tmp_path, f"clicks_{other}.csv", HEAD, *(ROWS[:60] if other == "sample" else ROWS[120:]))
    found, data = guessed(tmp_path)
    assert len(pairs(data)) == count
    assert any("is not used" in note for note in found.notes) == (count < 240)


def test_hours_stand_beside_days_and_one_time_of_all_is_none(tmp_path: Path) -> None:
    moments = [datetime.fromtimestamp(t, UTC) for *_, t in CLICKS]
    rows = [
        f"{u},{i},{moment:%Y-%m-%d},{moment.hour},2024-01-01" for (u, i, _), moment in zip(CLICKS, moments, strict=True)
    ]
    put(tmp_path, "log.csv", "uid,sku,day,hour,created_at", *rows)
    data = guessed(tmp_path)[1]
    assert sorted(data.event_times.tolist()) == sorted(t * 1000 for *_, t in CLICKS)
    (tmp_path / "data.toml").unlink()
    put(tmp_path, "log.csv", "uid,sku,created_at", *(f"{u},{i},2024-01-01" for u, i, _ in CLICKS))
    found, data = guessed(tmp_path)
    assert not data.timed
    assert any("created_at is the same in all rows" in note for note in found.notes)


def test_ratings_in_words_are_none_and_are_said(tmp_path: Path) -> None:
    rated = [f"{row},{'Good' if n % 3 else 'Poor'}" for n, row in enumerate(ROWS)]
    put(tmp_path, "log.csv", f"{HEAD},rating", *rated)
    found, data = guessed(tmp_path)
    assert pairs(data) == EXPECTED
    assert any("Good (160), Poor (80), and is not used: if not all are clicks" in note for note in found.notes)
    good = said(tmp_path, f'{found.text}\n[filter]\nrating = "Good"\n')
    assert len(pairs(good)) == 160


def test_a_table_whose_ids_are_written_otherwise_and_one_without_rows_are_said(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", HEAD, *ROWS)
    put(tmp_path, "products.csv", "sku,name", *(f"I{n},Thing" for n in range(30)))
    put(tmp_path, "users.csv", "user_id,age")
    found, data = guessed(tmp_path)
    assert pairs(data) == EXPECTED
    assert any("'i0' is not in it; there is 'I0', which is written otherwise" in note for note in found.notes)
    assert "users.csv has no rows, and is not used" in found.notes


def test_marks_among_numbers_that_are_words_elsewhere_are_said(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", HEAD, *ROWS)
    people = [f"u{n},{'NA' if n % 9 == 0 else 20 + n},{('NA', 'DE')[n % 2]},${n},000.50" for n in range(40)]
    put(tmp_path, "users.csv", "user_id,age,country,spent", *(row.replace(",000.50", "000.50") for row in people))
    found, data = guessed(tmp_path)
    assert any("NA among numbers stands for no value, and so it does in country" in note for note in found.notes)
    assert data.fields["spent"][1].tolist() == [float(f"{user[1:]}000.5") for user in data.user_ids.tolist()]


def test_one_column_is_not_users_and_items_too(tmp_path: Path) -> None:
    put(tmp_path, "log.csv", "user_item_id,count", *(f"x{n},{n}" for n in range(50)))
    assert "no table has a column of users and one of items" in describe_first(tmp_path).problems[0]


def test_numbers_without_end_are_no_times(tmp_path: Path) -> None:
    put(tmp_path, "log.csv", "user_id,item_id,length", *(f"u{n % 9},i{n % 7},{'9' * 400}" for n in range(50)))
    assert describe_first(tmp_path).problems == []


def test_an_empty_column_is_nobodys_and_moments_are_better_than_days(tmp_path: Path) -> None:
    lines = [
        f"{datetime.fromtimestamp(t, UTC):%Y%m%d},{t}000000,,{u}.5,{i},{(None, 'x')[k % 2]}"
        for k, (u, i, t) in enumerate(CLICKS)
    ]
    put(tmp_path, "log.csv", "event_date,event_timestamp,user_id,user_pseudo_id,item_id,x", *lines)
    found, data = guessed(tmp_path)
    assert describe(tmp_path).columns.user_id == "user_pseudo_id"
    assert describe(tmp_path).columns.timestamp == "event_timestamp"
    assert data.event_times[0] == CLICKS[0][2] * 1000
    assert "event_date has whole days: event_timestamp is taken for the times" in found.notes


def test_tables_are_found_by_the_ids_they_share(tmp_path: Path) -> None:
    put(tmp_path, "ratings.csv", "user_id,book_id", *(f"{u},{i[1:]}" for u, i, _ in CLICKS))
    put(tmp_path, "books.csv", "id,work_id,book_id,title", *(f"{900 + n},{n + 5},{n},B{n}" for n in range(30)))
    put(tmp_path, "book_tags.csv", "goodreads_book_id,tag_id", *(f"{900 + n},{n % 3}" for n in range(30)))
    put(tmp_path, "item_properties.csv", "book_id,property", *(f"{n % 30},p" for n in range(90)))
    found, data = guessed(tmp_path)
    assert describe(tmp_path).files.items == "books.csv"
    assert data.titles is not None
    assert data.titles[data.item_ids.tolist().index("7")] == "B7"
    assert any("a table of these has one row for each book_id" in note for note in found.notes)


def test_files_that_are_not_read_say_what_to_do(tmp_path: Path) -> None:
    for name in ("events.csv.zip", "events.csv.br", "events.xlsx", "events.avro"):
        (tmp_path / name).write_bytes(b"PK")
    os.symlink(tmp_path / "nowhere.csv", tmp_path / "users.csv")
    with pytest.raises(ConfigError) as refused:
        describe_first(tmp_path)
    for words in (
        "zip is called a zip file and is none",
        "csv.br is packed: unpack it",
        "xlsx is a workbook",
        "avro is of a form",
        "nowhere.csv, which is not there",
    ):
        assert words in str(refused.value)
    put(tmp_path, "events.csv", HEAD, *ROWS)
    with pytest.raises(RalmError, match=r"users\.csv is a link to .*nowhere\.csv, which is not there"):
        prepare_custom("made", tmp_path)


def test_a_column_that_is_no_text_stands_in_no_ones_way(tmp_path: Path) -> None:
    table = pa.table(
        {
            "user": [{"id": u, "raw": b"\xff"} for u, *_ in CLICKS],
            "item_id": [i for _, i, _ in CLICKS],
            "timestamp": [t for *_, t in CLICKS],
            "tags": [["a|b"]] * len(CLICKS),
        }
    )
    pq.write_table(table, tmp_path / "events.parquet")
    _, data = guessed(tmp_path)
    assert pairs(data) == EXPECTED


def test_times_that_a_flow_refuses_are_said(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", HEAD, *(f"{u},{i},{n}" for n, (u, i, _) in enumerate(CLICKS)))
    (note,) = prepare_custom("made", tmp_path).notes
    assert "240 times lie before March 1973, which a flow takes for another unit and refuses" in note


@pytest.mark.parametrize("zone", [" -0400", " +02:00", " UTC", " GMT", "Z"])
def test_an_offset_may_stand_apart(tmp_path: Path, zone: str) -> None:
    put(tmp_path, "events.csv", HEAD, f"u,a,2025-03-01 12:00:00{zone}", f"u,b,2025-03-02 12:00:00{zone}")
    times = prepare_custom("made", tmp_path).event_times.tolist()
    offset = {" -0400": 4, " +02:00": -2}.get(zone, 0)
    assert times[0] == datetime(2025, 3, 1, 12 + offset, tzinfo=UTC).timestamp() * 1000


def test_a_zones_name_is_said_to_tell_nothing(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", HEAD, *(f"u{n},a,2025-03-01 12:00:00 CET" for n in range(3)))
    with pytest.raises(RalmError, match="a zone's name, CET, does not tell its offset"):
        prepare_custom("made", tmp_path)


def test_the_command_prints_what_a_person_should_know(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", HEAD, *ROWS[:120], HEAD, *ROWS[120:])
    put(
        tmp_path,
        "users.csv",
        ",".join(["user_id", *(f"f{n}" for n in range(25))]),
        *(f"u{n}" + (",x", ",y")[n % 2] * 25 for n in range(40)),
    )
    done = CliRunner().invoke(cli, ["data", "shop", "--from", str(tmp_path), "--data-dir", str(tmp_path / "out")])
    assert "events.csv, line 122: the names of the columns come again: left out" in done.output
    assert "f19 (categorical), 5 more" in " ".join(done.output.split())


@pytest.mark.parametrize(
    "content",
    [
        ("sep=;\r\n" + "\n".join([HEAD, *ROWS]).replace(",", ";")).encode(),
        ("# ------\n# Report, all of it\n#\n\n" + "\n".join([HEAD, *ROWS])).encode(),
        "\n".join([HEAD, *ROWS]).encode("utf-16-le"),
        "\n".join([HEAD, *ROWS]).encode("utf-16-be"),
        gzip.compress("\n".join([HEAD, *ROWS]).encode()),
        "\n".join([HEAD, *ROWS]).replace(",", ", ").encode(),
    ],
)
def test_what_stands_around_a_table_is_no_part_of_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "events.csv").write_bytes(content)
    assert pairs(prepare_custom("made", tmp_path)) == EXPECTED


def test_lines_below_a_preamble_have_their_own_numbers(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", "# one", "", HEAD, *ROWS[:3], "u1,i1,soon")
    with pytest.raises(RalmError, match="line 7: timestamp is 'soon'"):
        prepare_custom("made", tmp_path)


def test_rows_within_an_answer_are_rows(tmp_path: Path) -> None:
    rows = [{"user_id": u, "item_id": i, "timestamp": t} for u, i, t in CLICKS]
    (tmp_path / "events.json").write_text(json.dumps({"meta": {"count": 2}, "data": rows}, indent=1))
    assert pairs(prepare_custom("made", tmp_path)) == EXPECTED


@pytest.mark.parametrize(
    ("text", "said_so"),
    [
        ("45717,5", 'time_unit = "excel"'),
        ("45717.5", 'time_unit = "excel"'),
        ("01-MAR-25 12.00.00.000000000 PM", 'time_format = "%d-%b-%y %I.%M.%S.%f %p"'),
    ],
)
def test_times_as_office_programs_and_databases_write_them(tmp_path: Path, text: str, said_so: str) -> None:
    put(tmp_path, "events.csv", HEAD.replace(",", ";"), *(f"u{n};i{n % 2};{text}" for n in range(9)))
    found, data = guessed(tmp_path)
    assert said_so in found.text
    assert data.event_times[0] == datetime(2025, 3, 1, 12, tzinfo=UTC).timestamp() * 1000


def test_days_of_excel_are_not_taken_for_seconds(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", HEAD, *(f"u{n},i{n % 2},{45_000 + n}" for n in range(30)))
    with pytest.raises(RalmError, match=r"say time_unit = .excel. in data\.toml, or .s."):
        prepare_custom("made", tmp_path)
    assert said(tmp_path, 'time_unit = "s"\n').event_times[0] == 45_000_000


@pytest.mark.parametrize(("day", "clock"), [("%Y-%m-%d", "%H:%M:%S"), ("%d/%m/%Y", "%I:%M %p"), ("%Y%m%d", "%H:%M")])
def test_a_day_and_a_time_of_day_are_put_together(tmp_path: Path, day: str, clock: str) -> None:
    moments = [datetime.fromtimestamp(t // 60 * 60, UTC) for *_, t in CLICKS]
    rows = [
        f"{u},{moment.strftime(day)},{moment.strftime(clock)},{i}"
        for (u, i, _), moment in zip(CLICKS, moments, strict=True)
    ]
    put(tmp_path, "till.csv", "customer,date,time,product", *rows)
    assert guessed(tmp_path)[1].event_times.tolist() == [moment.timestamp() * 1000 for moment in moments]


def test_a_file_of_a_usual_name_that_is_no_table_is_said_to_be_none(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", HEAD, *ROWS)
    put(tmp_path, "users.csv", "user_id,plan", *(f"u{n % 40},{n % 3}" for n in range(120)))
    found, data = guessed(tmp_path)
    assert "users = []" in found.text
    assert pairs(data) == EXPECTED


@pytest.mark.parametrize(("stars", "words"), [(5, "column_3 goes from 1 to 5"), (4, "column_3 has 4 numbers")])
def test_small_numbers_of_columns_without_names_may_be_ratings(tmp_path: Path, stars: int, words: str) -> None:
    put(tmp_path, "ratings.dat", *(f"{900 + n % 40}::{700 + n % 30}::{1 + n % stars}::{10**9 + n}" for n in range(300)))
    found, data = guessed(tmp_path)
    assert any(note.startswith(words) for note in found.notes)
    assert len(pairs(data)) == (120 if stars == 5 else 300)
