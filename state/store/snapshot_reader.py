"""A look at a store that leaves it as it is.

RocksDB, or its Python binding, writes small files of its own wherever it opens a store, also read-only. So a store is
looked at through a folder of symbolic links to its files: one that is refused or only read stays as it was.
"""

import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from rocksdict import AccessType, DBRecoveryMode, Rdict

from state.atomic_file import remove_left_behind
from state.store.keys import META_KEY
from state.store.layout import StoreError
from state.store.open_watchdog import open_watched
from state.store.rocks import cannot_open, holds_data, in_words, make_options

_DATA = ("*.sst", "*.log", "MANIFEST-*", "CURRENT")
_TRIES = 10
_WAIT_S = 0.1
_SCRATCH = "ralm-snapshot-"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (a fallback, in which a folder with an unused name is made)


class ReadOnlySnapshot:
    """A store opened to read as it is now, also beside the process that writes it; nothing is written there.

    Use it as a context, or close it.

    Args:
        path: the store's directory.

    Attributes:
        db: the open store.
        wal_truncated: why its log cannot be read to its end, None if it can; ``db`` is then as before the damage.

    Raises:
        StoreError: when it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        holds_data(path)  # says so if it may not be looked into: links to nothing would speak of missing files
        for attempt in range(_TRIES):
            before = _look(path)
            self._links = _scratch(path)
            # Beside a running flow a file may come, go or grow between two looks; a damaged store stays as it is.
            try:
                self.db, self.wal_truncated = self._open()
                if self.wal_truncated is None or attempt == _TRIES - 1 or _look(path) == before:
                    return
                self.db.close()
            except StoreError:
                if attempt == _TRIES - 1 or _look(path) == before:
                    self._links.cleanup()
                    raise
            self._links.cleanup()
            time.sleep(_WAIT_S)

    def __enter__(self) -> "ReadOnlySnapshot":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        self.db.close()
        self._links.cleanup()

    def _open(self) -> tuple[Rdict, str | None]:
        try:
            return self._open_with(DBRecoveryMode.absolute_consistency()), None
        except StoreError as error:
            wal_truncated = in_words(self._path, error.__cause__ or error)
        db = self._open_with(DBRecoveryMode.point_in_time())
        try:
            further = self._open_with(DBRecoveryMode.tolerate_corrupted_tail_records())
        except StoreError as error:
            return db, in_words(self._path, error.__cause__ or error)
        # Where nothing follows the damage, it is the half record of a process that was killed.
        ends_there = further.get(META_KEY) == db.get(META_KEY)
        further.close()
        return db, None if ends_there else wal_truncated

    def _open_with(self, recovery: DBRecoveryMode) -> Rdict:
        options = make_options(create=False, recovery=recovery)
        # All files are opened at once, so that what a running flow deletes meanwhile stays readable.
        options.set_max_open_files(-1)
        try:
            return open_watched(
                self._path,
                lambda: Rdict(self._links.name, options, access_type=AccessType.read_only(False)),
            )
        except Exception as error:
            raise cannot_open(self._path, error) from error


def _files(path: Path) -> list[Path]:
    return sorted(file for pattern in _DATA for file in path.glob(pattern))


def _scratch(path: Path) -> TemporaryDirectory[str]:
    """A folder with links to a store's files."""
    refusals = []
    # The root may be read-only and the folders for temporary files gone, as in a container: what can be written then is
    # shared memory or the state directory, in which no flow minds a folder of another name.
    for folder in (None, _SHARED_MEMORY, path.parent.parent):
        try:
            remove_left_behind(Path(folder or gettempdir()), f"{_SCRATCH}*")
            made = TemporaryDirectory(prefix=_SCRATCH, dir=folder)
        except OSError as error:
            refusals.append(str(error))
            continue
        try:
            for file in _files(path):
                (Path(made.name) / file.name).symlink_to(file.resolve())
        except OSError as error:
            refusals.append(str(error))
            made.cleanup()
            continue
        return made
    msg = (
        f"the store in {path} cannot be looked at, for which a folder for a few links is needed: "
        f"{'; '.join(refusals)}. Set TMPDIR to a folder that can be written"
    )
    raise StoreError(msg)


def _look(path: Path) -> list[tuple[str, int]]:
    found = []
    for file in _files(path):
        with suppress(FileNotFoundError):
            found.append((file.name, file.stat().st_size))
    return found
