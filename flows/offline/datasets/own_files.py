"""The files of one's own tables: one or several for each, found by their usual names or by those that are said."""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from flows.offline.datasets.column_files import FORMS
from flows.offline.datasets.packed import ARCHIVES, FOLDED, ZIP, archive_of, is_archive, members, without_fold
from flows.offline.datasets.reading import JSON_SUFFIXES, Written, joined, kept_as, read_table
from flows.offline.datasets.tables import NoRowsError, Table
from flows.support.errors import RalmError

_TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".tab", ".psv", ".data", ".rating", ".inter", ".user", ".item")
TABLE_SUFFIXES = (*FORMS, *_TEXT_SUFFIXES, *JSON_SUFFIXES)
"""Of the files that may be tables; what says how they are kept, such as ``.gz``, may follow."""
_PACKED = (".7z", ".rar", ".snappy", ".z", ".lzo", ".br")
_SHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
_OTHERS = (".avro", ".sqlite", ".sqlite3", ".db", ".sql", ".xml", ".pkl", ".pickle", ".npz", ".npy", ".dta", ".sav")
_PATTERN = set("*?[")
_HIDDEN = ("_", ".")
_PARTITION = re.compile(r"[^=]+=.*")
"""A folder as Hive calls it, for what a column is in all of its rows."""


def files_of(folder: Path, table: str, said: Iterable[str] | None) -> list[Path]:
    """The files of a table, in the order of their names where one pattern names several; empty if there are none.

    Args:
        folder: that holds them.
        table: ``events``, ``users`` or ``items``, whose files are called so unless others are said.
        said: names within the folder, of files or of folders of them, perhaps with ``*``; None if nothing is said.

    Raises:
        RalmError: naming what is not there.
    """
    if said is None:
        return _usual(folder, table)
    found = []
    for name in said:
        paths = _named(folder, name)
        if not paths:
            msg = f"data.toml says that {table} are in {name}, but {folder} has no such file"
            raise RalmError(msg)
        found += [path for path in paths if path not in found]
    return found


def read_files(paths: list[Path], written: Written, aliases: Callable[[Table], dict[str, str]]) -> Table:
    """Read the files of one table; a column may be called otherwise in each.

    Raises:
        RalmError: a line for each file that cannot be read.
    """
    parts, problems, empty = [], [], []
    for path in paths:
        try:
            table = read_table(path, written)
        except NoRowsError as error:  # as some of Spark's parts
            empty.append(str(error))
            continue
        except RalmError as error:
            problems.append(str(error))
            continue
        table = with_columns_of_path(table, path)
        parts.append(replace(table, aliases=aliases(table)))
    if problems or not parts:
        raise RalmError("\n".join([*problems, *empty]))
    parts[0] = replace(parts[0], notes=(*parts[0].notes, *empty))
    if len(parts) == 1:
        return parts[0]
    called = {
        role: next((part.real(role) for part in parts if role in part), name) for role, name in parts[0].aliases.items()
    }
    return replace(joined([_renamed(part, called) for part in parts]), aliases=called)


def why_unread(path: Path) -> str:
    """Why a file cannot be a table as it is, and what to do; empty if it can be one, or seems to be none."""
    suffix = Path(without_fold(path.name)).suffix.lower()
    if path.is_symlink() and not path.exists():
        return f"{path.name} is a link to {os.readlink(path)}, which is not there"
    if suffix in _PACKED:
        return f"{path.name} is packed: unpack it, and leave the files here"
    if suffix == ZIP and path.is_file() and not is_archive(path):
        return f"{path.name} is called a zip file and is none, or was cut off: pack it once more"
    if suffix in _SHEETS:
        return f"{path.name} is a workbook: save each of its sheets as CSV (UTF-8)"
    if suffix in _OTHERS:
        return f"{path.name} is of a form that is not read: bring it as Parquet, CSV or JSON lines"
    return ""


def tables_below(folder: Path) -> tuple[list[Path], dict[str, list[str]]]:
    """The tables of a folder and of those within it, and by file why one that seems to be a table is none."""
    found: list[Path] = []
    problems: dict[str, list[str]] = {}
    for path in sorted(folder.iterdir()):
        if why := why_unread(path):
            problems[path.name] = [why]
        if path.name.startswith(_HIDDEN):
            continue
        try:
            if path.is_dir() and not path.is_symlink() and not is_table(path):  # a link may lead around
                more, wrong = tables_below(path)
                found, problems = found + more, problems | wrong
            else:
                found += tables_within(path) if is_archive(path) else [path] * is_table(path)
        except (RalmError, OSError) as error:
            problems[path.name] = str(error).splitlines()
    return found, problems


