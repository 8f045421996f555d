"""What was asked and on what, in words: the head of an experiment's report."""

from collections.abc import Iterable

from flows.config.fields import flag
from flows.config.settings import Settings, names_of
from flows.offline.datasets.layout import Dataset
from flows.offline.evaluation.cells import Cell
from flows.offline.evaluation.plan import Plan
from flows.support.machine import processor
from ralm.protocol.task import Task

_CUTS = {
    "time": "the first {share} of all clicks are learned from, later ones are asked for",
    "user": "the first {share} of each user's clicks are learned from, the user's later ones are asked for",
    "items": "nothing is learned of {rest} of the items with enough clickers; they are given by the earlier half of "
    "their clickers and asked for the later half",
}
_NOT_OF_RESULT = ("eval_results", "eval_work", "eval_processes")


def facts(plan: Plan, dataset: Dataset, task: Task, cells: list[Cell]) -> dict[str, str]:
    """Everything that a reader must know of the task, by what it is about."""
    floors = plan.protocol.floors
    order = "" if dataset.timed else "; the clicks have no times, so that their order is random"
    share, rest = f"{plan.protocol.cut:g}", f"{1 - plan.protocol.cut:g}"
    left_out = {what: count for what, count in task.left_out.items() if count}
    return {
        "data": f"{dataset.name}: {len(dataset.event_times):,} clicks of {len(dataset.user_ids):,} users on "
        f"{len(dataset.item_ids):,} items; fingerprint {dataset.fingerprint()[:16]}",
        "split": f"{plan.protocol.split}: {_CUTS[plan.protocol.split].format(share=share, rest=rest)}{order}",
        "learned from": f"{len(task.train.clicks_user):,} clicks",
        "judged": f"{len(task.users):,} users, {len(task.items):,} items, {int(task.wanted.sum()):,} positives",
        "floors": f"{floors.clicks} clicks of a user, {floors.seeds} seeds of an item, at most {floors.users:,} users",
        "left out": ", ".join(f"{count:,} {what}" for what, count in left_out.items()) or "nothing",
        "rng_seeds": ", ".join(map(str, plan.rng_seeds)),
        "versions": ", ".join(f"{name} {version}" for name, version in _versions(cells)),
        "machine": processor(),
    }


def command_of(settings: Settings, name: str, options: Iterable[str] = ()) -> str:
    """The command that makes the same tables again: whatever is not a default, but folders and speed."""
    given = [
        f"{flag(key)} {getattr(settings, key)}"
        for key in names_of("evaluate")
        if key not in _NOT_OF_RESULT and getattr(settings, key) != Settings.model_fields[key].default
    ]
    return " ".join(["ralm evaluate", name, *given, *options])


def _versions(cells: list[Cell]) -> list[tuple[str, str]]:
    return sorted({pair for cell in cells for pair in cell.get("versions", {}).items()})
