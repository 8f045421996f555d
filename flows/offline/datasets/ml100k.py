"""MovieLens-100k (GroupLens, for research), from a folder or from the wheel of the PyPI package recbole, which has it.

GroupLens' own files: ``u.data`` (tabs), ``u.user`` and ``u.item`` (``|``, Latin-1; a flag for each genre).
"""

import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from flows.offline.datasets.assemble import CATEGORIES, assemble, joined, known
from flows.offline.datasets.layout import SEPARATOR, Dataset
from flows.offline.datasets.origin import Origin
from flows.offline.datasets.tables import Table, parse
from flows.offline.datasets.times import milliseconds
from flows.support.errors import RalmError

ORIGIN = Origin(
    name="ml100k",
    home="https://grouplens.org/datasets/movielens/100k/",
    files=("u.data", "u.user", "u.item"),
    prefix="ml100k",
    tables=("events", "users", "items"),
    inside="ml-100k",
)
_PACKAGE = "recbole==1.2.1"
_FOLDER = "recbole/dataset_example/ml-100k/ml-100k"
_LEAST_RATING = 4.0
"""A click is a rating of 4 or more."""
_EVENTS = ("user_id", "item_id", "rating", "timestamp")
_USERS = ("user_id", "age", "gender", "occupation", "zip_code")
_ITEMS = ("item_id", "title", "released", "released_on_video", "address")
_GENRES = (
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|Film-Noir|Horror|Musical|"
    "Mystery|Romance|Sci-Fi|Thriller|War|Western"
).split(SEPARATOR)
"""In the order of the flags in ``u.item``."""


def bring(downloads: Path, folder: Path | None) -> Dataset:
    """Read it from the folder that the user named; without one, from the wheel, which is fetched if need be.

    Raises:
        ConfigError: when the folder lacks files.
        RalmError: when the wheel cannot be fetched, or naming the file, the row and the field that is wrong.
    """
    if folder is None:
        return read(*_texts(next(downloads.glob("recbole-*.whl"), None) or _fetch(downloads)))
    place = ORIGIN.folder(folder)
    if ORIGIN.is_converted(place):
        events, users, items = (ORIGIN.table(place, table) for table in ORIGIN.tables)
        return _assembled(events, users, items, items.text("genres"))
    events = ORIGIN.lines(place, "u.data", _EVENTS, "\t")
    users = ORIGIN.lines(place, "u.user", _USERS, SEPARATOR)
    items = ORIGIN.lines(place, "u.item", (*_ITEMS, *_GENRES), SEPARATOR, encoding="latin-1")
    flags = np.stack([items.numbers(genre) for genre in _GENRES], axis=1)
    rows, genres = np.nonzero(flags)
    return _assembled(events, users, items, joined(rows, np.array(_GENRES)[genres], len(flags)))


def read(inter: str, user: str, item: str) -> Dataset:
    """Read the three tables from their text, as recbole has them: tabs, and a header with types.

    Raises:
        RalmError: naming the file, the line and the field that is wrong.
    """
    events, users, items = (
        _typed(f"ml-100k.{part}", text) for part, text in (("inter", inter), ("user", user), ("item", item))
    )
    return _assembled(events, users, items, np.strings.replace(items.text("class"), " ", SEPARATOR))


def _assembled(events: Table, users: Table, items: Table, genres: NDArray[np.str_]) -> Dataset:
    fields = {
        "age": ("continuous", users.numbers("age", owner="user_id").astype(np.float32)),
        "gender": ("categorical", users.text("gender")),
        "occupation": ("categorical", users.text("occupation")),
        "region": ("categorical", users.text("zip_code").astype("U1")),
    }
    return assemble(
        ORIGIN.name,
        events,
        users=known(users, "user_id", fields),
        items=known(items, "item_id", {CATEGORIES: ("multivalent", genres)}),
        times=milliseconds(events, "timestamp", "s"),
        least_rating=_LEAST_RATING,
    )


def _typed(file: str, text: str) -> Table:
    table = parse(file, text.encode(), separator="\t")
    return replace(table, columns={name.partition(":")[0]: column for name, column in table.columns.items()})


def _texts(wheel: Path) -> list[str]:
    try:
        with zipfile.ZipFile(wheel) as files:
            return [files.read(f"{_FOLDER}.{part}").decode() for part in ("inter", "user", "item")]
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        msg = f"{wheel} cannot be read ({error}): remove it and try again"
        raise RalmError(msg) from error


def _fetch(cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    download = ["-m", "pip", "download", "--quiet", "--no-deps", _PACKAGE, "--dest", str(cache)]
    try:
        with _python_with_pip() as python:
            subprocess.run([python, *download], capture_output=True, text=True, check=True)  # noqa: S603 (a fixed command)
        return next(cache.glob("recbole-*.whl"))
    except subprocess.CalledProcessError as error:
        said = error.stderr or error.stdout or str(error)
        reason = (said.decode(errors="replace") if isinstance(said, bytes) else said).strip().splitlines()[-1]
    except OSError as error:
        reason = str(error)
    except StopIteration:
        reason = "no wheel came"
    msg = (
        f"{ORIGIN.name}: pip cannot fetch {_PACKAGE}, which carries MovieLens-100k ({reason}): put its wheel into "
        f"{cache}, or name a folder with the files of {ORIGIN.home} by --from FOLDER"
    )
    raise RalmError(msg)


@contextmanager
def _python_with_pip() -> Iterator[str]:
    """A Python that has pip: this one or, as uv's environments have none, that of a temporary environment."""
    if find_spec("pip"):
        yield sys.executable
        return
    with TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True, symlinks=True)
        yield str(Path(folder, "bin", "python"))
