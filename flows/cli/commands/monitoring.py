"""``ralm monitoring``: what reads the metrics, for your own Prometheus, Alertmanager and Grafana."""

from pathlib import Path

import click

from flows.cli.options import OnceGroup
from monitoring.export import export


@click.group("monitoring", cls=OnceGroup)
def command() -> None:
    """Rules, alerts, dashboards and runbooks, for your own Prometheus, Alertmanager and Grafana."""


@command.command("export")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--target", "targets", multiple=True, metavar="HOST:PORT", help="a process to scrape; repeatable  [127.0.0.1:9464]"
)
@click.option(
    "--repository", default="", metavar="URL", help="where this repository can be read, for links to runbooks"
)
def export_into(folder: Path, targets: tuple[str, ...], repository: str) -> None:
    """Write rules, dashboards, consoles, runbooks and examples of configurations into DIR.

    Files of the same names are overwritten, others stay. Start Prometheus with --config.file=DIR/prometheus.yml and
    --web.console.templates=DIR/consoles, and open /consoles/ralm.html there.
    """
    written = export(folder, targets, repository)
    for path in written:
        click.echo(folder / path)
