"""``ralm run``: run a dataflow."""

import sys
from importlib.metadata import version

import click

from flows.cli.options import ORIGINS, OnceCommand, with_settings
from flows.config.settings import Settings
from flows.preflight.findings import Verdict
from flows.preflight.preflight import look
from flows.run import FLOWS, run_flow
from flows.support.logs import masked
from flows.support.signals import ignore_signals

_READING = ("kafka", "source", "messages", "events", "brake", "state", "process", "metrics", "bundle")
_GROUPS = (*_READING, "windows", "seeds", "clustering", "scoring")

_ANSWER_S = 5.0
"""How long ``--check`` waits for a broker; a flow waits longer, since one may be starting beside it."""


@click.command("run", cls=OnceCommand)
@click.argument("flow", type=click.Choice(list(FLOWS)))
@click.option(
    "--check",
    is_flag=True,
    help="print the effective settings and where each came from, check everything that the flow needs, and stop",
)
@with_settings(*_GROUPS)
def command(settings: Settings, flow: str, check: bool) -> None:
    """Run the dataflow look-alike (everything), seeds (clicks to centroids) or scores (requests to answers).

    Before it starts it checks the bundle, the state directory, the metrics port, the brokers, the topics and this
    user's rights, and refuses to start if it could not work; --check only prints these checks, a line each, and exits
    with 0 or 2.

    SIGTERM, Ctrl-C and closing the terminal drain it: it finishes and saves what was read, and exits with 0. A kill
    loses nothing. SIGUSR1 makes it continue with topics that it stopped reading because of too many dead letters.
    """
    if not check:
        run_flow(flow, settings, version("ralm-streaming"))
        ignore_signals()
        return
    origins = click.get_current_context().meta[ORIGINS]
    click.echo(masked(f"{settings.shown((*_GROUPS, 'logs'), origins)}\n"))
    report, _ = look(FLOWS[flow].topics, settings, answer_s=_ANSWER_S, stores=True)
    for line in report.lines():
        click.echo(masked(line))
    sys.exit(2 if report.of(Verdict.PROBLEM) else 0)
