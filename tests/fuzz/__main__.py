"""``python -m tests.fuzz --inputs 1000000 --rng-seed 1``: the long form; exits with 1 if anything crashed or hung."""

import ast
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from flows.support.progress import bars

from .catalogue import TARGETS
from .guided import WITHOUT
from .runner import SLOW_S, Crash, Result, made, run_target
from .target import Target

KEPT = Path(".ralm/fuzz")


@click.command()
@click.option("--inputs", type=click.IntRange(1), default=1_000_000, show_default=True, help="about so many in all")
@click.option("--rng-seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="fixes every input")
@click.option("--target", "names", type=click.Choice(list(TARGETS)), multiple=True, help="only this one; repeatable")
@click.option("--number", type=click.IntRange(0), help="only this input of the target, here, with its traceback")
@click.option("--file", type=click.Path(exists=True, path_type=Path), help="the input kept in this file, likewise")
@click.option("--kept", type=click.Path(path_type=Path), default=KEPT, show_default=True, help="folder for crashes")
@click.option("--guided", type=click.IntRange(0), default=0, help="about so many more, led by coverage (needs atheris)")
@click.option("--slow-s", type=float, default=SLOW_S, show_default=True, help="processor time that an input may take")
def main(
    inputs: int,
    rng_seed: int,
    names: tuple[str, ...],
    number: int | None,
    file: Path | None,
    kept: Path,
    guided: int,
    slow_s: float,
) -> None:
    """Try inputs on the decoders, the codecs and the settings; keep each that crashes or hangs."""
    chosen = [TARGETS[name] for name in names or TARGETS]
    if number is not None or file is not None:
        if len(chosen) != 1:
            msg = "name the one --target whose input it is"
            raise click.UsageError(msg)
        given = made(chosen[0], rng_seed, number) if number is not None else _kept_input(file)
        click.echo(f"{given!r}"[:5000])
        click.echo(chosen[0].check()(given))
        return
    began = time.monotonic()
    whole, counts = Result(), {}
    share = sum(target.share for target in chosen)
    with bars() as shown:
        for target in chosen:
            wanted = max(1, round(inputs * target.share / share))
            task = shown.add_task(target.name, total=wanted)
            result = run_target(target, rng_seed, wanted, lambda done, t=task: shown.update(t, completed=done), slow_s)  # type: ignore[misc]
            counts[target.name] = result.inputs
            whole.add(result)
    for crash in whole.crashes:
        click.echo(keep(crash, TARGETS[crash.target], rng_seed, kept), err=True)
    click.echo(_line(whole, counts, time.monotonic() - began))
    found = guided and _led_by_coverage(chosen, rng_seed, guided, kept)
    sys.exit(1 if whole.crashes or found else 0)


def _led_by_coverage(chosen: Sequence[Target], rng_seed: int, inputs: int, kept: Path) -> bool:
    """Try more inputs, target by target; whether one crashed."""
    if find_spec("atheris") is None:
        click.echo("none led by coverage: atheris is not there (pip install '.[fuzz]')")
        return False
    chosen = [target for target in chosen if target.name not in WITHOUT]
    whole = sum(target.share for target in chosen)
    crashed, done = [], 0
    with bars() as shown:
        task = shown.add_task("led by coverage", total=len(chosen))
        for target in chosen:
            runs = max(1, round(inputs * target.share / whole))
            command = [sys.executable, "-m", "tests.fuzz.guided", "--target", target.name, "--inputs", str(runs)]
            command += ["--rng-seed", str(rng_seed), "--kept", str(kept)]
            ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
            if ended.returncode:
                crashed.append(target.name)
                click.echo(f"{target.name}: {ended.stderr[-3000:]}", err=True)
            else:
                done += runs
            shown.advance(task)
    click.echo(f"led by coverage {done}; crashed {' '.join(crashed) or 'none'}")
    return bool(crashed)


def _line(whole: Result, counts: dict[str, int], seconds: float) -> str:
    kinds = {kind: sum(crash.kind == kind for crash in whole.crashes) for kind in ("crash", "death", "hang")}
    took, target, number = whole.slowest
    outcomes = " ".join(f"{name.replace(' ', '-')}={count}" for name, count in whole.outcomes.most_common())
    return (
        f"inputs {whole.inputs} ({' '.join(f'{name}={count}' for name, count in counts.items())}); "
        f"outcomes {outcomes}; "
        f"crashes {kinds['crash'] + kinds['death']}; hangs {kinds['hang']}; "
        f"slowest {took * 1000:.1f} ms ({target} {number}); {seconds:.0f} s"
    )


def keep(crash: Crash, target: Target, rng_seed: int, kept: Path) -> str:
    """Write an input that crashed to a file; says how to repeat it."""
    kept.mkdir(parents=True, exist_ok=True)
    path = kept / f"{crash.target}-{rng_seed}-{crash.number}.txt"
    again = f"python -m tests.fuzz --target {crash.target} --file {path}"
    given = made(target, rng_seed, crash.number)
    path.write_text(
        f"{crash.kind}; again: {again}\n{crash.text}\n{given!r}\n", encoding="utf-8", errors="surrogateescape"
    )
    return f"{crash.kind}: {crash.text.strip().splitlines()[-1][:300]}\n  again: {again}"


def _kept_input(file: Path | None) -> Any:
    assert file is not None
    return ast.literal_eval(file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()[-1])


if __name__ == "__main__":
    main()
