"""Inputs that are led by coverage: ``python -m tests.fuzz.guided --target click --inputs 100000 --rng-seed 1``.

A target makes its inputs from random numbers. Here the numbers are read from bytes, and atheris (libFuzzer) changes the
bytes so that more of our code is reached. Needs the extra ``fuzz``.
"""

import sys
from pathlib import Path
from random import Random
from typing import Any

import click

_OURS = ["flows", "state", "monitoring", "ralm"]
_MOST_BYTES = 4096
WITHOUT = ("store-damage", "store-writes", "record-batches", "settings-flags", "kafka-options")
"""Targets whose work is done by libraries in C or in other processes, of which nothing is seen."""


class GivenNumbers(Random):
    """Random numbers that are given as bytes; zeros follow them.

    Args:
        data: the bytes.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(0)
        self._data, self._at = data, 0

    def getrandbits(self, k: int) -> int:
        """The next ``k`` bits."""
        size = (k + 7) // 8
        piece = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(piece.ljust(size, b"\0"), "little") & ((1 << k) - 1)

    def random(self) -> float:
        """From 0 to less than 1, in steps of 2^-16: two bytes are enough to choose by."""
        return self.getrandbits(16) / 65536


@click.command()
@click.option("--target", "name", required=True, help="what is fuzzed")
@click.option("--inputs", type=click.IntRange(1), default=100_000, show_default=True)
@click.option("--rng-seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--kept", type=click.Path(path_type=Path), default=Path(".ralm/fuzz"), show_default=True)
@click.option("--file", type=click.Path(exists=True, path_type=Path), help="only the bytes kept in this file")
def main(name: str, inputs: int, rng_seed: int, kept: Path, file: Path | None) -> None:
    """Try inputs on one target; ends with 77, and keeps the bytes, when one crashes."""
    try:
        import atheris  # noqa: PLC0415 (it may not be there)
    except ImportError:
        click.echo("led by coverage are inputs only where atheris is: pip install '.[fuzz]'", err=True)
        sys.exit(3)
    with atheris.instrument_imports(include=_OURS):
        from .catalogue import TARGETS  # noqa: PLC0415 (what is imported here is what is watched)
    target = TARGETS[name]
    check = target.check()

    def attempt(data: bytes) -> None:
        check(target.make(GivenNumbers(data)))

    if file is not None:
        given: Any = target.make(GivenNumbers(file.read_bytes()))
        click.echo(f"{given!r}"[:5000])
        click.echo(check(given))
        return
    kept.mkdir(parents=True, exist_ok=True)
    options = [f"-runs={inputs}", f"-seed={rng_seed + 1}", f"-max_len={_MOST_BYTES}", "-len_control=0", "-timeout=120"]
    options += ["-rss_limit_mb=4096", f"-artifact_prefix={kept}/{name}-guided-", "-verbosity=0", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options], attempt)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
