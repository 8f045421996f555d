"""Small libraries in C that are loaded before libc, to slow syncs and to shift the wall clock."""

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

_SOURCES = Path(__file__).parent


def missing(name: str) -> str:
    """Why a library cannot be had on this machine; empty when it can."""
    return _built(name)[1]


def library(name: str) -> Path:
    """The library, built when it is first asked for.

    Raises:
        RuntimeError: when it cannot be had; ``missing`` says so beforehand.
    """
    path, why = _built(name)
    if path is None:
        raise RuntimeError(why)
    return path


@cache
def _built(name: str) -> tuple[Path | None, str]:
    if not sys.platform.startswith("linux"):
        return None, f"{name}.c is for Linux"
    compiler = next((found for cc in ("cc", "gcc", "clang") if (found := shutil.which(cc))), None)
    if compiler is None:
        return None, f"there is no C compiler for {name}.c"
    built = Path(mkdtemp(prefix="ralm-faults-shim-")) / f"{name}.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(built), str(_SOURCES / f"{name}.c"), "-ldl", "-pthread"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None, f"{name}.c cannot be compiled: {(done.stderr.strip().splitlines() or ['?'])[0][:120]}"
    return built, ""
