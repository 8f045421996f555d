"""The move of items between stores, killed at a few of its steps; ``python -m tests.faults.moves`` kills it at each."""

import subprocess
import sys


def test_what_is_killed_while_items_are_moved_goes_on_and_loses_nothing() -> None:
    command = [sys.executable, "-m", "tests.faults.moves", "--every", "90", "--rng-seed", "40", "--change", "grown"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert "wrong 0" in done.stdout
