"""Exports of other shapes than a row for each event, user or item, and packed ones, each brought in one round."""

import bz2
import gzip
import json
import lzma
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pyarrow as pa
import pytest
from pyarrow import feather, orc, parquet

from flows.offline.datasets import packed
from flows.offline.datasets.custom import prepare_custom
from flows.offline.datasets.first_description import describe_first
from flows.offline.datasets.layout import Dataset
from flows.offline.datasets.reading import read_table
from flows.support.errors import ConfigError, RalmError

CLICKS = sorted({(f"u{n % 40}", f"i{n * 7 % 30}"): 1_740_787_200 + 3600 * n for n in range(240)}.items())
EVENTS = [(user, item, time) for (user, item), time in CLICKS]
EXPECTED = [(user, item) for user, item, _ in EVENTS]
CSV = "\n".join(["user_id,item_id,timestamp", *(f"{u},{i},{t}" for u, i, t in EVENTS)])


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text + "\n", encoding="utf-8")


def brought(folder: Path) -> tuple[Dataset, list[str]]:
    """What one round brings, and what is said on the way."""
    found = describe_first(folder)
    assert found.problems == []
    (folder / "data.toml").write_text(found.text, encoding="utf-8")
    data = prepare_custom("made", folder)
    return data, [*found.notes, *data.notes]


def pairs(data: Dataset) -> list[tuple[str, str]]:
    return sorted(zip(data.event_users.tolist(), data.event_items.tolist(), strict=True))


def categories(data: Dataset) -> dict[str, str]:
    return dict(zip(data.item_ids.tolist(), data.categories.tolist(), strict=True))


def by_user() -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = {}
    for user, item, time in EVENTS:
        found.setdefault(user, []).append((item, time))
    return found


def zipped(path: Path, content: bytes) -> None:
    with ZipFile(path, "w") as archive:
        archive.writestr("export/log.csv", content)
        archive.writestr("__MACOSX/._log.csv", b"\x00")


