"""``ralm top``: the status page's numbers on a terminal."""

import sys
import time
from contextlib import suppress

import click
from rich.console import RenderableType
from rich.live import Live

from flows.cli.options import OnceCommand, with_settings
from flows.cli.output import output
from flows.cli.top_view import no_answer, top_view
from flows.config.settings import Settings
from flows.support.errors import RalmError
from flows.support.metrics_page import MetricsServer
from monitoring.address import asked_at


@click.command("top", cls=OnceCommand)
@click.option("--once", is_flag=True, help="print it once and stop; exits with 1 if the flow does not answer")
@click.option(
    "--every", type=click.FloatRange(0.2, 3600), default=2.0, show_default=True, help="seconds between updates"
)
@with_settings("metrics", "process_id")
def command(settings: Settings, once: bool, every: float) -> None:
    """Show what a running flow reads, serves and skips: its status page, on a terminal.

    It asks the flow at --metrics-host and --metrics-port (+ --process-id); a flow that took any free port has logged
    it. Ctrl-C ends it.
    """
    server = MetricsServer(asked_at(settings.metrics_host), settings.metrics_port + settings.process_id)
    console = output(width=120)
    if once or not sys.stdout.isatty():
        try:
            console.print(_report(server))
        except OSError as error:
            msg = (
                f"no flow answers at {server.home}: {error.strerror or error}. Start one with `ralm run look-alike`, "
                "or say where it is with --metrics-host and --metrics-port."
            )
            raise RalmError(msg) from error
        return
    with suppress(KeyboardInterrupt), Live(_view(server), console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(_view(server), refresh=True)
            time.sleep(every)


def _view(server: MetricsServer) -> RenderableType:
    try:
        return _report(server)
    except OSError as error:
        return no_answer(server.address, error.strerror or str(error))


def _report(server: MetricsServer) -> RenderableType:
    """The report as it is shown.

    Raises:
        OSError: when nobody answers, or somebody else than a flow of this version.
    """
    report = server.status()
    try:
        return top_view(report, server.address)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        msg = f"what answers is not a flow of this version ({type(error).__name__}: {error})"
        raise OSError(msg) from error
