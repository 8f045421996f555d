"""Files that code makes and that are committed all the same: writing them, and saying when they are out of date."""

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path


def write_or_check(path: Path, wanted: str, arguments: Sequence[str], module: str) -> int:
    """Write a made file, or with ``--check`` only compare.

    Args:
        path: the committed file.
        wanted: what the code makes.
        arguments: of the command line: nothing, or ``--check``.
        module: the module that was run, for the advice.

    Returns:
        The exit code: 0 when written or equal, 1 when it differs, 2 for other arguments.
    """
    if list(arguments) not in ([], ["--check"]):
        sys.stderr.write(f"usage: python -m {module} [--check]\n")
        return 2
    if not arguments:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted, encoding="utf-8")
        return 0
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    if found == wanted:
        return 0
    lines = difflib.unified_diff(found.splitlines(), wanted.splitlines(), "committed", "made by the code", lineterm="")
    sys.stderr.write("\n".join(list(lines)[:40]))
    sys.stderr.write(f"\n{path.name} is out of date: run `python -m {module}` and commit what it writes\n")
    return 1
