"""Which cells an experiment has, and in what order they are run."""

from flows.offline.evaluation.cells import Job, options_of
from flows.offline.evaluation.plan import Plan
from ralm.models.model import SeedModel

COLD_GROUP = "main"
"""The curve for cold items is made for the models of this group; the variants of others differ elsewhere."""


def jobs_of(plan: Plan, fingerprint: str) -> list[Job]:
    """The cells of the task: each model with each rng_seed, those that can answer at all.

    Models that are trained for long and share a tower come first, so that no worker is left alone with one at the
    end; the rng_seeds alternate, so that workers seldom wait for one another's tower.
    """
    asked = plan.protocol.shown()
    able = [name for name in plan.models if plan.protocol.split != "items" or _answers_seeds(plan, name)]
    return _jobs(plan, "task", able, asked, fingerprint)


def cold_jobs_of(plan: Plan, fingerprint: str) -> list[Job]:
    """The cells for cold items, which do not depend on the split but where the cut by time gives them."""
    asked = {"cut": plan.protocol.cut, "floors": plan.protocol.shown()["floors"]}
    able = [name for name in plan.models if plan.entries[name].group == COLD_GROUP and _answers_seeds(plan, name)]
    return _jobs(plan, "cold", able, asked, fingerprint)


def _jobs(plan: Plan, kind: str, models: list[str], asked: dict[str, object], fingerprint: str) -> list[Job]:
    made = {name: plan.entries[name].make() for name in models}
    order = sorted(models, key=lambda name: not hasattr(made[name], "use_store"))
    return [
        Job(kind, name, plan.entries[name].group, rng_seed, options_of(made[name]), asked, fingerprint)
        for name in order
        for rng_seed in plan.rng_seeds
    ]


def _answers_seeds(plan: Plan, name: str) -> bool:
    return isinstance(plan.entries[name].make(), SeedModel)
