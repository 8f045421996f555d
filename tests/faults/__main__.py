"""``python -m tests.faults``: make faults, compare with the oracle, end with one line and 1 if anything is wrong."""

import json
import random
import sys
from pathlib import Path

import click

from flows.support.progress import bars
from tests.brokers.choice import EMBEDDED, KAFKA

from .registry import REGISTRY
from .run import Plan, run
from .scene import Limits
from .tally import Tally

_MOST_SHOWN = 50
"""Problems that are printed; the figures hold all."""


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--rng-seed", type=click.IntRange(0), help="fixes messages, order and moments; a random one by default")
@click.option("--faults", default="all", show_default=True, help=f"all, or with commas: {', '.join(REGISTRY)}")
@click.option("--kills", type=click.IntRange(0), default=5, show_default=True, help="how many faults `kill`")
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True, help="how many of each other fault")
@click.option("--minutes", type=click.FloatRange(0), default=0.0, help="begin no fault after so long; 0 = no limit")
@click.option("--pause", type=click.FloatRange(0.5), default=20.0, show_default=True, help="longest outage, seconds")
@click.option("--settle", type=click.FloatRange(5), default=90.0, show_default=True, help="time to catch up, seconds")
@click.option("--broker", type=click.Choice([EMBEDDED, KAFKA]), default=EMBEDDED, show_default=True)
@click.option("--processes", default="1,2", show_default=True, help="how many processes a round may have, with commas")
@click.option("--resume", type=click.Path(path_type=Path), help="file that keeps how far it is; goes on from it")
@click.option("--folder", type=click.Path(path_type=Path), help="where it works; a temporary folder by default")
@click.option("--keep", is_flag=True, help="keep the folder of a good run too")
@click.option("--json", "figures", type=click.Path(path_type=Path), help="file for the figures")
def main(  # noqa: PLR0917 (click gives each option a name)
    rng_seed: int | None,
    faults: str,
    kills: int,
    repeat: int,
    minutes: float,
    pause: float,
    settle: float,
    broker: str,
    processes: str,
    resume: Path | None,
    folder: Path | None,
    keep: bool,
    figures: Path | None,
) -> None:
    """Make faults at random moments and compare what the flow has made with an oracle."""
    names = _names(faults)
    _check_folders(folder, resume, rng_seed)
    seed = random.SystemRandom().randrange(1_000_000) if rng_seed is None else rng_seed
    counts = tuple(int(count) for count in processes.split(","))
    limits = Limits(settle, pause)
    plan = Plan(seed, names, kills, repeat, minutes, limits, folder, keep, broker, counts, resume)
    with bars() as progress:
        task = progress.add_task(f"faults, rng_seed {seed}", total=None)

        shown = 0

        def on_progress(name: str, done: int, total: int, tally: Tally) -> None:
            nonlocal shown
            note = f"{name}; kills {tally.kills}, wrong {tally.wrong}"
            progress.update(task, completed=done, total=total, note=note)
            for text in tally.problems[shown:_MOST_SHOWN]:  # at once: a long run need not end before one looks
                click.echo(text, err=True)
            shown = len(tally.problems)

        try:
            tally, where = run(plan, on_progress)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    if figures is not None:
        figures.parent.mkdir(parents=True, exist_ok=True)
        figures.write_text(json.dumps({"rng_seed": seed, **tally.figures()}, indent=2) + "\n")
    if tally.wrong:
        click.echo(f"kept: {where}\nrepeat: {_again(plan)}", err=True)
    click.echo(tally.line())
    sys.exit(1 if tally.wrong else 0)


def _names(faults: str) -> tuple[str, ...]:
    names = tuple(REGISTRY) if faults == "all" else tuple(name.strip() for name in faults.split(",") if name.strip())
    unknown = [name for name in names if name not in REGISTRY]
    if unknown or not names:
        msg = f"unknown faults: {', '.join(unknown) or faults!r}; there are {', '.join(REGISTRY)}"
        raise click.UsageError(msg)
    return names


def _check_folders(folder: Path | None, resume: Path | None, rng_seed: int | None) -> None:
    if folder is not None and folder.is_dir() and any(folder.iterdir()):
        msg = f"{folder} is not empty: give a folder of its own, since a good run removes it"
        raise click.UsageError(msg)
    if resume is not None and rng_seed is None:
        msg = "--resume needs --rng-seed, so that the run that goes on is the same"
        raise click.UsageError(msg)


def _again(plan: Plan) -> str:
    options = f"--rng-seed {plan.rng_seed} --faults {','.join(plan.faults)} --kills {plan.kills} --repeat {plan.repeat}"
    options += f" --broker {plan.broker} --processes {','.join(map(str, plan.processes))}"
    return f"python -m tests.faults {options} --pause {plan.limits.pause:g} --settle {plan.limits.settle:g}"


if __name__ == "__main__":
    main()
