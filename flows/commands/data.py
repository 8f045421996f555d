"""``ralm data``: bring a public data set into a local folder."""

from pathlib import Path

import click
from rich.console import Console

from flows.datasets import SOURCES
from flows.datasets.layout import save
from flows.options import with_settings
from flows.settings import Settings


@click.command("data")
@click.argument("name", type=click.Choice(sorted(SOURCES)))
@with_settings("data")
def command(settings: Settings, name: str) -> None:
    """Bring the data set NAME into the common layout under the data folder."""
    console, folder = Console(), Path(settings.data_dir)
    with console.status(f"bringing {name}"):
        dataset = SOURCES[name](folder / "downloads")
        save(dataset, folder / name)
    console.print(
        f"{name}: {len(dataset.event_times):,} clicks of {len(dataset.user_ids):,} users on "
        f"{len(dataset.item_ids):,} items, in {folder / name}"
    )
