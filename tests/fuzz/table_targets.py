"""Files that people bring: CSV tables, data.toml, and JSON lines to be replayed: read, or refused in words."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

from flows.admin.replay_files import Door, load_clicks, load_requests
from flows.config.groups import MessageSettings
from flows.offline.datasets.custom import DESCRIPTION, prepare_custom
from flows.offline.datasets.first_description import describe_first
from flows.offline.datasets.layout import Dataset, load, save
from flows.support.errors import ConfigError, RalmError

from .message_targets import click_bytes, request_bytes
from .mutation import TEXTS, fields, mutated, number, text, value
from .target import Check, Target, said

NOW = 1_764_000_000_000
_TIMES = (
    "1732440000",
    "1732440000123",
    "2024-11-24T08:00:00Z",
    "2024-11-24T08:00:00.123456789+01:00",
    "20241124",
    "24/11/2024 08:00",
    "9999-12-31",
    "-1",
    "nan",
    "1e300",
    "99999999999999999999",
    "",
)
_SEPARATORS = (",", ",", ",", ", ", " ", ";", "\t", "|", "::", "\x01")
_ENDS = ("\n", "\n", "\r\n", "\r")
_DESCRIPTIONS = (
    "",
    "least_rating = 1",
    'time_unit = "ms"',
    'time_format = "%d/%m/%Y %H:%M"',
    'time_format = "%Q%%%"',
    "timed = false",
    '[filter]\nrating = ["1", 2, true]',
    '[columns]\nuser_id = ["who", "user_id"]',
    '[files]\nevents = "../events.csv"',
    '[files]\nusers = "."',
    '[kinds]\nage = "multivalent"',
    'separator = ";"',
    'encoding = "cp1252"',
    'encoding = "utf-7"',
    'encoding = "idna"',
    'incomplete = "leave out"\nunlisted = "leave out"',
    'unlisted = "keep"\nblank_numbers = "mean"\nmissing = ["x|y", ""]',
    '[names]\nevents = ["user_id", "item_id", "timestamp"]',
    '[names]\nusers = ["", "user_id"]',
    '[files]\nevents = ["events*", "more.csv"]\nusers = []',
    '[files]\nevents = ["**", "[", "/etc/*"]',
    'time_unit = "excel"\nseparator = "::"',
    'labels = "-1"\n[lists]\nitem_id = " "',
    '[lists]\ntags = "[]"\ncategories = ";"',
    'repeated = "merge"\n[long]\nitems = ["categories", "title"]',
    '[long]\nusers = ["age", "tags"]\n[lists]\nuser_id = "[]"',
    '[join]\nfile = "users.csv"\ncolumn = "user_id"',
    '[columns]\ntime_of_day = "rating"\ncategories = "rating"\ntitle = "timestamp"',
    "\x00",
)


def tables(rng: Random) -> dict[str, bytes]:
    """The files of a folder, by name."""
    found = {"events.csv": _table(rng, ["user_id", "item_id", "timestamp"] + ["rating"] * rng.randrange(2), 5)}
    if rng.random() < 0.4:
        found["users.csv"] = _table(rng, ["user_id", "age", rng.choice(("plan", "a.b", "id", "tags"))], 4)
    if rng.random() < 0.4:
        found["items.csv"] = _table(rng, ["item_id", "categories", "title"], 4)
    if rng.random() < 0.2:
        found[rng.choice(("more.csv", "events-2.csv"))] = _table(
            rng, ["user_id", "item_id", "time", "x"][: rng.randrange(2, 5)], 5
        )
    if rng.random() < 0.5:
        described = rng.choice(_DESCRIPTIONS).encode()
        found[DESCRIPTION] = mutated(rng, described) if rng.random() < 0.3 else described
    for name in [name for name in found if name.endswith("csv") and rng.random() < 0.25]:
        content = found.pop(name)
        kind = rng.random()
        stem = name.removesuffix(".csv")
        if kind < 0.3:
            content = gzip.compress(content, mtime=0)
            found[f"{name}.gz"] = mutated(rng, content) if rng.random() < 0.3 else content
        else:
            found[f"{stem}.{rng.choice(('jsonl', 'ndjson', 'json'))}"] = _objects(rng, name)
    return found


def _objects(rng: Random, name: str) -> bytes:
    """JSON lines, or an array, of what a table has; some values are strange, or lie within others."""
    names = {"events.csv": ["user_id", "item_id", "timestamp"], "users.csv": ["user_id", "age"]}.get(name, ["item_id"])
    time, odd = rng.choice(_TIMES[:6]), rng.choice((0.0, 0.0, 0.2))
    rows = []
    for row in range(rng.randrange(6)):
        pairs = [(each, json.dumps(_cell(rng, each, time, odd, row)).encode()) for each in names]
        if rng.random() < 0.2:
            pairs.append((rng.choice(("user", "user_id", "tags")), value(rng)))
        if rng.random() < 0.2:
            inner = b'[{"id": "a"}, {"id": "b", "n": [1, {"x": 2}]}]' if rng.random() < 0.7 else value(rng)
            pairs.append((rng.choice(("item", "item_id")), inner))
        rows.append(
            fields(rng, pairs)
            if rng.random() < 0.1
            else b"{" + b",".join(b'"%s":%s' % (each.encode(), v) for each, v in pairs) + b"}"
        )
    content = b"[" + b",".join(rows) + b"]" if name.endswith("n") or rng.random() < 0.2 else b"\n".join(rows)
    return mutated(rng, content) if rng.random() < 0.3 else content


def _table(rng: Random, names: list[str], most: int) -> bytes:
    separator, end = rng.choice(_SEPARATORS), rng.choice(_ENDS)
    time, odd = rng.choice(_TIMES[:6]), rng.choice((0.0, 0.0, 0.2))
    rows = [[_cell(rng, name, time, odd, row) for name in names] for row in range(rng.randrange(most + 1))]
    above = rng.choice(([],) * 8 + ([names],) * 2 + ([["sep=;"]], [["# made by x"], [""]], [[""] * len(names)]))
    rows = [*above, names, *rows] if rng.random() < 0.9 else rows
    if rng.random() < 0.1:  # rows below whose they are, or a user and the items after it
        rows = [["7:"], *rows[1:], ["8:"]] if rng.random() < 0.5 else [row[: rng.randrange(1, 4)] for row in rows]
    if rng.random() < 0.1:
        rows = [[rng.choice(("['a1', 'b2']", "a1-1 b2-0", "[[[", "{'x': 1}", cell)) for cell in row] for row in rows]
    content = end.join(separator.join(row) for row in rows).encode("utf-8", "replace")
    if rng.random() < 0.1:
        content = content.decode("utf-8", "replace").encode(rng.choice(("utf-8-sig", "utf-16", "latin-1")), "replace")
    return mutated(rng, content) if rng.random() < 0.3 else content


def _cell(rng: Random, name: str, time: str, odd: float, row: int) -> str:
    strange = rng.random() < odd
    if name == "timestamp":
        return rng.choice(_TIMES) if strange else time
    if name in ("rating", "age"):
        return rng.choice(("true", "no", "", "1e400", str(number(rng)))) if strange else rng.choice(("5", "4.5"))
    if name in ("user_id", "item_id"):
        return rng.choice((text(rng), "x" * 300)) if strange else "abcdefgh"[row]
    return rng.choice((*TEXTS, '"a\nb"')) if strange else rng.choice(("x|y", "", "z"))


def lines(make: Callable[[Random], bytes]) -> Callable[[Random], bytes]:
    """A file of JSON lines of messages."""

    def made(rng: Random) -> bytes:
        content = rng.choice((b"\n", b"\r\n", b"\r")).join(make(rng) for _ in range(rng.randrange(4)))
        return rng.choice((b"", b"", b"\xef\xbb\xbf")) + content

    return made


def _tables_check() -> Check:
    folder = Path(mkdtemp(prefix="ralm-fuzz-tables-"))

    def check(files: dict[str, bytes]) -> str:
        shutil.rmtree(folder)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        try:
            dataset = prepare_custom("made", folder)
        except (RalmError, ConfigError) as refusal:
            said(refusal)
            return "refused"
        return _holds(dataset, folder / "out")

    return check


def _first_description_check() -> Check:
    folder = Path(mkdtemp(prefix="ralm-fuzz-first-"))

    def check(files: dict[str, bytes]) -> str:
        shutil.rmtree(folder)
        folder.mkdir()
        for name, content in files.items():
            if name != DESCRIPTION:
                (folder / name).write_bytes(content)
        try:
            found = describe_first(folder)
            if found.problems:
                return "refused"
            (folder / DESCRIPTION).write_text(found.text, encoding="utf-8")
            dataset = prepare_custom("made", folder)
        except (RalmError, ConfigError) as refusal:
            _could_be_read(said(refusal))
            return "refused"
        return _holds(dataset, folder / "out")

    return check


def _could_be_read(words: str) -> None:
    assert f"{DESCRIPTION} cannot be read" not in words, f"it wrote what it cannot read: {words}"


def _holds(dataset: Dataset, folder: Path) -> str:
    """A data set that was accepted can be written, read again and learned from."""
    save(dataset, folder)
    assert load(folder).fingerprint() == dataset.fingerprint()
    dataset.interactions()
    assert all(1 <= len(name.encode()) <= 256 for name in [*dataset.user_ids.tolist(), *dataset.item_ids.tolist()])
    return "accepted"


def _lines_check(read: Callable[..., Any]) -> Callable[[], Check]:
    def made() -> Check:
        file = Path(mkdtemp(prefix="ralm-fuzz-lines-")) / "lines.jsonl"
        door = Door(MessageSettings(), NOW)

        def check(content: bytes) -> str:
            file.write_bytes(content)
            try:
                events = read(file, "topic", door)
            except ConfigError as refusal:
                said(refusal)
                return "refused"
            for place in range(len(events)):
                assert events.message(place).key
            return "accepted"

        return check

    return made


TARGETS = [
    Target("tables", 0.01, tables, _tables_check),
    Target("first-description", 0.005, tables, _first_description_check),
    Target("click-lines", 0.02, lines(click_bytes), _lines_check(load_clicks)),
    Target("request-lines", 0.02, lines(request_bytes), _lines_check(load_requests)),
]
