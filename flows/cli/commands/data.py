"""``ralm data``: bring a data set into a local folder."""

import re
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from flows.admin.dead_letters.show import printable
from flows.cli.options import OnceCommand, with_settings
from flows.cli.output import output
from flows.config.settings import Settings
from flows.offline.datasets import SOURCES, prepare_dataset
from flows.offline.datasets.layout import save
from flows.support.errors import ConfigError, RalmError
from flows.support.progress import working
from flows.support.text import counted
from state.atomic_file import atomic_write, make_writable

_DOWNLOADS = "downloads"
_MOST_FIELDS = 20
"""So many user fields are named in the last line."""


@click.command(
    "data",
    cls=OnceCommand,
    help=f"""Convert the data set NAME to the common layout under the data folder.

    Known names: {", ".join(SOURCES)}. All but ml100k are read from files that you have to get yourself, in the folder
    of --from. Any other NAME is data of your own in that folder (see docs/data.md); --init looks at its tables, writes
    data.toml there, shows what it uses each column for, and goes on if nothing is wrong.
    """,
)
@click.argument("name")
@click.option("--from", "folder", type=click.Path(path_type=Path), metavar="FOLDER", help="folder with the files")
@click.option("--init", is_flag=True, help="inspect the tables of your own data, and write data.toml")
@with_settings("data")
def command(settings: Settings, name: str, folder: Path | None, *, init: bool) -> None:
    """Bring a data set into the common layout."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name == _DOWNLOADS:
        msg = f"{name!r} cannot be the name of a data set: letters, digits, '.', '_' and '-', and not {_DOWNLOADS}"
        raise ConfigError(msg)
    if init:
        _describe(name, folder)
    place = Path(settings.data_dir)
    make_writable(place)
    with working(f"preparing {name}"):
        dataset = prepare_dataset(name, place / _DOWNLOADS, folder)
        save(dataset, place / name)
    shown = [f"{field} ({kind})" for field, (kind, _) in dataset.fields.items()]
    fields = ", ".join(
        [*shown[:_MOST_FIELDS], *([f"{len(shown) - _MOST_FIELDS:,} more"] if shown[_MOST_FIELDS:] else [])]
    )
    output().print(
        *map(printable, dataset.notes),
        f"{name}: {counted(len(dataset.event_times), 'click')} of {counted(len(dataset.user_ids), 'user')} on "
        f"{counted(len(dataset.item_ids), 'item')}, in {place / name}",
        f"user fields: {fields or 'none'}; item categories: {'yes' if (dataset.categories != '').any() else 'none'}",
        f"next: ralm train {name}",
        sep="\n",
    )


def _describe(name: str, folder: Path | None) -> None:
    """Write a first ``data.toml`` and show what it says."""
    if name in SOURCES or folder is None:
        msg = "--init is for data of your own: give it another name, and say --from FOLDER"
        raise ConfigError(msg)
    from flows.offline.datasets.first_description import describe_first  # noqa: PLC0415 (needs pyarrow)

    with working(f"looking at {folder}"):
        found = describe_first(folder)
    with atomic_write(folder / "data.toml") as file:
        file.write_text(found.text, encoding="utf-8")
    table = Table("file", "column", "type", "distinct", "missing", "taken as", box=None, pad_edge=False)
    for facts, taken in found.columns:
        shown = (facts.file, facts.name, facts.type, f"{facts.distinct:,}", f"{facts.missing:,}", taken)
        table.add_row(*(Text(printable(value)) for value in shown))
    output().print(table, "", *map(printable, found.notes), f"written: {folder / 'data.toml'}", sep="\n")
    if found.problems:
        raise RalmError("\n".join(found.problems))
