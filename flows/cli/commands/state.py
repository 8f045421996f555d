"""``ralm state``: look into the stores, read-only, also beside a running flow."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from flows.admin.state.backup import backup, restore, restore_store
from flows.admin.state.verify import StateVerifier, no_stores
from flows.cli.options import OnceGroup, with_settings
from flows.cli.output import output
from flows.config.settings import Settings
from flows.messages.codec import decode_centroids
from flows.messages.rejects import InvalidMessage
from flows.support.errors import RalmError
from flows.support.text import counted, without_error_numbers
from ralm.seed_set import SeedSet
from state.directory import refuse_cut_off, store_paths
from state.store.seed_store import SeedStore, StoreError
from state.user_keys import user_keys


@click.group("state", cls=OnceGroup)
def command() -> None:
    """Inspect, verify, back up and restore the stores of a state directory. A flow may be running on it."""


@command.command("show")
@click.option("--json", "as_lines", is_flag=True, help="one JSON object per line")
@with_settings("state")
def show(settings: Settings, as_lines: bool) -> None:
    """Show each partition's position and items."""
    table = Table(
        "topic", "partition", "position", "items", "seeds when last clustered", "newest click", "model version"
    )
    with _in_words():
        for row in map(_row, _stores(settings)):
            if as_lines:
                click.echo(json.dumps(row))
            else:
                newest = row["newest_click_time"] or "-"
                numbers = (f"{row['items']:,}", f"{row['seeds_at_last_merge']:,}")
                table.add_row(
                    row["topic"], str(row["partition"]), str(row["position"]), *numbers, newest, row["model_version"]
                )
    if not as_lines:
        output().print(table)


def _row(store: SeedStore) -> dict[str, Any]:
    records = [record for _, record in store.items()]
    newest = max((record.last_click for record in records), default=None)
    return {
        "topic": store.meta.topic,
        "partition": store.meta.partition,
        "position": store.position,
        "items": len(records),
        "seeds_at_last_merge": sum(record.seeds for record in records),
        "newest_click": newest,
        "newest_click_time": None if newest is None else _time(newest),
        "model_version": store.meta.model_version,
    }


@command.command("item")
@click.argument("item_id")
@click.option("--seeds", "most", type=click.IntRange(0), default=10, show_default=True, help="newest seeds to show")
@click.option("--user", "user_id", metavar="USER", help="also say whether this user is a seed, and since which click")
@with_settings("state")
def item(settings: Settings, item_id: str, most: int, user_id: str | None) -> None:
    """Show one item's seeds and centroids.

    As JSON: its seeds (user keys in hexadecimal), newest first, and its last centroids.
    """
    stores = items = 0
    with _in_words():
        for store in _stores(settings):
            stores, items = stores + 1, items + sum(1 for _ in store.items())
            if len(seeds := store.seeds(item_id)):
                centroids = store.centroids(item_id)
                shown = _shown(item_id, store.meta.partition, seeds, centroids, most)
                if user_id is not None:
                    shown["user"] = _as_seed(user_id, seeds)
                click.echo(json.dumps(shown, indent=2))
                return
    held = f"{counted(items, 'item')} in {counted(stores, 'partition')}"
    msg = (
        f"no store under {settings.state_dir} has seeds of item {item_id!r}: they have {held}. Its first click has not "
        "been taken in yet, or the last one is further back than seeds_retention."
    )
    raise RalmError(msg)


def _as_seed(user_id: str, seeds: SeedSet) -> dict[str, Any]:
    """Whether a user is among some seeds: the click that made it one, and how many seeds are newer."""
    key = user_keys([user_id])
    found = np.flatnonzero(seeds.users == key[0])
    user: dict[str, Any] = {"user_id": user_id, "user_key": f"{int(key[0]):016x}", "is_seed": len(found) > 0}
    if len(found):
        ts = int(seeds.times[found[0]])
        user |= {"ts": ts, "time": _time(ts), "newer_seeds": int((seeds.times > ts).sum())}
    return user


def _shown(item_id: str, partition: int, seeds: SeedSet, centroids: bytes | None, most: int) -> dict[str, Any]:
    newest = sorted(zip(seeds.times.tolist(), seeds.users.tolist(), strict=True), reverse=True)[:most]
    last = None if centroids is None else decode_centroids(centroids)
    return {
        "item_id": item_id,
        "partition": partition,
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


@command.command("verify")
@click.option("--json", "as_json", is_flag=True, help="one JSON object for programs")
@with_settings("state")
def verify(settings: Settings, as_json: bool) -> None:
    """Check every store for damage.

    Reads everything, and checks it against checksums and against what values may be. Exits with 1 if anything is
    damaged. A flow may be running on it; nothing is written.
    """
    verifier = StateVerifier(Path(settings.state_dir), settings.max_seeds)
    reports = []
    for report in verifier.run():
        reports.append(report)
        if not as_json:
            click.echo(without_error_numbers("\n  ".join([report.line(), *report.store.damages])))
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
            click.echo(without_error_numbers(words))
        beside = len(verifier.damages)
        more = f", {counted(beside, 'damage')} beside them" if beside else ""
        of = counted(len(reports), "partition")
        unread = sum(report.store.unread for report in bad)
        if unread == len(bad) and not beside:
            click.echo("all is whole" if whole else f"NOT all could be read: {unread} of {of} not")
        else:
            more += f", and {unread} could not be read" if unread else ""
            click.echo(f"NOT whole: {len(bad) - unread} of {of}{more}")
    sys.exit(0 if whole else 1)


@command.command("backup")
@click.argument("target", type=click.Path(path_type=Path))
@with_settings("state")
def back_up(settings: Settings, target: Path) -> None:
    """Back up the state directory to TARGET.

    TARGET must not exist, or be empty. A flow may be running on the state directory.
    """
    backup(Path(settings.state_dir), target, settings.max_seeds, _tell)
    click.echo(f"{settings.state_dir} is backed up in {target}, and the backup is complete")


@command.command("restore")
@click.argument("source", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--partition", type=click.IntRange(0), help="restore only the store of this partition")
@with_settings("state")
def put_back(settings: Settings, source: Path, partition: int | None) -> None:
    """Restore the backup SOURCE.

    The state directory must be empty or not exist. With --partition only that store is restored, beside the others;
    it must not be there.
    """
    state_dir = Path(settings.state_dir)
    if partition is not None:
        there = restore_store(source, state_dir, partition, settings.max_seeds, _tell)
        click.echo(f"{there} is restored from {source}: start the flow")
        return
    restore(source, state_dir, settings.max_seeds, _tell)
    click.echo(f"{settings.state_dir} is restored from {source}: start the flow")


def _tell(words: str) -> None:
    click.echo(words, err=True)


def _stores(settings: Settings) -> Iterator[SeedStore]:
    """Each store in turn, open while it is looked at."""
    state_dir = Path(settings.state_dir)
    refuse_cut_off(state_dir)
    paths = store_paths(state_dir)
    if not paths:
        raise no_stores(state_dir)
    for path in paths.values():
        with closing(SeedStore.inspect(path, settings.max_seeds, settings.item_ttl)) as store:
            yield store


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise RalmError(str(error)) from error
    except InvalidMessage as error:
        msg = f"the item's centroids are damaged: {error}; `ralm state verify` says what else is"
        raise RalmError(msg) from error


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
