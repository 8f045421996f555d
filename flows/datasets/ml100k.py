"""MovieLens-100k (GroupLens, for research), read from the wheel of the PyPI package recbole, which carries it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np

from flows.datasets.layout import SEPARATOR, Dataset, check
from flows.errors import RalmError

_PACKAGE = "recbole==1.2.1"
_FOLDER = "recbole/dataset_example/ml-100k/ml-100k"
_LEAST_RATING = 4.0
"""A click is a rating of 4 or more."""


def bring(cache: Path) -> Dataset:
    """Fetch the wheel if it is not in the cache, and read it.

    Raises:
        RalmError: when it cannot be fetched or read.
    """
    wheel = next(cache.glob("recbole-*.whl"), None) or _fetch(cache)
    try:
        with zipfile.ZipFile(wheel) as files:
            texts = {part: files.read(f"{_FOLDER}.{part}").decode() for part in ("inter", "user", "item")}
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        msg = f"{wheel} cannot be read ({error}): remove it and try again"
        raise RalmError(msg) from error
    return read(texts["inter"], texts["user"], texts["item"])


def read(inter: str, user: str, item: str) -> Dataset:
    """Read the three tables from their text.

    Raises:
        RalmError: naming the file, the line and the field that is wrong.
    """
    events = _table("ml-100k.inter", inter)
    ratings, seconds = _numbers("ml-100k.inter", events, "rating"), _numbers("ml-100k.inter", events, "timestamp")
    times = (seconds * 1000).astype(np.int64)
    users, items = _table("ml-100k.user", user), _table("ml-100k.item", item)
    clicks = np.flatnonzero(ratings >= _LEAST_RATING)
    clicks = clicks[np.lexsort((events["item_id"][clicks], events["user_id"][clicks], times[clicks]))]
    by_user, by_item = np.argsort(users["user_id"]), np.argsort(items["item_id"])
    fields = {
        "age": ("continuous", _numbers("ml-100k.user", users, "age")[by_user].astype(np.float32)),
        "gender": ("categorical", users["gender"][by_user]),
        "occupation": ("categorical", users["occupation"][by_user]),
        "region": ("categorical", np.array([code[:1] for code in users["zip_code"][by_user]])),
    }
    return check(
        Dataset(
            "ml100k",
            events["user_id"][clicks],
            events["item_id"][clicks],
            times[clicks],
            users["user_id"][by_user],
            fields,
            items["item_id"][by_item],
            np.array([text.replace(" ", SEPARATOR) for text in items["class"][by_item]]),
        )
    )


def _fetch(cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", _PACKAGE, "--dest", str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (a fixed command)
    wheel = next(cache.glob("recbole-*.whl"), None)
    if done.returncode or wheel is None:
        reason = done.stderr.strip().splitlines()[-1:] or ["no wheel came"]
        msg = f"pip cannot fetch {_PACKAGE}, which carries MovieLens-100k: {reason[0]}"
        raise RalmError(msg)
    return wheel


def _table(file: str, text: str) -> dict[str, np.ndarray]:
    lines = text.splitlines()
    names = [column.partition(":")[0] for column in lines[0].split("\t")] if lines else []
    rows = [line.split("\t") for line in lines[1:]]
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            msg = f"{file}, line {number}: {len(row)} fields instead of {len(names)}"
            raise RalmError(msg)
    if not rows:
        msg = f"{file} has no rows"
        raise RalmError(msg)
    return {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def _numbers(file: str, table: dict[str, np.ndarray], name: str) -> np.ndarray:
    numbers = np.empty(len(table[name]))
    for row, value in enumerate(table[name].tolist()):
        try:
            numbers[row] = float(value)
        except ValueError:
            msg = f"{file}, line {row + 2}: {name} is {value!r}, not a number"
            raise RalmError(msg) from None
    return numbers
