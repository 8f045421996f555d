"""Where a data set that may not be passed on comes from: the files that its user's folder must hold, and its home."""

from dataclasses import dataclass
from pathlib import Path

from flows.offline.datasets.tables import Table, content_of, parse, read
from flows.support.errors import ConfigError

SUFFIXES = (".parquet", ".csv")


@dataclass(frozen=True)
class Origin:
    """The public source of a data set.

    Attributes:
        name: of the data set.
        home: address of its home page.
        files: the source's own files.
        prefix: before the names of the same tables as Parquet or CSV.
        tables: these tables; the first has the events.
        inside: folder of the source that holds the files.
    """

    name: str
    home: str
    files: tuple[str, ...]
    prefix: str
    tables: tuple[str, ...]
    inside: str = ""

    def folder(self, given: Path | None) -> Path:
        """The folder that holds the files: the one that the user named, or ``inside`` it.

        Raises:
            ConfigError: when none was named, or it holds neither the source's own files nor tables.
        """
        if given is None:
            msg = f"{self.name}: say --from FOLDER, {self._wanted()}"
            raise ConfigError(msg)
        for place in (given / self.inside, given):
            if (place / self.files[0]).is_file() or table_file(place, self._stem(self.tables[0])):
                return place
        msg = f"{self.name}: {given} is not {self._wanted()}"
        raise ConfigError(msg)

    def is_converted(self, folder: Path) -> bool:
        """Whether the folder has the tables as Parquet or CSV."""
        return table_file(folder, self._stem(self.tables[0])) is not None

    def table(self, folder: Path, table: str) -> Table:
        """One of the tables as Parquet or CSV.

        Raises:
            ConfigError: when the folder lacks it.
            RalmError: when it cannot be read.
        """
        path = table_file(folder, self._stem(table))
        if path is None:
            msg = f"{self.name}: {folder} has no {self._stem(table)}.parquet or .csv; it must be {self._wanted()}"
            raise ConfigError(msg)
        return read(path)

    def lines(
        self, folder: Path, file: str, names: tuple[str, ...], separator: str, encoding: str = "utf-8-sig"
    ) -> Table:
        """One of the source's own files, which have no header.

        Raises:
            ConfigError: when the folder lacks it.
            RalmError: when it cannot be read.
        """
        if not (folder / file).is_file():
            msg = f"{self.name}: {folder} has no {file}; it must be {self._wanted()}"
            raise ConfigError(msg)
        return parse(file, content_of(folder / file), names=names, separator=separator, encoding=encoding)

    def _stem(self, table: str) -> str:
        return f"{self.prefix}_{table}"

    def _wanted(self) -> str:
        stems = ", ".join(self._stem(table) for table in self.tables)
        return (
            f"a folder with {', '.join(self.files)} (or, as .parquet or .csv: {stems}). "
            f"Their terms do not allow us to bring them; get them from {self.home}"
        )


def table_file(folder: Path, stem: str) -> Path | None:
    """The file of a table, Parquet before CSV; None when there is neither."""
    return next((path for suffix in SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)
