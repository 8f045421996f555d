"""``ralm train``: from a data set to a bundle."""

from pathlib import Path

import click
from rich.console import Console

from flows.cli.options import with_settings
from flows.config.settings import Settings
from flows.offline.datasets.layout import load
from flows.offline.training import Split, config_of, train_bundle
from flows.support.progress import epoch_bars


@click.command("train")
@click.argument("name")
@with_settings("data", "bundle", "train", "rng_seed")
def command(settings: Settings, name: str) -> None:
    """Train a bundle on the data set NAME of the data folder (see `ralm data`).

    The latest clicks are held out; where clicks have no times, a random share of each user's.
    """
    dataset = load(Path(settings.data_dir) / name)
    learned = 1.0 - settings.train_held_out
    split = Split(before=dataset.time_at(learned)) if dataset.timed else Split(share_of_user=learned)
    path = Path(settings.bundle)
    with epoch_bars() as progress:
        details = train_bundle(dataset, split=split, path=path, config=config_of(settings), progress=progress)
    figures = details["figures"]
    Console().print(
        f"Bundle in {path}. On {figures['pairs']:,} held-out clicks on {figures['items']:,} items: "
        f"AUC {figures['auc']:.3f} (users' activity alone {figures['auc_activity']:.3f}), "
        f"hit rate at 10 {figures['hit_rate']:.3f} (popularity {figures['hit_rate_popularity']:.3f})."
    )
