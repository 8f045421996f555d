"""Where a stopped training goes on: a file for each unfinished stage beside the bundle."""

import hashlib
import pickle
import shutil
from pathlib import Path
from typing import Any

import structlog
import torch

from state.atomic_file import atomic_write

log = structlog.get_logger()


class FileCheckpoint:
    """Keeps each stage in a file, written whole and then renamed.

    Args:
        folder: of the files.
        identity: what the training depends on; a file of another training is not used.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder
        self._prefix = hashlib.sha256(identity.encode()).hexdigest()[:16]

    def load(self, stage: str) -> dict[str, Any] | None:
        """The stage's last state, None when there is none that can be read."""
        file = self._file(stage)
        try:
            # weights_only: tensors and plain values, never code from a file.
            state: dict[str, Any] = torch.load(file, weights_only=True)
        except FileNotFoundError:
            return None
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            log.warning("a checkpoint cannot be read; its stage starts again", file=str(file), error=str(error))
            return None
        log.info("training goes on from a checkpoint", stage=stage, epochs_done=len(state["log"]))
        return state

    def save(self, stage: str, state: dict[str, Any]) -> None:
        """Keep the state in place of the last."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(self._file(stage)) as work:
            torch.save(state, work)

    def clear(self) -> None:
        """Drop every file, once the bundle is written."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, stage: str) -> Path:
        return self._folder / f"{self._prefix}-{stage.replace(' ', '-')}.pt"
