"""The whole experiment: cells that are not there yet are run, then tables and plots are made of all of them."""

from pathlib import Path

from rich.console import Console

from flows.config.settings import Settings
from flows.offline.datasets.layout import Dataset
from flows.offline.evaluation.against import AGAINST_COLUMNS, against_rows
from flows.offline.evaluation.cells import Cell, CellSpec, collect_cells, read_cell
from flows.offline.evaluation.plan import Plan, cold_specs_of, plan_of, processes_of, specs_of
from flows.offline.evaluation.report import (
    categories_note,
    cold_note,
    command_of,
    items_note,
    judged_note,
    markdown_report,
    metadata,
    sentences,
    short,
)
from flows.offline.evaluation.runner import Failure, run_cells
from flows.offline.evaluation.table import COLD_COLUMNS, COLUMNS, cold_rows, rows_of, write_csv
from flows.support.errors import ConfigError, RalmError
from flows.support.text import counted
from ralm.protocol.cold import LEAST_ASKED, LEAST_COLD_ITEMS, SEED_TURNS
from ralm.protocol.task import Task
from state.atomic_file import make_writable

_MANY_CELLS = 100
"""Of more that are to be run it is said how fewer would do."""


def run_experiment(settings: Settings, name: str, *, cold: bool, plots: bool, console: Console) -> None:
    """Run what is not done yet, and write tables and plots of everything.

    Args:
        settings: the groups data and evaluate.
        name: of the data set.
        cold: whether to make the curve for cold items.
        plots: whether to draw.
        console: for what is said on the way.

    Raises:
        ConfigError: when something that was named is not known or cannot be, before anything is run.
        RalmError: when cells failed; the others are in the tables.
    """
    plan, dataset = plan_of(settings, name)
    data = dataset.interactions()
    try:
        task = plan.protocol.task(data, plan.protocol.before(dataset))
    except ValueError as error:
        msg = f"{name}: {error} (--eval-cut, --eval-floor-clicks, --eval-floor-seeds)"
        raise ConfigError(msg) from error
    make_writable(plan.work)
    make_writable(Path(settings.eval_results))
    notes = [note for note in (judged_note(task), items_note(task), categories_note(dataset)) if note]
    specs = specs_of(plan, dataset.fingerprint())
    if cold and plan.protocol.cold_task(dataset, data) is None:
        notes.append(
            f"Cold items: no {LEAST_COLD_ITEMS} items have {SEED_TURNS[1]} first clickers and {LEAST_ASKED} later ones "
            "who can be judged, so that no curve of quality against seeds is made."
        )
    elif cold:
        specs += cold_specs_of(plan, dataset.fingerprint())
    mute = sorted(set(plan.models) - {spec.model for spec in specs})
    if mute:
        notes.append(f"Cannot answer for items that they have not learned of: {', '.join(mute)}.")
    del data
    failures = _run(plan, specs, processes_of(settings), console)
    cells = _in_order(plan, collect_cells(specs, plan.work))
    if not any(cell["figures"] for cell in cells):
        raise RalmError(
            _failures_text(failures) or "none of the chosen models can answer for items it has not learned of"
        )
    notes += [note for note in (cold_note(cells),) if note]
    options = [option for option, on in (("--no-cold", not cold),) if on]
    notes.append(f"Made by `{command_of(settings, name, options)}`; the protocol is in docs/experiment.md.")
    for note in notes[:-1]:
        console.print(note)
    _write(settings, plan, cells, dataset, task, notes, console, plots=plots)
    if failures:
        raise RalmError(_failures_text(failures))


def _run(plan: Plan, specs: list[CellSpec], processes: int, console: Console) -> list[Failure]:
    missing = [spec for spec in specs if read_cell(plan.work, spec) is None]
    console.print(f"{len(specs) - len(missing)} of {len(specs)} cells are there already, {len(missing)} are to be run")
    if len(missing) > _MANY_CELLS and len(plan.models) == len(plan.entries):
        console.print(
            "A cell takes seconds to minutes; `--eval-models @main --eval-rng-seeds 0` runs the main models alone, once"
        )
    return run_cells(plan, missing, processes) if missing else []


def _in_order(plan: Plan, cells: list[Cell]) -> list[Cell]:
    return sorted(cells, key=lambda cell: (plan.models.index(cell["model"]), cell["rng_seed"]))


def _write(
    settings: Settings,
    plan: Plan,
    cells: list[Cell],
    dataset: Dataset,
    task: Task,
    notes: list[str],
    console: Console,
    *,
    plots: bool,
) -> None:
    results = Path(settings.eval_results)
    results.mkdir(parents=True, exist_ok=True)
    usual = "time" if dataset.timed else "user"
    stem = plan.name if plan.protocol.split == usual else f"{plan.name}-{plan.protocol.split}"
    written = [results / f"{stem}.csv", results / f"{stem}.md"]
    write_csv(written[0], COLUMNS, rows_of(cells))
    head = metadata(plan, dataset, task, cells)
    written[1].write_text(
        markdown_report(f"{plan.name}, split by {plan.protocol.split}", head, cells, plan.entries, notes),
        encoding="utf-8",
    )
    if any(cell["cold"] for cell in cells):
        written.append(results / f"{stem}-cold.csv")
        write_csv(written[-1], COLD_COLUMNS, cold_rows(cells))
    against = against_rows(cells)
    if against:
        written.append(results / f"{stem}-against.csv")
        write_csv(written[-1], AGAINST_COLUMNS, against)
    if plots:
        from flows.offline.evaluation.plots import PLOTS, draw  # noqa: PLC0415 (matplotlib takes a second to import)

        drawn = draw(cells, stem, results)
        written += drawn
        absent = [plot for plot in PLOTS if results / f"{stem}-{plot}.png" not in drawn]
        if absent:
            console.print(f"Not drawn, since the models that they compare were not run: {', '.join(absent)}")
    console.print(short(cells))
    for sentence in sentences(cells, against):
        console.print(sentence, soft_wrap=True)
    console.print("Written: " + ", ".join(path.name for path in written) + f" in {results}", soft_wrap=True)


def _failures_text(failures: list[Failure]) -> str:
    lines = [f"{counted(len(failures), 'cell')} failed, the others are kept:"] if failures else []
    for failure in failures:
        spec = failure.spec
        lines.append(f"{spec.model} with rng_seed {spec.rng_seed} ({spec.kind}): {failure.reason}")
        lines += [f"    {line}" for line in failure.trace.splitlines()]
    return "\n".join(lines)
