"""Data sets, all read into one common layout (docs/data.md).

A source of data sets is a module here with ``prepare(name, downloads, folder)``, named in `SOURCES`. The modules need
pyarrow and are imported when they are called, so that serving does without.
"""

from importlib import import_module
from pathlib import Path

from flows.offline.datasets.layout import Dataset
from flows.support.errors import ConfigError

SOURCES = {"amazon": "hin", "ml100k": "movielens", "ml1m": "movielens", "yelp": "hin"}
"""Data sets that are known by name, and the module that reads each."""


def prepare_dataset(name: str, downloads: Path, folder: Path | None = None) -> Dataset:
    """Read a data set from its source files; another name than those in `SOURCES` is one's own data.

    Args:
        name: of the data set.
        downloads: folder for what is fetched.
        folder: where the files are that are not fetched.

    Raises:
        ConfigError: when files are absent, or no folder is named for one's own data.
        RalmError: when the data cannot be fetched, or naming the file, the row and the field that is wrong.
    """
    if name in SOURCES:
        dataset: Dataset = import_module(f"{__name__}.{SOURCES[name]}").prepare(name, downloads, folder)
        return dataset
    if folder is None:
        msg = f"unknown data set {name}: known are {', '.join(SOURCES)}; for your own data say --from FOLDER"
        raise ConfigError(msg)
    from flows.offline.datasets.custom import prepare_custom  # noqa: PLC0415 (needs pyarrow)

    return prepare_custom(name, folder)
