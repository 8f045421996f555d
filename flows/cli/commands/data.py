"""``ralm data``: bring a data set into a local folder."""

import re
from pathlib import Path

import click

from flows.cli.options import OnceCommand, with_settings
from flows.cli.output import output
from flows.config.settings import Settings
from flows.offline.datasets import SOURCES, prepare_dataset
from flows.offline.datasets.layout import save
from flows.support.errors import ConfigError
from flows.support.progress import working

_DOWNLOADS = "downloads"


@click.command(
    "data",
    cls=OnceCommand,
    help=f"""Bring the data set NAME into the common layout under the data folder.

    Known names: {", ".join(SOURCES)}. All but ml100k are read from files that you have to get yourself, in the folder
    of --from. Any other NAME is data of your own in that folder (see docs/data.md).
    """,
)
@click.argument("name")
@click.option("--from", "folder", type=click.Path(path_type=Path), metavar="FOLDER", help="folder with the files")
@with_settings("data")
def command(settings: Settings, name: str, folder: Path | None) -> None:
    """Bring a data set into the common layout."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name == _DOWNLOADS:
        msg = f"{name!r} cannot be the name of a data set: letters, digits, '.', '_' and '-', and not {_DOWNLOADS}"
        raise ConfigError(msg)
    place = Path(settings.data_dir)
    with working(f"preparing {name}"):
        dataset = prepare_dataset(name, place / _DOWNLOADS, folder)
        save(dataset, place / name)
    fields = ", ".join(f"{field} ({kind})" for field, (kind, _) in dataset.fields.items())
    output().print(
        f"{name}: {len(dataset.event_times):,} clicks of {len(dataset.user_ids):,} users on "
        f"{len(dataset.item_ids):,} items, in {place / name}",
        f"user fields: {fields or 'none'}; item categories: {'yes' if (dataset.categories != '').any() else 'none'}",
        sep="\n",
    )
