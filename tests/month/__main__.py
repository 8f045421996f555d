"""``python -m tests.month``: play a month, print a line for each day, judge; 1 if anything grows or is wrong."""

import json
import shutil
import sys
import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click

from flows.kafka.embedded_broker import EmbeddedBroker
from tests.brokers.apache_kafka import ApacheKafka
from tests.brokers.choice import EMBEDDED, KAFKA

from .judge import judge
from .month import Month, MonthError
from .plan import Plan
from .sample import Sample

_MOST_SHOWN = 50


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--days", type=click.IntRange(3), default=30, show_default=True, help="of event time; three equal parts")
@click.option("--clicks", type=click.IntRange(100), default=3000, show_default=True, help="of a day")
@click.option("--items", type=click.IntRange(10), default=60, show_default=True, help="born on a day")
@click.option(
    "--period",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="days between two new bundles, with a SIGKILL between them; 0: one process to the end",
)
@click.option("--times", type=click.IntRange(1), default=1, show_default=True, help="messages of the last third's days")
@click.option(
    "--spans",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="parts of a day, each taken in before the next",
)
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True)
@click.option("--rng-seed", type=click.IntRange(0), default=1, show_default=True, help="fixes all messages")
@click.option("--broker", type=click.Choice([EMBEDDED, KAFKA]), default=EMBEDDED, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="where it works; a temporary folder by default")
@click.option("--json", "figures", type=click.Path(path_type=Path), help="file for the figures")
def main(broker: str, folder: Path | None, figures: Path | None, **given: Any) -> None:
    """Play a month that is compressed in time, and see whether anything grows."""
    try:
        plan = Plan(**given)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if folder is not None and folder.is_dir() and any(folder.iterdir()):
        msg = f"{folder} is not empty: give a folder of its own, since a good run removes it"
        raise click.UsageError(msg)
    place = Path(tempfile.mkdtemp(prefix="ralm-month-")) if folder is None else folder
    place.mkdir(parents=True, exist_ok=True)
    samples: list[Sample] = []
    with (ApacheKafka if broker == KAFKA else EmbeddedBroker)(place / "broker") as running:
        month = Month(plan, place, running.bootstrap_servers)
        click.echo(_row([each.name for each in fields(Sample)]))
        try:
            for sample in month.play():
                samples.append(sample)
                click.echo(_row(list(asdict(sample).values())))
        except MonthError as error:
            month.wrong.append(str(error))
        finally:
            month.close()
    if figures is not None:
        figures.parent.mkdir(parents=True, exist_ok=True)
        told = {"plan": asdict(plan), "days": [asdict(sample) for sample in samples], "wrong": month.wrong}
        figures.write_text(json.dumps(told, indent=2) + "\n")
    if not _say(plan, samples, month.wrong):
        click.echo(f"kept: {place}", err=True)
        sys.exit(1)
    shutil.rmtree(place, ignore_errors=True)


def _say(plan: Plan, samples: list[Sample], wrong: list[str]) -> bool:
    """Print the verdicts, what is wrong and the closing line; whether the month was good."""
    verdicts = judge(samples) if len(samples) == plan.days else []
    for verdict in verdicts:
        click.echo(f"{'GROWS' if verdict.grows else 'flat':<6}{verdict}")
    for text in wrong[:_MOST_SHOWN]:
        click.echo(f"wrong: {text}", err=True)
    grows, clicks = sum(verdict.grows for verdict in verdicts), samples[-1].clicks if samples else 0
    click.echo(f"days {len(samples)}; clicks {clicks:,}; grows {grows}; wrong {len(wrong)}")
    return bool(verdicts) and not grows and not wrong


def _row(values: list[Any]) -> str:
    """A line of the table: whole numbers as they are, others with one digit."""
    names = [each.name for each in fields(Sample)]
    said = [f"{value:.1f}" if isinstance(value, float) else str(value) for value in values]
    return "  ".join(text.rjust(max(len(name), 6)) for name, text in zip(names, said, strict=True))


if __name__ == "__main__":
    main()
