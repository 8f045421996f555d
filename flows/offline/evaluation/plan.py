"""What an experiment is made of: data, split, models and rng_seeds, checked before anything runs, and its cells."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from flows.config.fields import nearest, split_list
from flows.config.settings import Settings
from flows.offline.datasets.folders import folder_of
from flows.offline.datasets.layout import Dataset, load
from flows.offline.evaluation.cells import CellSpec, options_of
from flows.offline.evaluation.stream_catalogue import StreamEntry
from flows.support.errors import ConfigError
from flows.support.machine import cores
from ralm.features import Interactions
from ralm.models.catalogue import MAIN_GROUP, OURS, TOWERS, CatalogueEntry
from ralm.models.model import SeedModel
from ralm.protocol.cold import ColdTask, cold_task
from ralm.protocol.split import Floors, item_split, time_split, user_split
from ralm.protocol.task import Task


@dataclass(frozen=True)
class Protocol:
    """What decides the task, beside the data.

    Attributes:
        split: ``time``, ``user`` or ``items``.
        cut: share that is learned from: of the clicks, of each user's clicks, or of the items.
        floors: who is not judged.
    """

    split: str
    cut: float
    floors: Floors

    def task(self, data: Interactions, before: int | None) -> Task:
        """The task.

        Args:
            data: all clicks.
            before: for the split by time the cut, ms.

        Raises:
            ValueError: when nothing is left to learn from or to judge.
        """
        if self.split == "items":
            return item_split(data, 1.0 - self.cut, self.floors)
        if before is None:
            return user_split(data, self.cut, self.floors)
        return time_split(data, before, self.floors)

    def before(self, dataset: Dataset) -> int | None:
        """The cut of the split by time, ms; None for the others."""
        return dataset.time_at(self.cut) if self.split == "time" else None

    def cold_task(self, dataset: Dataset, data: Interactions) -> ColdTask | None:
        """The cold items of a data set; None when too few items have enough clickers."""
        return cold_task(data, dataset.time_at(self.cut) if dataset.timed else None, floors=self.floors)

    def shown(self) -> dict[str, Any]:
        """As plain values, for the cells."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """An experiment, as its worker processes get it.

    Attributes:
        name: of the data set.
        data: folder of the data set.
        protocol: what decides the task.
        catalogue: the module whose ``CATALOGUE`` names the models.
        runs: the rng_seeds of each model's runs, in the order of the catalogue.
        work: folder of the cells and of what models share.
    """

    name: str
    data: Path
    protocol: Protocol
    catalogue: str
    runs: Mapping[str, tuple[int, ...]]
    work: Path

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models."""
        return tuple(self.runs)

    @property
    def entries(self) -> dict[str, CatalogueEntry]:
        """The chosen models."""
        known = entries(self.catalogue)
        return {name: known[name] for name in self.models}


def plan_of(settings: Settings, name: str) -> tuple[Plan, Dataset]:
    """The experiment that the settings name, and its data set.

    Raises:
        ConfigError: when the data set, a model or a group is not known, or the data cannot be split so.
        RalmError: when the data set cannot be read.
    """
    dataset = loaded(settings, name)
    runs = chosen_runs(
        settings.eval_models, entries(settings.eval_catalogue), _rng_seeds("eval_rng_seeds", settings.eval_rng_seeds)
    )
    split = settings.eval_split
    if split == "auto":
        split = "time" if dataset.timed else "user"
    if split == "time" and not dataset.timed:
        msg = f"the clicks of {name} have no times and cannot be split by time; say --eval-split user or items"
        raise ConfigError(msg)
    protocol = Protocol(split, settings.eval_cut, Floors(settings.eval_floor_clicks, settings.eval_floor_seeds))
    work = Path(settings.eval_work) / name
    return Plan(name, Path(settings.data_dir) / name, protocol, settings.eval_catalogue, runs, work), dataset


def loaded(settings: Settings, name: str) -> Dataset:
    """The data set of a name.

    Raises:
        ConfigError: when there is none of that name.
        RalmError: when it cannot be read.
    """
    return load(folder_of(settings.data_dir, name))


def specs_of(plan: Plan, fingerprint: str) -> list[CellSpec]:
    """The cells of the task: each model with each rng_seed, those that can answer at all.

    Models that are trained for long and share a tower come first, so that no worker is left alone with one at the
    end; the rng_seeds alternate, so that workers seldom wait for one another's tower.
    """
    asked = plan.protocol.shown()
    able = [name for name in plan.models if plan.protocol.split != "items" or _answers_seeds(plan, name)]
    return _specs(plan, "task", able, asked, fingerprint)


