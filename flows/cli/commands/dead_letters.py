"""``ralm dead-letters``: messages that could not be used, why, and redriving them once that is fixed."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from flows.admin.dead_letters.acceptance import Acceptance
from flows.admin.dead_letters.redrive import RedriveOptions, RedriveSummary, redrive
from flows.admin.dead_letters.show import as_json, explanation, printable, row, text_or_hex
from flows.admin.dead_letters.topic import Filters, Newest, read_from, read_records
from flows.cli.options import OnceGroup, with_settings
from flows.cli.output import output
from flows.config.fields import parse_duration
from flows.config.settings import Settings
from flows.messages.dead_letter import DeadLetter, ForeignRecord, RedriveReceipt
from flows.messages.rejects import REASONS
from flows.support.errors import RalmError
from flows.support.progress import bars
from flows.support.text import counted


@click.group("dead-letters", cls=OnceGroup)
def command() -> None:
    """List, explain, count and redrive messages that could not be used."""


def _filters(wrapped: Callable[..., None]) -> Callable[..., None]:
    """Gives a command ``filters``."""

    @wraps(wrapped)
    def run(*args: Any, reason: str | None, topic: str | None, key: str | None, since: int | None, **more: Any) -> None:
        key_bytes = None if key is None else key.encode(errors="surrogateescape")
        from_time = None if since is None else _now() - since
        wrapped(*args, filters=Filters(reason, topic, key_bytes, from_time), **more)

    decorated: Callable[..., None] = run
    for option in (
        click.option(
            "--since", metavar="DURATION", callback=_duration, help="refused at most so long ago, like 1h or 7d"
        ),
        click.option("--key", type=click.UNPROCESSED, metavar="TEXT", help="only with this original key"),
        click.option("--topic", help="only those read in this topic (its whole name)"),
        click.option("--reason", type=click.Choice(sorted(REASONS)), metavar="REASON", help="only with this reason"),
    ):
        decorated = option(decorated)
    return decorated


def _duration(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        msg = f"{value!r} cannot be used: {error}; it is written 250ms, 5s, 5m, 1h or 7d"
        raise click.BadParameter(msg) from None


_JSON = click.option("--json", "as_lines", is_flag=True, help="one JSON object per line")


@command.command("list")
@_filters
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="the number of newest letters to show; 0 = all",
)
@_JSON
@with_settings("kafka", "step_over")
def list_letters(settings: Settings, filters: Filters, limit: int, as_lines: bool) -> None:
    """List dead letters, oldest first.

    When each was refused, where it came from, why, and whether it was redriven.
    """
    newest = Newest(limit)
    read = 0
    sent, foreign_records = set[tuple[int, int]](), 0
    for record in _read(settings, filters):
        if isinstance(record, RedriveReceipt):
            sent.update((record.partition, offset) for offset in record.offsets)
        elif isinstance(record, ForeignRecord):
            foreign_records += 1
        else:
            read += 1
            if filters.take(record):
                newest.add(record)
    letters = newest.letters()
    if as_lines:
        for letter in letters:
            click.echo(as_json(letter, redriven=(letter.partition, letter.offset) in sent))
    elif letters:
        _print_table(letters, sent)
    else:
        click.echo(_none(read, filters))
    _say_rest(newest.left_out, foreign_records)


@command.command("count")
@_filters
@_JSON
@with_settings("kafka", "step_over")
def count(settings: Settings, filters: Filters, as_lines: bool) -> None:
    """Count dead letters by topic and reason."""
    found: Counter[tuple[str, str]] = Counter()
    foreign_records = read = 0
    for record in _read(settings, filters):
        if isinstance(record, DeadLetter):
            read += 1
            found[record.topic, record.reason] += filters.take(record)
        foreign_records += isinstance(record, ForeignRecord)
    rows = sorted((topic, reason, number) for (topic, reason), number in found.items() if number)
    if as_lines:
        for topic, reason, number in rows:
            click.echo(json.dumps({"topic": topic, "reason": reason, "letters": number}))
    elif not rows:
        click.echo(_none(read, filters))
    else:
        table = Table("topic", "reason", "letters")
        for topic, reason, number in rows:
            table.add_row(Text(printable(topic)), reason, f"{number:,}")
        output().print(table)
        click.echo(counted(sum(number for *_, number in rows), "dead letter"))
    _say_rest(0, foreign_records)


@command.command("explain")
@click.argument("partition", type=click.IntRange(0))
@click.argument("offset", type=click.IntRange(0))
@click.option(
    "--most", type=click.IntRange(1), default=2000, show_default=True, help="maximum characters shown of each part"
)
@with_settings("kafka", "messages", "step_over")
def explain(settings: Settings, partition: int, offset: int, most: int) -> None:
    """Explain one dead letter.

    It is at PARTITION and OFFSET of the dead-letter topic, as `list` shows them.
    """
    records = read_from(settings, partition, offset)
    record = next(records, None)
    if not isinstance(record, DeadLetter) or record.offset != offset:
        what = "no message any more"
        if isinstance(record, RedriveReceipt):
            what = f"no letter, but a receipt of what was redriven: {counted(len(record.offsets), 'letter')}"
        elif isinstance(record, ForeignRecord):
            what = f"no dead letter: {printable(record.why, 200)}"
        msg = f"at partition {partition}, offset {offset} there is {what}"
        raise RalmError(msg)
    sent = any(isinstance(later, RedriveReceipt) and offset in later.offsets for later in records)
    click.echo(explanation(record, Acceptance(settings, _now), redriven=sent, most=most))


@command.command("redrive")
@_filters
@click.option("--limit", type=click.IntRange(1), help="send at most this many")
@click.option("--dry-run", is_flag=True, help="only print what would be done with each letter")
@click.option(
    "--set-key",
    is_flag=True,
    help="send letters refused as null_key or key_mismatch with the key that the value implies",
)
@click.option("--unproven", is_flag=True, help="also send letters whose original has expired or is another message")
@click.option("--again", is_flag=True, help="also send letters that a receipt says were redriven before")
@with_settings("kafka", "messages", "step_over")
def send(
    settings: Settings,
    filters: Filters,
    limit: int | None,
    *,
    dry_run: bool,
    set_key: bool,
    unproven: bool,
    again: bool,
) -> None:
    """Send dead letters to their topics again.

    For when the cause is fixed. Bytes, key, headers and order are the originals'. Each letter is checked first with the
    present settings. It is not sent if it would be refused again, was cut, or is no longer in the topic that it names.
    Letters that were redriven are recorded in the dead-letter topic, so that a second run does not send them again.
    """
    options = RedriveOptions(filters, limit, dry_run, set_key, unproven, again)

    def on_letter(letter: DeadLetter, why_not: str) -> None:
        done = printable(f"stays: {why_not}", 300) if why_not else "would go back"
        key = text_or_hex(letter.key, 64)
        click.echo(
            f"{letter.partition}:{letter.offset}  {printable(letter.source)}  key {key}  {letter.reason}  {done}"
        )

    with bars() as shown:
        summary = redrive(
            settings,
            options,
            _now,
            on_letter=on_letter if dry_run else lambda *_: None,
            reading=shown.counter("reading dead letters"),
            sending=shown.counter("checking" if dry_run else "redriving"),
        )
    lines = list(_said(summary, dry_run=dry_run))
    if lines == [f"0 {_verb(dry_run=dry_run)}"]:
        lines[0] += ": no dead letter matches"
    for line in lines:
        click.echo(line)


def _verb(*, dry_run: bool) -> str:
    return "would be redriven" if dry_run else "redriven"


def _said(summary: RedriveSummary, *, dry_run: bool) -> Iterator[str]:
    verb = _verb(dry_run=dry_run)
    topics = ", ".join(f"{number:,} to {topic}" for topic, number in sorted(summary.sent.items()))
    yield f"{summary.sent.total():,} {verb}" + (f": {topics}" if topics else "")
    if summary.already:
        yield counted(summary.already, "was", "were") + " redriven before, as receipts say (--again sends them too)"
    for reason, number in sorted(summary.refused.items()):
        yield f"{number:,} would be refused again: {reason}"
    kept = {
        " not whole, and cannot be redriven": summary.cut,
        " not, or not any more, in the topic that the letter names: look with --dry-run, and send with --unproven "
        "if you trust whoever may write dead letters": summary.unproven,
        **{
            f" of the topic {printable(topic)}, which is not managed by this deployment": number
            for topic, number in sorted(summary.unroutable.items())
        },
    }
    yield from (counted(number, "is", "are") + words for words, number in kept.items() if number)
    if summary.superseded:
        candidates = counted(summary.superseded, "is a candidate", "are candidates")
        yield f"{candidates} of items with a newer message, which would be undone"
    if summary.beyond:
        yield counted(summary.beyond, "was not looked at: --limit", "were not looked at: --limit")
    if summary.foreign_records:
        yield _foreign(summary.foreign_records)


def _read(settings: Settings, filters: Filters) -> Iterator[DeadLetter | RedriveReceipt | ForeignRecord]:
    with bars() as shown:
        yield from read_records(settings, filters.since, shown.counter("reading dead letters"))


def _foreign(number: int) -> str:
    return counted(number, "message of the topic is no dead letter", "messages of the topic are not dead letters")


def _none(read: int, filters: Filters) -> str:
    """That nothing is to be shown, though letters may have been read."""
    if read:
        return f"none of {counted(read, 'dead letter')} matches"
    return "there is no dead letter" if filters.since is None else "no dead letter was refused in that time"


def _print_table(letters: list[DeadLetter], sent: set[tuple[int, int]]) -> None:
    table = Table("letter", "refused", "topic", "at", "key", "reason", "detail", "redriven")
    for letter in letters:
        cells = row(letter, redriven=(letter.partition, letter.offset) in sent)
        table.add_row(*(Text(cell) for cell in cells))  # as text: nothing in it is markup
    output().print(table)


def _say_rest(left_out: int, foreign_records: int) -> None:
    if left_out:
        older = counted(left_out, "older one matches", "older ones match")
        click.echo(f"{older} as well: --limit 0 shows all", err=True)
    if foreign_records:
        click.echo(_foreign(foreign_records), err=True)


def _now() -> int:
    return time.time_ns() // 1_000_000
