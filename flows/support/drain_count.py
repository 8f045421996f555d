"""How many stops of a process were drains, so that planned restarts can be told from crashes."""

from contextlib import suppress
from pathlib import Path

from flows.support.logs import get_logger
from monitoring import metrics
from state.atomic_file import atomic_write

log = get_logger(__name__)


class DrainCount:
    """Counts in a file of the state directory, beside the process's lock; ``ralm_drained_stops_total`` starts with it.

    It is for alerts alone: without the file, or where it cannot be read or written, the count begins at 0 again.

    Args:
        state_dir: the directory, which exists and is owned.
        process_id: number of the process in its cluster.
    """

    def __init__(self, state_dir: Path, process_id: int) -> None:
        self._path = state_dir / f"process-{process_id}.drains"
        self._count = 0
        with suppress(OSError, ValueError):
            self._count = max(0, int(self._path.read_text(encoding="ascii")))
        metrics.DRAINED_STOPS.inc(self._count)

    def drained(self) -> None:
        """The process ends as it should."""
        try:
            with atomic_write(self._path) as work:
                work.write_text(f"{self._count + 1}\n", encoding="ascii")
        except OSError as error:
            log.warning("the drain was not counted: the restart will look like one after a crash", error=str(error))
