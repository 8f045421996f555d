"""``ralm train``: from a data set to a bundle."""

from pathlib import Path

import click

from flows.cli.options import OnceCommand, with_settings
from flows.cli.output import output
from flows.config.settings import Settings
from flows.offline.datasets.folders import folder_of
from flows.support.progress import bars
from flows.support.text import counted
from state.atomic_file import make_writable


@click.command("train", cls=OnceCommand)
@click.argument("name")
@with_settings("data", "bundle", "train", "clusters", "prior", "rng_seed")
def command(settings: Settings, name: str) -> None:
    """Train a bundle on the data set NAME of the data folder (see `ralm data`).

    The latest clicks are held out; where clicks have no times, a random share of each user's. --encoder spectral needs
    no torch; the others need the extra train.
    """
    path, folder = Path(settings.bundle), folder_of(settings.data_dir, name)
    with bars() as progress:
        loading = progress.add_task(f"loading {name}", total=None)
        from flows.offline.datasets.layout import load  # noqa: PLC0415 (what comes first is a line for who waits)
        from flows.offline.training import Split, fit_options, train_bundle  # noqa: PLC0415
        from flows.offline.verdict import verdict  # noqa: PLC0415

        dataset = load(folder)
        make_writable(path.parent)
        progress.remove_task(loading)
        learned = 1.0 - settings.train_held_out
        split = Split(before=dataset.time_at(learned)) if dataset.timed else Split(share_of_user=learned)
        options = fit_options(settings)
        details = train_bundle(dataset, split=split, path=path, options=options, progress=progress.on_epoch)
    figures = details["figures"]
    judged = f"{counted(figures['positives'], 'held-out click')} on {counted(figures['items'], 'item')}"
    output().print(
        f"Bundle in {path}, encoder {settings.encoder}, made in {details['training_seconds']:,.0f} s; judged on "
        f"{judged}. {verdict(figures, name)}"
    )
