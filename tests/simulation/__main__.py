"""``python -m tests.simulation``: play schedules, compare with the model; 1 if anything is wrong."""

import sys
from pathlib import Path

import click

from flows.support.logs import set_up_logs
from flows.support.progress import bars

from .checks import Outcome
from .mutation import found_by, note
from .mutations import MUTATIONS
from .schedule import run
from .sums import Sums


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--schedule", type=click.IntRange(0), help="play this one again, and nothing else")
@click.option("--schedules", type=click.IntRange(1), default=20_000, show_default=True, help="how many to play")
@click.option("--first", type=click.IntRange(0), help="the first number; by default the one after the last run's")
@click.option(
    "--sums",
    type=click.Path(path_type=Path),
    default=Path(".ralm/simulation.json"),
    show_default=True,
    help="file for the sums over all runs, and the number to go on with",
)
@click.option("--mutation", type=click.Choice(sorted(MUTATIONS)), help="with an old fault put back; keeps no sums")
@click.option("--mutations", is_flag=True, help="search each old fault from number 0 on, and note where it is found")
def main(
    schedule: int | None, schedules: int, first: int | None, sums: Path, mutation: str | None, *, mutations: bool
) -> None:
    """Play random schedules of the seed side and the loader, and compare with what is promised."""
    set_up_logs("error")
    if mutations:
        sys.exit(_search([mutation] if mutation else sorted(MUTATIONS), range(first or 0, (first or 0) + schedules)))
    with MUTATIONS[mutation]() if mutation else _nothing():
        if schedule is not None:
            sys.exit(_say(run(schedule), alone=True))
        kept = Sums() if mutation else Sums.read(sums)
        begin = kept.next if first is None else first
        failed = 0
        with bars() as progress:
            task = progress.add_task(f"schedules from {begin}", total=schedules)
            for number in range(begin, begin + schedules):
                outcome = run(number)
                kept.add(outcome)
                failed += _say(outcome)
                progress.update(task, completed=number - begin + 1, note=f"wrong {failed}")
                kept.next = max(kept.next, number + 1)
                if not mutation and number % 500 == 0:
                    kept.write(sums)
        if not mutation:
            kept.write(sums)
        click.echo(f"schedules {begin} to {begin + schedules - 1}: {failed} wrong; all runs: {kept.line()}")
        sys.exit(1 if failed else 0)


class _nothing:  # noqa: N801 (used as a context only)
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def _search(names: list[str], numbers: range) -> int:
    """Search the first schedule that finds each fault, and note it; 1 if any is found by none."""
    missed = 0
    for name in names:
        number = found_by(name, numbers, run)
        click.echo(f"{name}: {number}")
        if number is None:
            missed = 1
        else:
            note(name, number)
    return missed


def _say(outcome: Outcome, *, alone: bool = False) -> int:
    """Print what is wrong; whether anything is."""
    for text in outcome.wrong:
        click.echo(f"schedule {outcome.number}: {text}", err=True)
    if outcome.wrong:
        click.echo(f"again: python -m tests.simulation --schedule {outcome.number}", err=True)
    if alone:
        happened = ", ".join(f"{count} {what}" for what, count in sorted(outcome.happened.items()))
        click.echo(f"schedule {outcome.number}: {len(outcome.wrong)} wrong; {happened}")
    return bool(outcome.wrong)


if __name__ == "__main__":
    main()
