"""What a worker process does: it has one plan, makes each task once, and runs cells on it."""

import time
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from flows.offline.datasets.layout import Dataset, load
from flows.offline.evaluation.cells import CELL_FORMAT, CellSpec, digest, options_of, write_cell
from flows.offline.evaluation.plan import Plan
from flows.support.machine import processor
from ralm.accuracy import Doubles
from ralm.features import Interactions
from ralm.models.fit_store import Arrays
from ralm.models.model import Model, SeedModel
from ralm.progress import Report
from ralm.protocol.cold import ColdTask, judge_cold
from ralm.protocol.judge import judge
from ralm.protocol.task import Task
from state.atomic_file import atomic_write

PACKAGES = ("ralm-streaming", "numpy", "scipy", "scikit-learn", "torch", "implicit")


class CellWork:
    """Runs cells of one plan.

    Args:
        plan: the experiment.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def run(self, spec: CellSpec, report: Report) -> None:
        """Run a cell and keep it.

        Raises:
            ValueError: when the catalogue has changed since the plan was made.
        """
        model = self._plan.entries[spec.model].make()
        if options_of(model) != spec.options:
            msg = f"{spec.model} is not what it was when the run began; start again"
            raise ValueError(msg)
        if hasattr(model, "use_store"):
            model.use_store(FitFiles(self._plan.work / f"fits-{digest([CELL_FORMAT, spec.fingerprint, spec.task])}"))
        result = self._cold(model, spec, report) if spec.kind == "cold" else self._task_cell(model, spec, report)
        write_cell(self._plan.work, spec, {**result, **made_here()})

    @cached_property
    def _dataset(self) -> Dataset:
        return load(self._plan.data)

    @cached_property
    def _data(self) -> Interactions:
        return self._dataset.interactions()

    @cached_property
    def _task(self) -> Task:
        return self._plan.protocol.task(self._data, self._plan.protocol.before(self._dataset))

    @cached_property
    def _cold_task(self) -> ColdTask | None:
        return self._plan.protocol.cold_task(self._dataset, self._data)

    def _task_cell(self, model: Model, spec: CellSpec, report: Report) -> dict[str, Any]:
        task = self._task
        began = time.monotonic()
        model.fit(task.train, spec.rng_seed, report)
        fitted = time.monotonic()
        report("scoring", 0, 1, float("nan"))
        if task.warm:
            scores = model.scores(task.users, task.items)
        elif isinstance(model, SeedModel):
            scores = model.scores_of_seeds(task.users, task.seeds)
        else:
            msg = f"{spec.model} cannot answer for items that it has not learned of"
            raise ValueError(msg)
        scored = time.monotonic()
        judged = judge(scores, task, spec.rng_seed)
        return {
            "figures": asdict(judged.figures),
            "exposure": judged.exposed.tolist(),
            "by_item": {kind: _listed(aucs) for kind, aucs in judged.by_item.items()},
            "by_user": _listed(judged.by_user),
            "log": list(getattr(model, "log", [])),
            "seconds_fit": fitted - began,
            "seconds_score": scored - fitted,
        }

    def _cold(self, model: Model, spec: CellSpec, report: Report) -> dict[str, Any]:
        cold = self._cold_task
        if cold is None or not isinstance(model, SeedModel):
            msg = f"there are no cold items to ask {spec.model} for"
            raise ValueError(msg)
        model.fit(cold.task.train, spec.rng_seed, report)
        report("scoring", 0, 1, float("nan"))
        points = judge_cold(model, cold, spec.rng_seed)
        for point in points:
            point.update({unit: _listed(point[unit]) for unit in ("by_item", "by_user")})
        left_out = ", ".join(f"{count:,} {what}" for what, count in cold.task.left_out.items() if count)
        return {
            "cold": {
                "how": cold.how,
                "items": len(cold.task.items),
                "positives": int(cold.task.wanted.sum()),
                "left_out": left_out,
                "points": points,
            }
        }


def made_here() -> dict[str, Any]:
    """The machine, and the versions that figures may depend on."""
    return {"machine": processor(), "versions": versions()}


def versions() -> dict[str, str]:
    """The versions that figures may depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _listed(values: Doubles) -> list[float | None]:
    """Numbers as JSON has them, six digits; None for NaN."""
    return [None if np.isnan(value) else round(value, 6) for value in values.tolist()]


class FitFiles:
    """Keeps arrays under keys, each a file in a folder that all workers share: a user tower is most of a training.

    Args:
        folder: for one data set and one task.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str) -> Arrays | None:
        """The arrays of a key; None when there are none, or they are damaged."""
        try:
            found: Arrays = load_file(self._file(key))
        except (OSError, SafetensorError):
            return None
        return found

    def put(self, key: str, arrays: Arrays) -> None:
        """Keep the arrays of a key; they are there whole or not at all."""
        with atomic_write(self._file(key)) as work:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, work)

    def lock(self, key: str) -> AbstractContextManager[object]:
        """Held by one process at a time; given up when the process ends, however it ends."""
        return FileLock(self._file(key).with_suffix(".lock"))

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.safetensors"
