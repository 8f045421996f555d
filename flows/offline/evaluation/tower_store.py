"""Arrays that models of several worker processes share: a trained user tower is most of a training."""

from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from state.atomic_file import atomic_write

Arrays = dict[str, NDArray[np.generic]]


class TowerFiles:
    """Keeps arrays under keys, each a file in a folder.

    Args:
        folder: for one data set and one task.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str) -> Arrays | None:
        """The arrays of a key; None when there are none, or they are damaged."""
        try:
            found: Arrays = load_file(self._file(key))
        except (OSError, SafetensorError):
            return None
        return found

    def put(self, key: str, arrays: Arrays) -> None:
        """Keep the arrays of a key; they are there whole or not at all."""
        with atomic_write(self._file(key)) as work:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, work)

    def lock(self, key: str) -> AbstractContextManager[object]:
        """Held by one process at a time; given up when the process ends, however it ends."""
        return FileLock(self._file(key).with_suffix(".lock"))

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.safetensors"
