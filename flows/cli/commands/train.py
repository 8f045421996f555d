"""``ralm train``: from a data set to a bundle."""

from pathlib import Path

import click

from flows.cli.options import OnceCommand, with_settings
from flows.cli.output import output
from flows.config.settings import Settings
from flows.support.progress import bars


@click.command("train", cls=OnceCommand)
@click.argument("name")
@with_settings("data", "bundle", "train", "rng_seed")
def command(settings: Settings, name: str) -> None:
    """Train a bundle on the data set NAME of the data folder (see `ralm data`).

    The latest clicks are held out; where clicks have no times, a random share of each user's.
    """
    path = Path(settings.bundle)
    with bars() as progress:
        loading = progress.add_task(f"loading {name}", total=None)
        from flows.offline.datasets.layout import load  # noqa: PLC0415 (what comes first is a line for who waits)
        from flows.offline.training import Split, config_of, train_bundle  # noqa: PLC0415 (brings torch)

        dataset = load(Path(settings.data_dir) / name)
        progress.remove_task(loading)
        learned = 1.0 - settings.train_held_out
        split = Split(before=dataset.time_at(learned)) if dataset.timed else Split(share_of_user=learned)
        details = train_bundle(dataset, split=split, path=path, config=config_of(settings), progress=progress.on_epoch)
    figures = details["figures"]
    output().print(
        f"Bundle in {path}. On {figures['positives']:,} held-out clicks on {figures['items']:,} items: "
        f"AUC {figures['auc']:.3f} (users' activity alone {figures['auc_activity']:.3f}), "
        f"hit rate at 10 {figures['hit_rate']:.3f} (popularity {figures['hit_rate_popularity']:.3f})."
    )
