"""``ralm evaluate``: compare the model with its baselines."""

import click

from flows.cli.options import OnceCommand, with_settings
from flows.cli.output import output
from flows.config.settings import Settings
from flows.offline.datasets.folders import folder_of
from flows.support.progress import working


@click.command("evaluate", cls=OnceCommand)
@click.argument("name")
@click.option(
    "--protocol",
    type=click.Choice(["ranking", "stream"]),
    default="ranking",
    show_default=True,
    help="ranking: models on a held-out part; stream: clicks replayed in order, with new items and live vectors",
)
@click.option("--cold/--no-cold", default=True, help="also evaluate cold items: quality against the number of seeds")
@click.option("--plots/--no-plots", default=True, help="draw plots")
@with_settings("data", "evaluate")
def command(settings: Settings, name: str, protocol: str, cold: bool, plots: bool) -> None:
    """Compare all models on the data set NAME of the data folder (see `ralm data`); write tables and plots.

    What was run before is not run again; Ctrl-C or a kill loses what is in progress, no more. Exits with 1 when a
    model failed, after the others are done. The protocol is in docs/experiment.md.
    """
    folder_of(settings.data_dir, name)
    with working(f"loading {name}"):
        from flows.offline.evaluation.experiment import run_experiment  # noqa: PLC0415 (brings torch)
        from flows.offline.evaluation.stream_experiment import run_stream  # noqa: PLC0415 (brings torch)

    if protocol == "stream":
        run_stream(settings, name, plots=plots, console=output())
        return
    run_experiment(settings, name, cold=cold, plots=plots, console=output())
