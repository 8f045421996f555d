"""MovieLens-100k and MovieLens-1M (GroupLens, for research): users with a profile, films with genres, times in seconds.

100k comes from a folder or from the wheel of the PyPI package recbole, which has it; its own files are ``u.data``
(tabs), ``u.user`` and ``u.item`` (``|``, Latin-1; a flag for each genre). 1M's have ``::`` between columns and are in
Latin-1.
"""

import subprocess
import sys
import venv
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from flows.offline.datasets.assemble import CATEGORIES, TITLE, Columns, assemble, join_values, known
from flows.offline.datasets.delimited import parse
from flows.offline.datasets.layout import Dataset
from flows.offline.datasets.source_files import LEAST_RATING, SourceFile, SourceFiles
from flows.offline.datasets.tables import Table
from flows.offline.datasets.times import times_ms
from flows.offline.datasets.words import Text, as_words
from flows.support.errors import RalmError
from ralm.encoders.profiles import SEPARATOR

_GENRES = (
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|Film-Noir|Horror|Musical|"
    "Mystery|Romance|Sci-Fi|Thriller|War|Western"
).split(SEPARATOR)
"""In the order of the flags in ``u.item``."""
_EVENTS = ("user_id", "item_id", "rating", "timestamp")
ML100K = SourceFiles(
    name="ml100k",
    home="https://grouplens.org/datasets/movielens/100k/",
    files=(
        SourceFile("u.data", _EVENTS, "\t"),
        SourceFile("u.user", ("user_id", "age", "gender", "occupation", "zip_code"), "|"),
        SourceFile(
            "u.item",
            ("item_id", "title", "released", "released_on_video", "address", *_GENRES),
            "|",
            encoding="latin-1",
        ),
    ),
    tables=("ml100k_events", "ml100k_users", "ml100k_items"),
    inside="ml-100k",
)
ML1M = SourceFiles(
    name="ml1m",
    home="https://grouplens.org/datasets/movielens/1m/",
    files=(
        SourceFile("ratings.dat", _EVENTS, "::", encoding="latin-1"),
        SourceFile("users.dat", ("user_id", "gender", "age", "occupation", "zip_code"), "::", encoding="latin-1"),
        SourceFile("movies.dat", ("item_id", "title", "genres"), "::", encoding="latin-1"),
    ),
    tables=("ml1m_events", "ml1m_users", "ml1m_items"),
    inside="ml-1m",
)
_PACKAGE = "recbole==1.2.1"
_FOLDER = "recbole/dataset_example/ml-100k/ml-100k"

_DAMAGED = (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, NotImplementedError, RuntimeError)
"""What comes of a wheel that is not whole, or is another; what the system refuses says so by itself."""


def prepare(name: str, downloads: Path, folder: Path | None) -> Dataset:
    """Read one of them from the folder that the user named; 100k without one from the wheel, fetched if need be.

    Raises:
        ConfigError: when the folder lacks files.
        RalmError: when the wheel cannot be fetched, or naming the file, the row and the field that is wrong.
    """
    if name == ML100K.name and folder is None:
        return read_recbole(*_texts(next(downloads.glob("recbole-*.whl"), None) or _fetch(downloads)))
    source = ML100K if name == ML100K.name else ML1M
    converted, (events, users, items) = source.read(folder)
    flagged = source is ML100K and not converted
    return _assembled(source, events, users, items, _genres_of_flags(items) if flagged else items.text("genres"))


def read_recbole(inter: str, user: str, item: str) -> Dataset:
    """Read the three tables of 100k from their text, as recbole has them: tabs, and a header with types.

    Raises:
        RalmError: naming the file, the line and the field that is wrong.
    """
    events, users, items = (
        _typed(f"ml-100k.{part}", text) for part, text in (("inter", inter), ("user", user), ("item", item))
    )
    return _assembled(ML100K, events, users, items, np.strings.replace(items.text("class"), " ", SEPARATOR))


def _assembled(source: SourceFiles, events: Table, users: Table, items: Table, genres: Text) -> Dataset:
    # The fields' order is part of the data's fingerprint, by which bundles and cells are known.
    gender: Columns = {"gender": ("categorical", users.text("gender"))}
    if source is ML100K:
        age: Columns = {"age": ("continuous", users.numbers("age", owner="user_id").astype(np.float32))}
        fields = age | gender
    else:
        fields = gender | {"age": ("categorical", users.text("age"))}  # seven bands, named by their lower ends
    fields |= {
        "occupation": ("categorical", users.text("occupation")),
        "region": ("categorical", users.text("zip_code").astype("U1")),
    }
    return assemble(
        source.name,
        events,
        users=known(users, "user_id", fields),
        items=known(items, "item_id", {CATEGORIES: ("multivalent", genres), TITLE: ("title", _titles(items))}),
        times=times_ms(events, "timestamp", "s"),
        least_rating=LEAST_RATING,
    )


def _titles(items: Table) -> Text:
    """The films' names, as the file at hand calls the column; files without it have none."""
    column = next((name for name in ("title", "movie_title") if name in items), None)
    return items.text(column) if column else as_words([""] * len(items.text("item_id")))


def _genres_of_flags(items: Table) -> Text:
    flags = np.stack([items.numbers(genre) for genre in _GENRES], axis=1)
    rows, genres = np.nonzero(flags)
    return join_values(rows, as_words(_GENRES)[genres], len(flags))


def _typed(file: str, text: str) -> Table:
    table = parse(file, text.encode(), separator="\t")
    return replace(table, columns={name.partition(":")[0]: column for name, column in table.columns.items()})


def _texts(wheel: Path) -> list[str]:
    try:
        with zipfile.ZipFile(wheel) as files:
            return [files.read(f"{_FOLDER}.{part}").decode() for part in ("inter", "user", "item")]
    except _DAMAGED as error:
        msg = f"{wheel} is damaged, or has no {_FOLDER} ({error}): move it to another place, and another is fetched"
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
        f"{ML100K.name}: pip cannot fetch {_PACKAGE}, which carries MovieLens-100k ({reason}): put its wheel into "
        f"{cache}, or name a folder with the files of {ML100K.home} by --from FOLDER"
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
