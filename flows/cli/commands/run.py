"""``ralm run``: run a dataflow."""

from importlib.metadata import version

import click

from flows.cli.options import with_settings
from flows.config.settings import Settings
from flows.run import FLOWS, run_flow
from flows.support.errors import ConfigError
from state.bundle.bundle import BundleError

_READING = ("kafka", "source", "messages", "brake", "state", "process", "metrics", "bundle")
_GROUPS = (*_READING, "windows", "seeds", "clustering", "scoring")


@click.command("run")
@click.argument("flow", type=click.Choice(list(FLOWS)))
@click.option("--check", is_flag=True, help="print the settings that are in force, secrets masked, and stop")
@with_settings(*_GROUPS)
def command(settings: Settings, flow: str, check: bool) -> None:
    """Run the dataflow look-alike (everything), seeds (clicks to centroids) or scores (requests to answers).

    SIGTERM drains it: what was read is finished and snapshotted, and it exits with 0. A kill loses nothing. SIGUSR1
    lets it read on topics that it does not read because of too many dead letters.
    """
    if check:
        click.echo(settings.shown((*_GROUPS, "logs")))
        return
    try:
        run_flow(flow, settings, version("ralm-streaming"))
    except BundleError as error:
        raise ConfigError(str(error)) from error
