"""``ralm ask``: one user's answer as a table."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import msgspec
from rich.table import Table

from flows.admin.ask import ask
from flows.cli.options import OnceCommand, with_settings
from flows.cli.output import output
from flows.config.fields import parse_duration
from flows.config.groups import MAX_PRIOR
from flows.config.settings import Settings
from flows.messages.types import Request, Scores
from flows.support.progress import working
from state.bundle.bundle import Bundle, BundleError
from state.bundle.items import BundleItems

_STATUS = {
    "unknown_user": "The bundle has no vector of this user: fall back to what is popular, or train again.",
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


@click.command("ask", cls=OnceCommand)
@click.argument("user")
@click.argument("items", nargs=-1, metavar="[ITEM]...")
@click.option("--top-k", type=click.IntRange(min=1, max=2**31 - 1), default=10, show_default=True, help="scores wanted")
@click.option(
    "--prior",
    type=click.FloatRange(0, MAX_PRIOR),
    help="weight of an item's popularity, 0 is taste alone  [default: the flow's]",
)
@click.option(
    "--timeout", callback=_duration, default="30s", show_default=True, help="how long to wait", metavar="DURATION"
)
@click.option("--json", "as_json", is_flag=True, help="the answer as one JSON object, with titles where known")
@with_settings("kafka", "bundle")
def command(
    settings: Settings,
    user: str,
    items: tuple[str, ...],
    top_k: int,
    prior: float | None,
    timeout: int,
    as_json: bool,
) -> None:
    """Ask a running flow what USER looks like: all live items compete, or the ITEMs that are named.

    Sends a request and waits for its answer, which is shown best first, with the items' titles where the bundle has
    them. Exits with 0 when there is an answer, whatever its status; with 1 when none comes in time.
    """
    request = Request(f"ask-{uuid4()}", user, time.time_ns() // 1_000_000, list(items) or None, top_k, prior)
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
    for name in ("score", "global", "local"):
        table.add_column(name, justify="right")
    table.add_column("centroids of")
    for place, (item, title) in enumerate(zip(answer.scores, titles, strict=True), 1):
        numbers = (f"{value:.3f}" for value in (item.score, item.global_part, item.local_part))
        made = datetime.fromtimestamp(item.window_end / 1000, UTC).strftime("%Y-%m-%d %H:%M")
        table.add_row(str(place), item.item_id, *([title] if any(titles) else []), *numbers, made)
    return table


def _notes(answer: Scores) -> list[str]:
    notes = []
    if answer.cold:
        some = ", ".join(answer.cold[:_COLD_SHOWN])
        more = f" and {len(answer.cold) - _COLD_SHOWN:,} more" if len(answer.cold) > _COLD_SHOWN else ""
        notes.append(f"cold, without centroids yet: {some}{more}")
    if answer.stale:
        notes.append(f"stale, from centroids older than stale_after: {len(answer.stale):,} of {len(answer.scores):,}")
    notes.append(f"model version {answer.model_version}")
    return notes
