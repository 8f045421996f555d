"""What the demo needs before it begins: data, a bundle, and the settings of its flow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from flows.config.flow_process import free_port
from flows.config.settings import Settings
from flows.demo.story import CUT, users_left_out
from flows.offline.datasets import prepare_dataset
from flows.offline.datasets.layout import Dataset, load, save
from flows.offline.training import Split, fit_options, train_bundle, trained_already
from flows.support.errors import RalmError
from flows.support.progress import bars, working
from ralm.features import Ints

DATA = "ml100k"
REPLAY = {
    "window": "2d",
    "idle_after": "1h",  # longer than the demo: no window closes for want of clicks
    "min_seeds": 5,
    "item_ttl": 0,
    "stale_after": "7d",
    "max_top_k": 2000,  # more than there are items: each answer is a whole ranking
}
"""What fits 943 users and clicks over eight months; everything else is as by default."""


@dataclass(frozen=True)
class Prepared:
    """Data and bundle.

    Attributes:
        data: the data set.
        cut: ms since the epoch; the bundle knows the clicks before it.
        left_out: the users (numbers) who have no vector.
    """

    data: Dataset
    cut: int
    left_out: Ints


def prepare_demo(settings: Settings, folder: Path) -> Prepared:
    """Bring the data and train the bundle, unless the folder has them.

    Raises:
        RalmError: when the data cannot be fetched or training fails.
    """
    data = _data(folder / "data")
    cut = data.time_at(CUT)
    left_out = users_left_out(data, cut, settings.rng_seed)
    split, options, path = Split(before=cut), fit_options(settings), folder / "bundle"
    if trained_already(path, data, split=split, options=options, left_out=left_out) is None:
        with bars() as progress:
            train_bundle(data, split=split, path=path, options=options, left_out=left_out, progress=progress.on_epoch)
    return Prepared(data, cut, left_out)


def flow_settings(
    given: Settings, folder: Path, bootstrap_servers: str, fitting: Mapping[str, Any] = MappingProxyType(REPLAY)
) -> Settings:
    """The settings of the demo's flow: defaults, what fits the clicks, and places under the folder."""
    places = {
        "bootstrap_servers": bootstrap_servers,
        "prior": given.prior,
        "rng_seed": given.rng_seed,
        "state_dir": str(folder / "state"),
        "bundle": str(folder / "bundle"),
        "data_dir": str(folder / "data"),
        "metrics_host": given.metrics_host,
        "metrics_port": free_port(given.metrics_host, given.metrics_port),
        "log_level": given.log_level,
        "log_format": given.log_format,
    }
    return Settings.model_validate({**fitting, **places})


def _data(folder: Path) -> Dataset:
    try:
        data = load(folder / DATA)
        if data.titles is not None:
            return data
    except RalmError:  # it is not there yet
        pass
    with working(f"preparing {DATA}"):
        data = prepare_dataset(DATA, folder / "downloads")
        save(data, folder / DATA)
    return data
