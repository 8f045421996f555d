"""``ralm demo``: the whole system on real clicks."""

import shutil
import sys
from pathlib import Path

import click

from flows.cli.options import OnceCommand, with_settings
from flows.cli.output import output
from flows.config.groups import EncoderName
from flows.config.settings import Settings
from flows.support.errors import ConfigError
from flows.support.progress import working


@click.command("demo", cls=OnceCommand)
@click.option("--keep", is_flag=True, help="leave broker and flow running until Ctrl-C, to look at the status page")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=".ralm/demo",
    show_default=True,
    help="where everything is stored; data and bundle are reused",
)
@click.option("--live", is_flag=True, help="send clicks and requests of the present time until Ctrl-C instead")
@click.option("--dashboards", is_flag=True, help="with --live: start Prometheus beside it, with rules and dashboards")
@click.option("--days", type=click.IntRange(min=1), help="replay only so many days of clicks  [default: all]")
@click.option(
    "--encoder",
    type=click.Choice(["spectral", "both", "learned", "paper"]),
    default="spectral",
    show_default=True,
    help="what makes users' vectors; all but spectral need the extra train",
)
@with_settings("metrics", "prior", "rng_seed")
def command(
    settings: Settings, keep: bool, live: bool, dashboards: bool, folder: Path, days: int | None, encoder: EncoderName
) -> None:
    """Train on real clicks, start an embedded broker and the dataflow, replay the later clicks, and print a summary.

    With --live it sends clicks of the present time until Ctrl-C, to show a flow at work with its status page.

    Needs the extra demo, and no torch. The demo has settings of its own for the stream; they are in FOLDER/ralm.toml.
    """
    if dashboards and not live:
        msg = "--dashboards goes with --live: the replay is of another year, and over in a minute"
        raise ConfigError(msg)
    with working("loading"):
        from flows.demo.run import DemoOptions, run_demo  # noqa: PLC0415 (what comes first is a line for who waits)

    options = DemoOptions(folder, keep, days, encoder, live, dashboards, _program())
    run_demo(settings, options, output(markup=True, width=120))


def _program() -> str:
    """How to call ``ralm`` again: by name where that finds this installation, else by the path of this call."""
    called, found = Path(sys.argv[0]), shutil.which("ralm")
    if called.name != "ralm" or (found is not None and called.exists() and called.samefile(found)):
        return "ralm"
    return str(called)