def parts_in(folder: Path) -> list[Path]:
    """The tables in a folder of parts, such as Spark and Hive write, in the order of their names.

    Raises:
        RalmError: when a folder within may not be looked into, whose rows would be missing.
    """

    def refuse(error: OSError) -> None:
        msg = f"{error.filename} cannot be read: {error.strerror}"
        raise RalmError(msg) from error

    found = []
    for within, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(_HIDDEN)]
        found += [Path(within, name) for name in files if not name.startswith(_HIDDEN)]
    return sorted(path for path in found if kept_as(path) in TABLE_SUFFIXES and path.is_file())


def is_table(path: Path) -> bool:
    """Whether a file, or a folder of parts, may be a table."""
    if path.name.startswith((".", "_")) or not path.exists():
        return False
    if is_archive(path):
        return False  # the files within it may be
    if path.is_dir():
        return kept_as(path) in TABLE_SUFFIXES or (path / "_SUCCESS").exists() or _has_parts(path)
    return kept_as(path) in TABLE_SUFFIXES


def is_known(path: Path) -> bool:
    """Whether a file's ending says that it is a table, or why it is none."""
    return path.name.startswith(_HIDDEN) or is_table(path) or is_archive(path) or bool(why_unread(path))


def _has_parts(folder: Path) -> bool:
    """Whether the files of a folder are parts of one table, as their names say."""
    paths = [path for path in folder.iterdir() if not path.name.startswith(_HIDDEN)]
    names = [path.name for path in paths]
    if any(name.startswith("part-") for name in names):
        return True
    if paths and all(path.is_dir() for path in paths):
        return all(map(_PARTITION.fullmatch, names))
    alike = {re.sub(r"\d+", "", name) for name in names}
    return len(names) > 1 and len(alike) == 1 and kept_as(Path(names[0])) in TABLE_SUFFIXES


def usual_names(table: str) -> list[str]:
    """What a table's files are called where nothing is said, the first that is there is taken."""
    suffixes = (*FORMS, ".csv", *JSON_SUFFIXES, *_TEXT_SUFFIXES[1:])
    whole = [f"{table}{end}" for end in ARCHIVES]
    return [f"{table}{suffix}{folded}" for folded in ("", *FOLDED, ZIP) for suffix in suffixes] + whole


def _usual(folder: Path, table: str) -> list[Path]:
    for name in usual_names(table):
        path = folder / name
        if path.is_file() or path.is_dir():
            return _all_in(path)
        if path.is_symlink():
            raise RalmError(why_unread(path))
    return []


def _all_in(path: Path) -> list[Path]:
    """A file, or the tables in a folder of parts or in an archive."""
    if path.is_dir():
        return parts_in(path)
    return tables_within(path) if is_archive(path) else [path]


def tables_within(archive: Path) -> list[Path]:
    """The tables in an archive, in the order of their names."""
    return [path for path in members(archive) if kept_as(path) in TABLE_SUFFIXES]


def _named(folder: Path, name: str) -> list[Path]:
    try:
        path = folder / name
        if path.is_dir() or path.is_file():
            return _all_in(path)
        if path.exists():
            return [path]
        if archive := archive_of(path):
            return [each for each in members(archive) if each == path]
        if path.is_symlink():
            raise RalmError(why_unread(path))
        paths = sorted(folder.glob(name)) if set(name) & _PATTERN else []
    except (OSError, ValueError, NotImplementedError):  # a name that no file can have
        return []
    return [path for path in paths if path.is_file() and not path.name.startswith(("_", "."))]


def with_columns_of_path(table: Table, path: Path) -> Table:
    """A table with what its path says of all its rows, as Hive's ``day=2024-11-24/part-0.csv`` does."""
    columns = dict(table.columns)
    for part in path.parts[:-1]:
        name, equals, value = part.partition("=")
        if equals and name and name not in columns:
            columns[name] = pa.array([value] * len(table), pa.string())
    return replace(table, columns=columns)


def _renamed(part: Table, called: dict[str, str]) -> Table:
    """A part whose columns are called as those of the whole table."""
    names = {part.real(role): name for role, name in called.items() if role in part}
    others = {name: column for name, column in part.columns.items() if name not in names}
    columns = {names[name]: part.columns[name] for name in part.columns if name in names}
    return replace(
        part, columns={**{name: column for name, column in others.items() if name not in columns}, **columns}
    )