def tarred(content: bytes) -> bytes:
    """A tar file with a table, and what is to be left out of it."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in (("./export/log.csv", content), ("export/._log.csv", b"\x00"), ("../users.csv", content)):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, BytesIO(text))
        for name, kind in (("items.csv", tarfile.SYMTYPE), ("pipe.csv", tarfile.FIFOTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("archive.zip", zipped),
        ("events.csv.zip", zipped),
        ("log.csv.bz2", lambda path, content: path.write_bytes(bz2.compress(content))),
        ("log.csv.xz", lambda path, content: path.write_bytes(lzma.compress(content))),
        ("log.csv.zst", lambda path, content: path.write_bytes(pa.compress(content, "zstd", asbytes=True))),
        ("export.tar", lambda path, content: path.write_bytes(tarred(content))),
        ("export.tgz", lambda path, content: path.write_bytes(gzip.compress(tarred(content)))),
        ("export.tar.zst", lambda path, content: path.write_bytes(pa.compress(tarred(content), "zstd", asbytes=True))),
    ],
)
def test_packed_tables_are_read_and_damaged_ones_refused(
    tmp_path: Path, name: str, pack: Callable[[Path, bytes], None]
) -> None:
    pack(tmp_path / name, CSV.encode())
    assert pairs(brought(tmp_path)[0]) == EXPECTED
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(RalmError):
        prepare_custom("made", tmp_path)


@pytest.mark.parametrize("name", ["log.csv.gz", "log.zip", "log.tar", "log.tar.gz"])
def test_what_unfolds_to_more_than_memory_holds_is_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = CSV.encode()
    if name == "log.zip":
        zipped(tmp_path / name, content)
    else:
        content = tarred(content) if ".tar" in name else content
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    monkeypatch.setattr(packed, "MOST_UNFOLDED", 1000)
    with pytest.raises(ConfigError, match=r"unfolds to more than .* GB, half of the memory here: bring a part of its"):
        describe_first(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(CSV[:900].rpartition("\n")[0].encode()))
    assert pairs(brought(tmp_path)[0])


def test_an_archive_beside_what_was_unpacked_of_it_is_taken_once(tmp_path: Path) -> None:
    put(tmp_path, "export/log.csv", CSV)
    zipped(tmp_path / "export.zip", CSV.encode() + b"\n")
    data, notes = brought(tmp_path)
    assert pairs(data) == EXPECTED
    assert any("has the same rows as" in note for note in notes)


@pytest.mark.parametrize(
    "names", [["a/log.csv", "b/log.csv"], ["d=1/x.csv", "d=2/x.csv"], ["l/000000_0", "l/000001_0"]]
)
def test_tables_may_lie_in_folders_of_the_folder(tmp_path: Path, names: list[str]) -> None:
    head, *rows = CSV.split("\n")
    for name, part in zip(names, (rows[:90], rows[90:]), strict=True):
        put(tmp_path, name, "\n".join([head, *part]))
    assert pairs(brought(tmp_path)[0]) == EXPECTED


def test_files_of_one_name_and_other_columns_are_two_tables(tmp_path: Path) -> None:
    rows = CSV.split("\n")[1:]
    put(tmp_path, "old/orders.csv", "\n".join(["client,article,at,page", *(f"{row},home" for row in rows[:30])]))
    put(tmp_path, "new/orders.csv", "\n".join(["user_id,item_id,timestamp", *rows[30:]]))
    data, notes = brought(tmp_path)
    assert len(pairs(data)) == len(rows) - 30
    assert any(note.startswith("old/orders.csv is not used: it has users and items too") for note in notes)


def test_typed_names_of_atomic_files_say_what_the_columns_are(tmp_path: Path) -> None:
    rows = [f"{u}\t{i}\t{t}.0" for u, i, t in EVENTS]
    put(tmp_path, "toy.inter", "\n".join(["user_id:token\titem_id:token\ttimestamp:float", *rows]))
    put(tmp_path, "toy.user", "\n".join(["user_id:token\tage:float", *(f"u{n}\t{20 + n}" for n in range(40))]))
    films = [f"i{n}\tThe film {n}\tWar Drama" for n in range(30)]
    put(tmp_path, "toy.item", "\n".join(["item_id:token\tmovie_title:token_seq\tclass:token_seq", *films]))
    data, _ = brought(tmp_path)
    assert pairs(data) == EXPECTED
    assert data.fields["age"][0] == "continuous"
    assert data.titles is not None
    assert data.titles.tolist() == sorted(f"The film {n}" for n in range(30))
    assert set(categories(data).values()) == {"War|Drama"}


@pytest.mark.parametrize("form", ["orc", "feather", "arrow", "000000_0"])
def test_files_of_columns_are_read_by_their_first_bytes(tmp_path: Path, form: str) -> None:
    things = [[{"item_id": i, "tags": [["a", "b"]]}] for _, i, _ in EVENTS]
    table = pa.table(
        {
            "user_id": pa.array([f"{int(u[1:]):032x}" for u, *_ in EVENTS]).cast(pa.large_string()),
            "raw": [bytes.fromhex(f"{int(u[1:]):032x}") for u, *_ in EVENTS],
            "things": things,
            "timestamp": pa.array([t * 10**9 for *_, t in EVENTS], pa.timestamp("ns")),
        }
    )
    path = tmp_path / (form if form[0] == "0" else f"log.{form}")
    if form == "orc":
        orc.write_table(table, path)
    elif form == "000000_0":
        parquet.write_table(table, path)
    else:
        feather.write_feather(table, str(path))
    read = read_table(path)
    assert read.text("raw").tolist() == read.text("user_id").tolist()
    assert read.text("things_tags").tolist() == ["a|b"] * len(EVENTS)
    data, _ = brought(tmp_path)
    assert pairs(data) == sorted((f"{int(u[1:]):032x}", i) for u, i in EXPECTED)


def test_of_what_was_shown_what_is_labelled_was_clicked(tmp_path: Path) -> None:
    lines = [
        f"{n}\tU{u[1:]}\t11/{1 + n % 28:02}/2019 9:05:58 AM\tN1 N2\tN{i[1:]}-1 "
        + " ".join(f"N{n % 7 + k}-0" for k in range(n % 3))
        for n, (u, i, _) in enumerate(EVENTS)
    ]
    put(tmp_path, "behaviors.tsv", "\n".join(line.strip() for line in lines))
    put(tmp_path, "news.tsv", "\n".join(f"N{n}\tsport{n % 3}\tsoccer\tA title of {n}" for n in range(40)))
    data, notes = brought(tmp_path)
    assert pairs(data) == sorted((f"U{u[1:]}", f"N{i[1:]}") for u, i in EXPECTED)
    assert any("those with it are the clicks (labels)" in note for note in notes)
    assert data.titles is not None
    assert (data.titles[0], categories(data)["N4"]) == ("A title of 0", "sport1")


def test_a_list_of_events_in_each_row_is_an_event_each(tmp_path: Path) -> None:
    rows = [
        {"session": u, "events": [{"aid": i, "ts": t * 1000, "type": "clicks"} for i, t in events]}
        for u, events in by_user().items()
    ]
    put(tmp_path, "train.jsonl", "\n".join(map(json.dumps, rows)))
    data, _ = brought(tmp_path)
    assert pairs(data) == EXPECTED
    assert sorted(data.event_times.tolist()) == sorted(t * 1000 for *_, t in EVENTS)
    put(tmp_path, "train.jsonl", "\n".join(map(str, rows)))  # as Python prints them
    assert pairs(prepare_custom("made", tmp_path)) == EXPECTED


@pytest.mark.parametrize("names", [["ratings_1.txt", "ratings_2.txt"], ["all/mv_1.txt", "all/mv_2.txt"]])
def test_rows_stand_under_the_item_they_are_of(tmp_path: Path, names: list[str]) -> None:
    items = sorted({i for _, i, _ in EVENTS})
    for part, name in enumerate(names):
        of_part = items[part::2]
        text = [f"{i[1:]}:\n" + "\n".join(f"90{u[1:]},5,2005-09-06" for u, j, _ in EVENTS if j == i) for i in of_part]
        put(tmp_path, name, "\n".join(text))
    put(tmp_path, "titles.csv", "\n".join(f"{i[1:]},2003,A film{', or two' if i == 'i3' else ''} {i}" for i in items))
    data, notes = brought(tmp_path)
    assert pairs(data) == sorted((f"90{u[1:]}", i[1:]) for u, i in EXPECTED)
    assert data.titles is not None
    assert data.titles[data.item_ids.tolist().index("3")] == "A film, or two i3"
    assert any("1 line has ',' in title" in note for note in notes)


@pytest.mark.parametrize(
    "shape",
    [
        lambda rows: "\n".join(json.dumps(row, indent=2) for row in rows),
        lambda rows: "\n".join(json.dumps(list(row.values())) for row in rows),
        lambda rows: json.dumps([list(row.values()) for row in rows]),
        lambda rows: json.dumps({name: {str(k): row[name] for k, row in enumerate(rows)} for name in rows[0]}),
        lambda rows: json.dumps({name: [row[name] for row in rows] for name in rows[0]}, indent=1),
        lambda rows: json.dumps({"columns": [*rows[0]], "index": [1], "data": [[*row.values()] for row in rows]}),
        lambda rows: json.dumps({"hits": {"total": 9, "hits": [{"_id": 1, "_source": row} for row in rows]}}),
    ],
)
def test_json_of_a_whole_table(tmp_path: Path, shape: Callable[[list[dict[str, object]]], str]) -> None:
    put(tmp_path, "log.json", shape([{"user_id": u, "item_id": i, "timestamp": t} for u, i, t in EVENTS]))
    data, _ = brought(tmp_path)
    assert pairs(data) == EXPECTED
    assert sorted(data.event_times.tolist()) == sorted(t * 1000 for *_, t in EVENTS)


def test_json_of_each_users_items(tmp_path: Path) -> None:
    put(tmp_path, "log.json", json.dumps({user: [item for item, _ in of] for user, of in by_user().items()}))
    assert pairs(brought(tmp_path)[0]) == EXPECTED


def test_a_reports_title_and_its_sum_are_no_rows(tmp_path: Path) -> None:
    head = ["Sales,,,", "of March", "", "Customer #,Item #,at,Qty"]
    rows = [f"{u},{i},{t},1" for u, i, t in EVENTS]
    put(tmp_path, "report.csv", "\n".join([*head, *rows, "Total,,,99"]))
    data, notes = brought(tmp_path)
    assert pairs(data) == EXPECTED
    assert any("1 row without Item #" in note for note in notes)
    put(tmp_path, "report.csv", "\n".join([*head, *rows, "u1,i1,soon,1"]))
    with pytest.raises(RalmError, match=f"report.csv, line {len(rows) + 5}: at is 'soon'"):
        prepare_custom("made", tmp_path)


def test_times_of_day_and_keys_are_no_times(tmp_path: Path) -> None:
    lines = [f"{u[1:]},{i[1:]},{26984851472 + n},16{n % 60:02d}" for n, (u, i, _) in enumerate(EVENTS)]
    put(tmp_path, "log.csv", "\n".join(["household_key,PRODUCT_ID,BASKET_ID,TRANS_TIME", *lines]))
    data, notes = brought(tmp_path)
    assert not data.timed
    assert any("TRANS_TIME count, or are times of day" in note for note in notes)


def test_playlists_are_who_chose_the_tracks_in_them(tmp_path: Path) -> None:
    lists = [
        {"name": f"List {n}", "pid": n, "tracks": [{"pos": k, "track_uri": i} for k, (i, _) in enumerate(of)]}
        for n, of in enumerate(by_user().values())
    ]
    for part in (0, 1):
        put(tmp_path, f"mpd.slice.{part}.json", json.dumps({"info": {"v": 1}, "playlists": lists[part::2]}, indent=1))
    data, _ = brought(tmp_path)
    assert pairs(data) == sorted((str(n), i) for n, of in enumerate(by_user().values()) for i, _ in of)


def test_files_whose_endings_tell_nothing_are_named(tmp_path: Path) -> None:
    put(tmp_path, "ml-1m.train.export", CSV)
    with pytest.raises(ConfigError, match=r"it has ml-1m\.train\.export: give what is a table one of these endings"):
        describe_first(tmp_path)
    (tmp_path / "ml-1m.train.export").rename(tmp_path / "ml-1m.train.csv")
    assert pairs(brought(tmp_path)[0]) == EXPECTED


@pytest.mark.parametrize("separator", [" ", "   "])
def test_blanks_may_stand_between_columns(tmp_path: Path, separator: str) -> None:
    put(tmp_path, "log.txt", CSV.replace(",", separator))
    assert pairs(brought(tmp_path)[0]) == EXPECTED


@pytest.mark.parametrize("cells", [" ", ";", "[]"])
def test_a_user_and_the_items_after_it(tmp_path: Path, cells: str) -> None:
    def row(user: str, items: list[str]) -> str:
        if cells == "[]":
            return f'{user[1:]};"{[int(item[1:]) for item in items]}"'
        return f"{user[1:]}{' ' if cells == ' ' else ','}" + cells.join(item[1:] for item in items)

    kept = {u: [i for i, _ in events[: 1 + n % 3]] for n, (u, events) in enumerate(by_user().items())}
    head = {" ": [], ";": ["user,items"], "[]": ["user;items"]}[cells]
    put(tmp_path, "train.txt", "\n".join([*head, *(row(u, items) for u, items in kept.items())]))
    assert pairs(brought(tmp_path)[0]) == sorted((u[1:], i[1:]) for u, items in kept.items() for i in items)


def test_properties_in_rows_of_their_own_are_put_together(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", CSV)
    said = [(790, "{n}"), ("categoryid", "{k}"), ("name", "It {n} of {week}")]
    rows = [
        f"{week},i{n},{name},{value.format(n=n, week=week, k=n % 4 + week // 2 * 10)}"
        for n in range(30)
        for week in (1, 2)
        for name, value in said
    ]
    put(tmp_path, "item_properties_part1.csv", "\n".join(["week,item_id,property,value", *rows[:90]]))
    put(tmp_path, "item_properties_part2.csv", "\n".join(["week,item_id,property,value", *rows[90:]]))
    data, _ = brought(tmp_path)
    assert data.titles is not None
    assert (categories(data)["i5"], data.titles[data.item_ids.tolist().index("i5")]) == ("1|11", "It 5 of 2")


def test_a_row_for_each_category_of_an_item(tmp_path: Path) -> None:
    put(tmp_path, "events.csv", CSV)
    put(tmp_path, "item_tags.csv", "\n".join(["item_id,tag", *(f"i{n},t{k}" for n in range(30) for k in (n % 3, 5))]))
    assert categories(brought(tmp_path)[0])["i4"] == "t1|t5"


def test_the_lines_of_orders_are_the_events_of_who_ordered(tmp_path: Path) -> None:
    orders = [f"o{n},{u},{t}" for n, (u, _, t) in enumerate(EVENTS)]
    lines = [f"o{n},{i},5" for n, (_, i, _) in enumerate(EVENTS)]
    put(tmp_path, "orders.csv", "\n".join(["order_id,customer_id,created_at", *orders]))
    put(tmp_path, "order_lines.csv", "\n".join(["order_id,product_id,price", *lines]))
    data, notes = brought(tmp_path)
    assert pairs(data) == EXPECTED
    assert sorted(data.event_times.tolist()) == sorted(t * 1000 for *_, t in EVENTS)
    assert any("is looked up there: look at [join]" in note for note in notes)


def test_events_say_what_is_the_same_of_an_item_in_all_rows(tmp_path: Path) -> None:
    rows = [f"{u},{i},{t},Thing {i},c{int(i[1:]) % 4},{n % 5}" for n, (u, i, t) in enumerate(EVENTS)]
    put(tmp_path, "events.csv", "\n".join(["user_id,item_id,timestamp,product_name,category,department", *rows]))
    data, _ = brought(tmp_path)
    assert data.titles is not None
    assert (data.titles[0], categories(data)["i6"]) == ("Thing i0", "c2")


@pytest.mark.parametrize("form", ["{}, {}", "['{}', '{}']", '[{{""id"": 1, ""name"": ""{}""}}, {{""name"": ""{}""}}]'])
def test_several_categories_in_a_cell_are_told_apart(tmp_path: Path, form: str) -> None:
    put(tmp_path, "events.csv", CSV)
    both = [
        ("War", "Drama"),
        ("War", "Crime"),
        ("Crime", "Drama"),
        ("Noir", "War"),
        ("Noir", "Crime"),
        ("Drama", "Noir"),
    ]
    rows = [f'i{n},"{form.format(*both[n % 6])}"' for n in range(30)]
    put(tmp_path, "items.csv", "\n".join(["item_id,genres", *rows]))
    data, notes = brought(tmp_path)
    assert [set(categories(data)[item].split("|")) for item in ("i0", "i1")] == [{"War", "Drama"}, {"War", "Crime"}]
    assert any("genres has several values in a cell" in note for note in notes)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('[lists]\nnowhere = ","', "says that 'nowhere' holds lists"),
        ('[lists]\nitem_id = ""', "cannot be empty"),
        ('labels = "-1"', "no item_id ends in '-1' (labels)"),
        ('[join]\nfile = "users.csv"\ncolumn = "order"', "joins by 'order', but events.csv has only"),
        ('[join]\nfile = "none.csv"\ncolumn = "user_id"', "has no such file"),
        ('[join]\nfile = "events.csv"\ncolumn = "user_id"', "is there twice"),
        ('[long]\nusers = ["property", "value"]', "has its fields in rows ([long]), but it has no column 'property'"),
        ('[columns]\ntime_of_day = "clock"', "times of day are in 'clock', but events.csv has only"),
    ],
)
def test_what_the_tables_have_not_is_refused(tmp_path: Path, said: str, words: str) -> None:
    put(tmp_path, "events.csv", CSV)
    put(tmp_path, "users.csv", "\n".join(["user_id,plan", *(f"u{n},p{n % 3}" for n in range(40))]))
    (tmp_path / "data.toml").write_text(said)
    with pytest.raises((ConfigError, RalmError)) as refused:
        prepare_custom("made", tmp_path)
    assert words in str(refused.value)
