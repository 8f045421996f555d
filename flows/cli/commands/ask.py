"""``ralm ask``: one user's answer as a table."""

import json
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import msgspec
from rich.table import Table
from rich.text import Text

from flows.admin.ask import ask
from flows.admin.dead_letters.show import printable, time_text
from flows.cli.options import OnceCommand, with_settings
from flows.cli.output import output
from flows.config.fields import parse_duration
from flows.config.groups import MAX_PRIOR
from flows.config.limits import NOT_UTF8, identifier_fault
from flows.config.settings import Settings
from flows.messages.types import Request, Scores
from flows.support.progress import working
from ralm.encoders.profiles import SEPARATOR
from state.bundle.bundle import Bundle, BundleError
from state.bundle.items import BundleItems

_STATUS = {
    "unknown_user": "The bundle has no vector of this user, and no --profile of which it knows a value: fall back to "
    "what is popular, or train again.",
    "no_candidates": (
        "No candidate has centroids yet: that takes min_seeds known clickers and the close of a window. `ralm top` "
        "says what is missing."
    ),
    "expired": "The request waited longer than request_timeout: ask again.",
}
_COLD_SHOWN = 10


def _duration(_: click.Context, __: click.Parameter, value: str) -> int:
    try:
        read = parse_duration(value)
    except ValueError as error:
        msg = f"{value!r} is {error}: write 250ms, 5s, 5m or 1h (a bare number is seconds)"
        raise click.BadParameter(msg) from None
    if not read:
        msg = "it must be above 0"
        raise click.BadParameter(msg)
    return read


def _identifier(_: click.Context, parameter: click.Parameter, given: str | tuple[str, ...]) -> str | tuple[str, ...]:
    for text in (given,) if isinstance(given, str) else given:
        if fault := identifier_fault(text):
            words = "USER {} (user_id of the request)" if parameter.name == "user" else "ITEM {} (of candidates)"
            msg = words.format(fault)
            raise click.UsageError(msg)
    return given


def _profile(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str] | None:
    fields: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            msg = f"{pair!r} is not FIELD=VALUE"
            raise click.BadParameter(msg)
        if identifier_fault(pair) == NOT_UTF8:
            msg = f"{pair!r} {NOT_UTF8}"
            raise click.BadParameter(msg)
        fields[name] = f"{fields[name]}{SEPARATOR}{value}" if name in fields else value
    return fields or None


@click.command("ask", cls=OnceCommand)
@click.argument("user", callback=_identifier)
@click.argument("items", nargs=-1, metavar="[ITEM]...", callback=_identifier)
@click.option("--top-k", type=click.IntRange(min=1, max=2**31 - 1), default=10, show_default=True, help="scores wanted")
@click.option(
    "--prior",
    type=click.FloatRange(0, MAX_PRIOR),
    help="weight of an item's popularity, 0 is taste alone  [default: the flow's]",
)
@click.option(
    "--profile",
    "profile",
    multiple=True,
    callback=_profile,
    metavar="FIELD=VALUE",
    help="what is known about a user who may be new to the bundle; repeatable, also for one field",
)
@click.option(
    "--timeout",
    callback=_duration,
    default="30s",
    show_default=True,
    help="how long to wait for the answer",
    metavar="DURATION",
)
@click.option("--json", "as_json", is_flag=True, help="the answer as one JSON object, with titles where known")
@with_settings("kafka", "bundle")
def command(
    settings: Settings,
    user: str,
    items: tuple[str, ...],
    top_k: int,
    prior: float | None,
    profile: dict[str, str] | None,
    timeout: int,
    as_json: bool,
) -> None:
    """Ask a running flow for USER's best items: among all live items, or among the ITEMs that are named.

    Sends a request, waits for its answer and shows it, best first, with the items' titles if the bundle has them. Exits
    with 0 if there is an answer, whatever its status; with 1 if none comes in time.
    """
    request = Request(f"ask-{uuid4()}", user, time.time_ns() // 1_000_000, list(items) or None, top_k, prior, profile)
    if as_json:
        answer = ask(settings, request, timeout)
    else:
        with working(f"asking for {user}"):
            answer = ask(settings, request, timeout)
    known = _items(Path(settings.bundle))
    if as_json:
        click.echo(json.dumps(_with_titles(answer, known), ensure_ascii=False))
        return
    shown = output()
    if answer.status != "ok":
        shown.print(f"{answer.status}: {_STATUS[answer.status]}")
    else:
        shown.print(_table(answer, known))
    for line in _notes(answer):
        shown.print(line)


def _items(bundle: Path) -> BundleItems | None:
    """What the bundle calls items; None where it cannot be read: then identifiers have to do."""
    try:
        return Bundle.open(bundle, verify=False).items
    except BundleError:
        return None


def _titles(answer: Scores, known: BundleItems | None) -> list[str]:
    ids = [item.item_id for item in answer.scores]
    return known.titles_of(ids) if known is not None else [""] * len(ids)


def _with_titles(answer: Scores, known: BundleItems | None) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(answer)
    for score, title in zip(found["scores"], _titles(answer, known), strict=True):
        if title:
            score["title"] = title
    return found


def _table(answer: Scores, known: BundleItems | None) -> Table:
    titles = _titles(answer, known)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("", justify="right")
    table.add_column("item")
    if any(titles):
        table.add_column("title")
    with_neighbours = any(item.neighbours_part is not msgspec.UNSET for item in answer.scores)
    for name in ("score", "global", "local", *(["neighbours"] if with_neighbours else [])):
        table.add_column(name, justify="right")
    table.add_column("centroids of")
    for place, (item, title) in enumerate(zip(answer.scores, titles, strict=True), 1):
        parts = (item.score, item.global_part, item.local_part, item.neighbours_part)
        numbers = (f"{value:.3f}" for value in parts if value is not msgspec.UNSET)
        named = [Text(printable(text)) for text in ([item.item_id, title] if any(titles) else [item.item_id])]
        table.add_row(str(place), *named, *numbers, time_text(item.window_end)[:16].replace("T", " "))
    return table


def _notes(answer: Scores) -> list[str]:
    notes = []
    if answer.cold:
        some = printable(", ".join(answer.cold[:_COLD_SHOWN]))
        more = f" and {len(answer.cold) - _COLD_SHOWN:,} more" if len(answer.cold) > _COLD_SHOWN else ""
        notes.append(f"cold, without centroids yet: {some}{more}")
    if answer.stale:
        notes.append(f"stale, from centroids older than stale_after: {len(answer.stale):,} of {len(answer.scores):,}")
    notes.append(f"model version {printable(answer.model_version)}")
    return notes
