"""What a worker process does: it has one plan, makes each task once, and runs cells on it."""

import time
from dataclasses import asdict
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flows.offline.datasets.layout import Dataset, load
from flows.offline.evaluation.cells import Job, digest, options_of, write
from flows.offline.evaluation.cold import cold_task_of
from flows.offline.evaluation.plan import Plan
from flows.offline.evaluation.tower_store import TowerFiles
from ralm.features import Interactions
from ralm.models.model import Model, SeedModel
from ralm.progress import Report
from ralm.protocol.cold import ColdTask, judge_cold
from ralm.protocol.judge import judge
from ralm.protocol.task import Task

PACKAGES = ("ralm-streaming", "numpy", "scipy", "scikit-learn", "torch", "implicit")


class CellWork:
    """Runs cells of one plan.

    Args:
        plan: the experiment.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def run(self, job: Job, report: Report) -> None:
        """Run a cell and keep it.

        Raises:
            ValueError: when the catalogue has changed since the plan was made.
        """
        model = self._plan.entries[job.model].make()
        if options_of(model) != job.options:
            msg = f"{job.model} is not what it was when the run began; start again"
            raise ValueError(msg)
        if hasattr(model, "use_store"):
            model.use_store(TowerFiles(self._plan.work / f"towers-{digest([job.fingerprint, job.task])}"))
        result = self._cold(model, job, report) if job.kind == "cold" else self._task_cell(model, job, report)
        write(self._plan.work, job, {**result, "versions": versions()})

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
        return cold_task_of(self._dataset, self._data, self._plan.protocol)

    def _task_cell(self, model: Model, job: Job, report: Report) -> dict[str, Any]:
        task = self._task
        began = time.monotonic()
        model.fit(task.train, job.rng_seed, report)
        fitted = time.monotonic()
        report("scoring", 0, 1, float("nan"))
        if task.warm:
            scores = model.scores(task.users, task.items)
        elif isinstance(model, SeedModel):
            scores = model.scores_of_seeds(task.users, task.seeds)
        else:
            msg = f"{job.model} cannot answer for items that it has not learned of"
            raise ValueError(msg)
        scored = time.monotonic()
        figures, exposed = judge(scores, task, job.rng_seed)
        return {
            "figures": asdict(figures),
            "exposure": exposed.tolist(),
            "log": list(getattr(model, "log", [])),
            "seconds_fit": fitted - began,
            "seconds_score": scored - fitted,
        }

    def _cold(self, model: Model, job: Job, report: Report) -> dict[str, Any]:
        cold = self._cold_task
        if cold is None or not isinstance(model, SeedModel):
            msg = f"there are no cold items to ask {job.model} for"
            raise ValueError(msg)
        model.fit(cold.task.train, job.rng_seed, report)
        report("scoring", 0, 1, float("nan"))
        points = judge_cold(model, cold, job.rng_seed)
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


def versions() -> dict[str, str]:
    """The versions that figures may depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