def cold_specs_of(plan: Plan, fingerprint: str) -> list[CellSpec]:
    """The cells for cold items, of the main models, ours and the best printed forms: other variants differ elsewhere.

    They do not depend on the split but where the cut by time gives them.
    """
    asked = {"cut": plan.protocol.cut, "floors": plan.protocol.shown()["floors"]}
    of = plan.entries
    curved = [name for name in of if of[name].group == MAIN_GROUP or of[name].family == OURS or of[name].has_curve]
    able = [name for name in curved if _answers_seeds(plan, name)]
    return _specs(plan, "cold", able, asked, fingerprint)


def entries(catalogue: str) -> dict[str, CatalogueEntry]:
    """The models of a catalogue.

    Raises:
        ConfigError: when the module cannot be found, or has no catalogue.
    """
    try:
        found: dict[str, CatalogueEntry] = import_module(catalogue).CATALOGUE
    except (ModuleNotFoundError, AttributeError, ValueError) as error:
        if isinstance(error, ModuleNotFoundError) and not catalogue.startswith(error.name or " "):
            raise
        msg = (
            f"eval_catalogue = {catalogue!r} must be a module with a dictionary CATALOGUE "
            f"(see docs/experiment.md): {error}"
        )
        raise ConfigError(msg) from error
    return found


def chosen_runs(
    text: str, known: Mapping[str, CatalogueEntry | StreamEntry], rng_seeds: tuple[int, ...]
) -> dict[str, tuple[int, ...]]:
    """The models that a text of names, ``@groups`` and ``@families`` stands for, and the rng_seeds of each one's runs.

    ``NAME:0`` or ``@group:0+1`` is run with those alone; what is named twice, with those of both.

    Returns:
        In the order of the catalogue.

    Raises:
        ConfigError: naming what is not known.
    """
    groups = {f"@{name}" for entry in known.values() for name in (entry.group, entry.family) if name}
    names = ["auto", "all", *known, *sorted(groups)]
    asked: dict[str, tuple[int, ...]] = {}
    for part in split_list(text) or ["auto"]:
        name, colon, own = part.partition(":")
        if name not in names:
            msg = f"there is no model {name!r}{nearest(name, names)}; there are {', '.join(names)}"
            raise ConfigError(msg)
        asked[name] = (
            *asked.get(name, ()),
            *(_rng_seeds("eval_models", own.replace("+", ",")) if colon else rng_seeds),
        )
    runs = {
        name: tuple(sorted({seed for called in _called(name, entry) for seed in asked.get(called, ())}))
        for name, entry in known.items()
    }
    return {name: seeds for name, seeds in runs.items() if seeds}


def _called(name: str, entry: CatalogueEntry | StreamEntry) -> list[str]:
    """All that a model can be asked for by."""
    quick = [] if entry.family == TOWERS else ["auto"]
    return ["all", *quick, name, f"@{entry.group}", f"@{entry.family}"]


def processes_of(settings: Settings) -> int:
    """Worker processes: as many as were asked for, or one for each core that this one may use."""
    return settings.eval_processes or cores()


def _rng_seeds(setting: str, text: str) -> tuple[int, ...]:
    parts = split_list(text)
    if (
        not parts
        or not all(part.isascii() and part.isdigit() for part in parts)
        or len({*map(int, parts)}) < len(parts)
    ):
        between = "commas" if setting == "eval_rng_seeds" else "plus signs"
        msg = f"the rng_seeds {text!r} in {setting} must be different whole numbers with {between} between"
        raise ConfigError(msg)
    return tuple(int(part) for part in parts)


def _specs(plan: Plan, kind: str, models: list[str], asked: dict[str, object], fingerprint: str) -> list[CellSpec]:
    of = plan.entries
    made = {name: of[name].make() for name in models}
    order = sorted(models, key=lambda name: not hasattr(made[name], "use_store"))
    return [
        CellSpec(kind, name, of[name].group, rng_seed, options_of(made[name]), asked, fingerprint, of[name].family)
        for name in order
        for rng_seed in plan.runs[name]
    ]


def _answers_seeds(plan: Plan, name: str) -> bool:
    return isinstance(plan.entries[name].make(), SeedModel)
