"""The engine's own pages: off, unless the settings ask for them.

The engine opens them on every address of the machine, asks nobody who is there, and writes ``dataflow.json`` into the
working folder, as soon as a variable is set to anything, even to 0. Images and charts for the engine set it.
"""

import os
from pathlib import Path

from flows.config.settings import Settings

ENABLED = "BYTEWAX_DATAFLOW_API_ENABLED"
PORT = "BYTEWAX_DATAFLOW_API_PORT"
CACHE = "BYTEWAX_DATAFLOW_API_CACHE_PATH"
_FIRST_PORT = 3030


def set_engine_api(settings: Settings) -> None:
    """Put the engine's variables as ``engine_api`` has it; call it before the engine starts.

    When it is on, process i gets the port 3030 + i (or the variable's number + i), and ``dataflow.json`` goes into the
    state directory.
    """
    if not settings.engine_api:
        os.environ.pop(ENABLED, None)
        return
    folder = Path(settings.state_dir) / f"engine-{settings.process_id}"
    folder.mkdir(parents=True, exist_ok=True)
    first = os.environ.get(PORT, "")
    os.environ[ENABLED] = "1"
    os.environ[PORT] = str((int(first) if first.isdecimal() else _FIRST_PORT) + settings.process_id)
    os.environ[CACHE] = str(folder)
