"""Where the reading began at the last start, if that crashed."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from flows.support.logs import get_logger
from state.nesting import check_depth

log = get_logger(__name__)

_Offsets: TypeAlias = tuple[int, int]
"""The first and the last offset at which the next start is suspect."""
_decoder = msgspec.json.Decoder(dict[str, _Offsets])


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
        self._writing = threading.Lock()
        self._now: dict[str, _Offsets] = {}
        self._again: dict[str, _Offsets] = {}

    def began_at(self, kind: str, partition: int, offset: int) -> bool:
        """Note where the reading of a partition begins; whether it began there too before a crash.

        Args:
            kind: what the topic is in the contract.
            partition: its number.
            offset: where it begins.
        """
        place = f"{kind}/{partition}"
        before = self._before.pop(place, None)
        self._now[place] = offset, offset
        self._write()
        return before is not None and before[0] <= offset <= before[1]

    def stood_at(self, kind: str, partition: int) -> int | None:
        """Where the reading of a partition stood at a crash; None without one. It is said once."""
        before = self._before.pop(f"{kind}/{partition}", None)
        return None if before is None else before[0]

    def stands_at(self, kind: str, positions: Mapping[int, int]) -> None:
        """Note where the reading of partitions stands, of a topic that each start reads from its beginning.

        Args:
            kind: of the topic.
            positions: the offset that is read next, by partition.
        """
        now = {f"{kind}/{partition}": (offset, offset) for partition, offset in positions.items()}
        if not now.items() <= self._now.items():
            self._now |= now
            self._write()

    @property
    def crashed(self) -> bool:
        """Whether the last start crashed."""
        return bool(self._before)

    def ends_again(self, kind: str, partition: int, offset: int) -> None:
        """What lies at an offset would end the next start too, which knows so from the beginning, up to there."""
        place = f"{kind}/{partition}"
        self._again[place] = self._now[place][0], offset

    def ended(self) -> None:
        """The process ends by itself, whatever the reason: it says so."""
        if self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                log.warning("the next start will mistake this end for a crash", error=str(error))
            if self._again:
                self._now = self._again
                self._write()
            self._path = None

    def _write(self) -> None:
        if self._path is None:
            return
        work = self._path.with_suffix(".reading-new")
        try:
            with self._writing:
                work.write_bytes(msgspec.json.encode(self._now))
                os.replace(work, self._path)
        except OSError as error:
            log.warning("could not record where reading began", error=str(error))


def _read(path: Path | None) -> dict[str, _Offsets]:
    try:
        content = b"{}" if path is None else path.read_bytes()
        check_depth(content)
        return _decoder.decode(content)
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return {}
