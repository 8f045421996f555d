"""Data sets that may not be passed on: the files that their user's folder must hold, and where to get them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.offline.datasets.delimited import parse
from flows.offline.datasets.reading import content_of, read_table
from flows.offline.datasets.tables import Table
from flows.support.errors import ConfigError

SUFFIXES = (".parquet", ".csv")
LEAST_RATING = 4.0
"""In all of them a click is a rating of 4 or more."""


@dataclass(frozen=True)
class SourceFile:
    """One of the source's own files, which have no header: its columns, and how it is written."""

    name: str
    columns: tuple[str, ...]
    separator: str
    encoding: str = "utf-8"


@dataclass(frozen=True)
class SourceFiles:
    """The public source of a data set.

    Attributes:
        name: of the data set.
        home: address of its home page.
        files: the source's own files; the first has the events.
        tables: the same as Parquet or CSV, by their names without the suffix; the first has the events.
        inside: folder of the source that holds the files.
    """

    name: str
    home: str
    files: tuple[SourceFile, ...]
    tables: tuple[str, ...]
    inside: str = ""

    def read(self, given: Path | None) -> tuple[bool, list[Table]]:
        """Read what the folder that the user named holds, or the folder ``inside`` it.

        Returns:
            Whether these are the tables as Parquet or CSV, and all of them, else all of the source's own files.

        Raises:
            ConfigError: when no folder was named, or it lacks files.
            RalmError: when a file cannot be read.
        """
        if given is None:
            msg = f"{self.name}: say --from FOLDER, {self._wanted()}"
            raise ConfigError(msg)
        for folder in (given / self.inside, given):
            if table_file(folder, self.tables[0]):
                return True, [self._table(folder, table) for table in self.tables]
            if (folder / self.files[0].name).is_file():
                return False, [self._file(folder, file) for file in self.files]
        msg = f"{self.name}: {given} is not {self._wanted()}"
        raise ConfigError(msg)

    def _table(self, folder: Path, table: str) -> Table:
        path = table_file(folder, table)
        if path is None:
            msg = f"{self.name}: {folder} has no {table}.parquet or .csv; it must be {self._wanted()}"
            raise ConfigError(msg)
        return read_table(path)

    def _file(self, folder: Path, file: SourceFile) -> Table:
        path = folder / file.name
        if not path.is_file():
            msg = f"{self.name}: {folder} has no {file.name}; it must be {self._wanted()}"
            raise ConfigError(msg)
        return parse(file.name, content_of(path), names=file.columns, separator=file.separator, encoding=file.encoding)

    def _wanted(self) -> str:
        return (
            f"a folder with {', '.join(file.name for file in self.files)} "
            f"(or, as .parquet or .csv: {', '.join(self.tables)}). "
            f"Their terms do not allow us to bring them; get them from {self.home}"
        )


def table_file(folder: Path, stem: str, suffixes: Sequence[str] = SUFFIXES) -> Path | None:
    """The file of a table: the first existing one in the order of the suffixes, None if none exists."""
    return next((path for suffix in suffixes if (path := folder / f"{stem}{suffix}").is_file()), None)
