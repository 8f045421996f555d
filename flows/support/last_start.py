"""Where the reading began at the last start, if that ended without a word."""

import json
import os
from pathlib import Path

from flows.support.logs import get_logger

log = get_logger(__name__)


class LastStart:
    """A file of the state directory, there only while the process runs, and after one that was ended from outside.

    A process that is killed, or aborted by a library, cannot say so. The next one finds the file, and if it begins at
    the same offset of a partition, no progress was made: what lies there may be what ended it. Only the process's end
    is to be survived, so nothing waits for the disk.

    Args:
        state_dir: the directory, which exists and is owned; None keeps nothing.
        process_id: number of the process in its cluster.
    """

    def __init__(self, state_dir: Path | None, process_id: int = 0) -> None:
        self._path = None if state_dir is None else state_dir / f"process-{process_id}.reading"
        self._before = _read(self._path)
        self._now: dict[str, int] = {}

    def began_at(self, kind: str, partition: int, offset: int) -> bool:
        """Note where the reading of a partition begins; whether it began there too before an end without a word.

        Args:
            kind: what the topic is in the contract.
            partition: its number.
            offset: where it begins.
        """
        place = f"{kind}/{partition}"
        before = self._before.pop(place, None)
        self._now[place] = offset
        self._write()
        return before == offset

    def ended(self) -> None:
        """The process ends by itself, whatever the reason: it says so."""
        if self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                log.warning("the next start will take this end for one without a word", error=str(error))
            self._path = None

    def _write(self) -> None:
        if self._path is None:
            return
        work = self._path.with_suffix(".reading-new")
        try:
            work.write_text(json.dumps(self._now), encoding="ascii")
            os.replace(work, self._path)
        except OSError as error:
            log.warning("where the reading began was not noted", error=str(error))


def _read(path: Path | None) -> dict[str, int]:
    try:
        found = {} if path is None else json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return {k: v for k, v in found.items() if type(v) is int} if isinstance(found, dict) else {}
