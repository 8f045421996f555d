"""Which data sets lie in the data folder: looked at before anything heavy is imported."""

from pathlib import Path

from flows.support.errors import ConfigError

DESCRIBED = "fields.json"
"""Written last of a data set's files: a folder without it holds none."""


def folder_of(data_dir: str, name: str) -> Path:
    """The folder of a data set.

    Args:
        data_dir: the data folder.
        name: of the data set.

    Raises:
        ConfigError: if no data set has that name; lists the existing ones.
    """
    folder = Path(data_dir) / name
    if not folder.is_dir():
        there = sorted(path.parent.name for path in Path(data_dir).glob(f"*/{DESCRIBED}"))
        msg = (
            f"there is no data set {name} in {data_dir} (there: {', '.join(there) or 'none'}); "
            f"bring it first: ralm data {name} [--from FOLDER]"
        )
        raise ConfigError(msg)
    return folder
