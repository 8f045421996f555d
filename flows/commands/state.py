"""``ralm state``: look into the stores, read-only, also beside a running flow."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from flows.errors import RalmError
from flows.messages import decode_centroids
from flows.options import with_settings
from flows.settings import Settings
from flows.state_verify import StateVerifier
from state.seed_store import SeedStore, StoreError


@click.group("state")
def command() -> None:
    """Look into the stores of a state directory; a flow may be running on it."""


@command.command("show")
@with_settings("state")
def show(settings: Settings) -> None:
    """Every partition's position, items and seeds."""
    table = Table("topic", "partition", "position", "items", "seeds at last merge", "newest click", "model version")
    for store in _stores(settings):
        records = [record for _, record in store.items()]
        newest = max((record.last_click for record in records), default=None)
        table.add_row(
            store.meta.topic,
            str(store.meta.partition),
            str(store.position),
            f"{len(records):,}",
            f"{sum(record.seeds for record in records):,}",
            "-" if newest is None else _time(newest),
            store.meta.model_version,
        )
    Console().print(table)


@command.command("item")
@click.argument("item_id")
@click.option("--seeds", "most", type=click.IntRange(0), default=10, show_default=True, help="newest seeds to show")
@with_settings("state")
def item(settings: Settings, item_id: str, most: int) -> None:
    """One item as JSON: its seeds (user keys in hexadecimal), newest first, and its last centroids."""
    for store in _stores(settings):
        seeds, centroids = store.seeds(item_id), store.centroids(item_id)
        if not len(seeds):
            continue
        newest = sorted(zip(seeds.times.tolist(), seeds.users.tolist(), strict=True), reverse=True)[:most]
        last = None if centroids is None else decode_centroids(centroids)
        shown = {
            "item_id": item_id,
            "partition": store.meta.partition,
            "seeds": len(seeds),
            "newest_seeds": [{"user_key": f"{user:016x}", "ts": ts, "time": _time(ts)} for ts, user in newest],
            "centroids": None
            if last is None
            else {
                "model_version": last.model_version,
                "window_end": last.window_end,
                "window_end_time": _time(last.window_end),
                "seeds": last.seeds,
                "counts": last.counts,
            },
        }
        click.echo(json.dumps(shown, indent=2))
        return
    msg = f"no store under {settings.state_dir} has seeds of item {item_id!r}"
    raise RalmError(msg)


@command.command("verify")
@click.option("--json", "as_json", is_flag=True, help="one JSON object for programs")
@with_settings("state")
def verify(settings: Settings, as_json: bool) -> None:
    """Read everything against its checksums and the stores against the recovery data.

    Exits with 1 if anything is damaged or behind. A flow may be running on it; nothing is written.
    """
    verifier = StateVerifier(Path(settings.state_dir), settings.max_seeds)
    reports = []
    for report in verifier.run():
        reports.append(report)
        if not as_json:
            click.echo("\n  ".join([report.line(), *report.store.damages, *report.behind]))
    bad = [report for report in reports if not report.whole]
    whole = not bad and not verifier.damages
    if as_json:
        found = {
            "whole": whole,
            "partitions": [report.as_json() for report in reports],
            "damages": verifier.damages,
            "notes": verifier.notes,
        }
        click.echo(json.dumps(found, indent=2))
    else:
        for words in (*verifier.damages, *verifier.notes):
            click.echo(words)
        more = f", {len(verifier.damages)} damages beside them" if verifier.damages else ""
        click.echo("all is whole" if whole else f"NOT whole: {len(bad)} of {len(reports)} partitions{more}")
    sys.exit(0 if whole else 1)


def _stores(settings: Settings) -> list[SeedStore]:
    folder = Path(settings.state_dir) / "seeds"
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    if not paths:
        msg = f"there are no stores in {folder}"
        raise RalmError(msg)
    try:
        return [SeedStore.inspect(path) for path in paths]
    except StoreError as error:
        raise RalmError(str(error)) from error


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
