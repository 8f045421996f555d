"""The report of an experiment as Markdown, its head, and its short form for the terminal."""

from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.table import Column, Table

from flows.config.fields import flag
from flows.config.groups import names_of
from flows.config.settings import Settings
from flows.offline.datasets.layout import Dataset
from flows.offline.evaluation.against import against_rows
from flows.offline.evaluation.cells import Cell
from flows.offline.evaluation.made_on import made_on
from flows.offline.evaluation.plan import Plan
from flows.offline.evaluation.table import Row, cold_rows, rows_of, shown
from flows.support.machine import processor
from ralm.models.catalogue import MAIN_GROUP, OURS, CatalogueEntry
from ralm.protocol.bootstrap import DRAWS
from ralm.protocol.negatives import NEGATIVE_KINDS
from ralm.protocol.task import Task

CONTROLS = ("activity", "ralm")
"""Beside every comparison: the control, and the model that the variants are variants of."""
OUR_CONTROLS = ("activity", "both")
"""Beside variants of our own models."""
LEAST_USERS = 100
"""Fewer judged users are said to be too few."""
_BEST, _MOST_RANKED = 10, 50
"""Items that are ranked for a user in the figures that matter most, and in the others."""
_RANKED = ("prec10", "prec50", "ndcg10", "recall50")
_SPREAD = ("coverage", "gini", "tail", "categories", "entropy")
_AUCS = tuple((name, kind) for name in ("auc", "auc_item") for kind in NEGATIVE_KINDS)
_HEAD = {
    "auc": "AUC",
    "auc_item": "AUC by item",
    "prec10": "prec@10",
    "prec50": "prec@50",
    "ndcg10": "NDCG@10",
    "recall50": "recall@50",
    "coverage": "coverage",
    "gini": "Gini",
    "tail": "tail",
    "categories": "categories",
    "entropy": "entropy",
}
_SEEDS = 30
"""Of cold items, the number of seeds that is told of."""
_SAID = (
    ("Who clicks an item, among users who click as much (AUC by item, matched)", "warm", "auc_item", "matched"),
    ("The best ten items of a user (prec@10)", "warm", "prec10", None),
    ("Who clicks a new item{given} (AUC by item, matched)", "cold", "auc", "matched"),
)
_CUTS = {
    "time": "the first {share} of all clicks are learned from, later ones are asked for",
    "user": "the first {share} of each user's clicks are learned from, the user's later ones are asked for",
    "items": "nothing is learned of {rest} of the items with enough clickers; they are given by the earlier half of "
    "their clickers and asked for the later half",
}
_NOT_OF_RESULT = ("eval_results", "eval_work", "eval_processes")


def metadata(plan: Plan, dataset: Dataset, task: Task, cells: list[Cell]) -> dict[str, str]:
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
        "rng_seeds": ", ".join(map(str, sorted({seed for seeds in plan.runs.values() for seed in seeds}))),
        **made_on(cells, processor()),
    }


def judged_note(task: Task) -> str:
    """How many users are judged, and what that means where they are few."""
    users = len(task.users)
    if users >= LEAST_USERS:
        return f"{users:,} users are judged."
    others = " and ".join(f"--eval-split {name}" for name in ("user", "items") if name != task.name)
    return (
        f"Only {users:,} users are judged: too few to tell models apart. Look at the intervals, not at the order; "
        f"lower --eval-cut or the floors, or try {others}."
    )


def items_note(task: Task) -> str:
    """What it means where no more items are judged than are ranked for a user; empty where there are more."""
    items = len(task.items)
    if items > _MOST_RANKED:
        return ""
    most, figures = (_MOST_RANKED, f"prec@{_MOST_RANKED} and recall@{_MOST_RANKED} say")
    if items <= _BEST:
        most, figures = _BEST, f"prec@{_BEST} says"
    return f"Only {items} items are judged: the best {most} of a user are all of them, and {figures} nothing."


def cold_note(cells: list[Cell]) -> str:
    """Of how many users cold items are asked, and what it means where they are few; empty without cold items."""
    cold = next((cell["cold"] for cell in cells if cell["cold"]), None)
    if cold is None or "by_user" not in cold["points"][-1]:
        return ""
    users = len(cold["points"][-1]["by_user"])
    few = "" if users >= LEAST_USERS else ": too few to tell models apart, look at the intervals"
    return f"Cold items: {cold['items']:,} items, {cold['how']}, are asked of {users:,} users{few}."


def categories_note(dataset: Dataset) -> str:
    """What it means where no item has a category; empty where some have."""
    if (dataset.categories != "").any():
        return ""
    return "The items have no categories: nothing can be said of how varied those of a user are (categories, entropy)."


def sentences(cells: list[Cell], against: list[Row]) -> Iterator[str]:
    """What the figures that matter most say, a line for each; nothing where ours or the others were not run."""
    main = {cell["model"] for cell in cells if cell["group"] == MAIN_GROUP}
    for about, asked, figure, negatives in _SAID:
        rows = [row for row in against if (row["asked"], row["figure"], row["negatives"]) == (asked, figure, negatives)]
        seeds = sorted({row["seeds"] or 0 for row in rows})
        rows = [row for row in rows if (row["seeds"] or 0) == (_SEEDS if _SEEDS in seeds else seeds[-1])]
        ours = [row for row in rows if row["model"] in main]
        if not ours:
            continue
        best = max(ours, key=lambda row: float(row["difference"]))
        given = f" of {best['seeds']} seeds" if best["seeds"] else ""
        if best["low"] > 0:
            found = f"{best['model']} is better than the best of the others, {best['rival']}"
        elif best["high"] < 0:
            found = f"{best['rival']} is better than the best of ours, {best['model']}"
        else:
            found = f"{best['model']} and {best['rival']} cannot be told apart"
        yield (
            f"{about.format(given=given)}: {found} (difference {best['difference']:+.3f}, 95% of draws between "
            f"{best['low']:+.3f} and {best['high']:+.3f})."
        )


def command_of(settings: Settings, name: str, options: Iterable[str] = ()) -> str:
    """The command that makes the same tables again: whatever is not a default, but folders and speed."""
    given = [
        f"{flag(key)} {getattr(settings, key)}"
        for key in names_of("evaluate")
        if key not in _NOT_OF_RESULT and getattr(settings, key) != Settings.model_fields[key].default
    ]
    return " ".join(["ralm evaluate", name, *given, *options])


def markdown_report(
    title: str,
    about: dict[str, str],
    cells: list[Cell],
    entries: dict[str, CatalogueEntry],
    notes: Sequence[str],
) -> str:
    """The report.

    Args:
        title: what was compared on what.
        about: the task's metadata.
        cells: all that are there.
        entries: the models.
        notes: what else is to be said.
    """
    rows = rows_of(cells)
    parts = [f"# {title}", "", *(f"- **{name}**: {text}" for name, text in about.items())]
    parts += ["", *(f"{note}\n" for note in notes)]
    for group in dict.fromkeys(entries[row["model"]].group for row in rows):
        parts += _group(group, rows, entries, chosen_by_run(cells))
    return "\n".join([*parts, *_cold(cells), *_against(cells)]).rstrip() + "\n"


def short(cells: list[Cell]) -> Table:
    """The figures that matter most, for the terminal."""
    table = Table(Column("model", no_wrap=True), box=box.SIMPLE_HEAD)
    for head in (*(f"{_HEAD[name]}\n{kind}" for name, kind in _AUCS), "prec@10", "NDCG@10", "Gini"):
        table.add_column(head, justify="right")
    for pair in _pairs(rows_of(cells)):
        numbers = [pair[NEGATIVE_KINDS.index(kind)][name] for name, kind in _AUCS]
        numbers += [pair[0][name] for name in ("prec10", "ndcg10", "gini")]
        table.add_row(pair[0]["model"], *(f"{number:.3f}" for number in numbers))
    return table


def _figure_of(row: Row) -> str:
    """What was asked of users or items, in words.

    >>> _figure_of({"figure": "auc", "negatives": "matched", "seeds": 10})
    'AUC by item, matched, 10 seeds'
    """
    name = {"auc": "AUC by item", "auc_item": "AUC by item"}.get(row["figure"], "prec@10")
    seeds = f"{row['seeds']} seeds" if row["seeds"] else None
    return ", ".join(part for part in (name, row["negatives"], seeds) if part)


def _difference_of(row: Row) -> str:
    return f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


def chosen_by_run(cells: list[Cell]) -> dict[str, str]:
    """What each model that chooses a number on validation chose, run by run; a log has that as its epoch 0.

    >>> runs = [{"model": "a", "log": [{"stage": f"g {g}", "epoch": 0}]} for g in (0.1, 0.2)]
    >>> chosen_by_run([*runs, {"model": "b", "log": [{"stage": "tower", "epoch": 1}]}])
    {'a': 'g 0.1; g 0.2'}
    """
    found: dict[str, list[str]] = {}
    for cell in cells:
        for line in cell.get("log") or ():
            if line["epoch"] == 0:
                found.setdefault(cell["model"], []).append(line["stage"])
    return {model: "; ".join(stages) for model, stages in found.items()}


def _group(group: str, rows: list[Row], entries: dict[str, CatalogueEntry], by_run: dict[str, str]) -> list[str]:
    """The table of a group; the best of what has a best is bold (exposure has none: more even is not better)."""
    chosen = [pair for pair in _pairs(rows) if entries[pair[0]["model"]].group == group]
    if group != MAIN_GROUP:
        controls = OUR_CONTROLS if entries[chosen[0][0]["model"]].family == OURS else CONTROLS
        chosen = [pair for pair in _pairs(rows) if pair[0]["model"] in controls] + chosen
    columns = [[shown(pair[NEGATIVE_KINDS.index(kind)], name) for pair in chosen] for name, kind in _AUCS]
    values = [[pair[NEGATIVE_KINDS.index(kind)][name] for pair in chosen] for name, kind in _AUCS]
    columns += [[shown(row, name) for row, _ in chosen] for name in (*_RANKED, *_SPREAD)]
    values += [[row[name] for row, _ in chosen] for name in _RANKED]
    for texts, numbers in zip(columns, values, strict=False):
        best = max(range(len(numbers)), key=numbers.__getitem__)
        texts[best] = f"**{texts[best]}**"
    heads = [f"{_HEAD[name]}, {kind}" for name, kind in _AUCS] + [_HEAD[name] for name in (*_RANKED, *_SPREAD)]
    body = [
        [pair[0]["model"], *(texts[place] for texts in columns), f"{pair[0]['seconds']:.1f}", str(pair[0]["seeds"])]
        for place, pair in enumerate(chosen)
    ]
    described = [f"- `{pair[0]['model']}`: {entries[pair[0]['model']].description}" for pair in chosen]
    described = [
        f"{line}; chosen on validation, run by run: {by_run[pair[0]['model']]}" if pair[0]["model"] in by_run else line
        for line, pair in zip(described, chosen, strict=True)
    ]
    return [f"## {group}", "", *markdown_table(["model", *heads, "seconds", "rng_seeds"], body), "", *described, ""]


def _cold(cells: list[Cell]) -> list[str]:
    rows = cold_rows(cells)
    if not rows:
        return []
    cold = next(cell["cold"] for cell in cells if cell["cold"])
    given = sorted({row["seeds"] for row in rows})
    asked = f"{cold['items']} items, {cold['how']}; the same {cold['positives']:,} positives for every number of seeds."
    parts = ["## Cold items", "", f"{asked} Left out: {cold['left_out'] or 'nothing'}.", ""]
    for title, negatives, figure in (
        *((f"AUC by item, {kind} negatives", kind, "auc") for kind in NEGATIVE_KINDS),
        ("prec@10 among these items", NEGATIVE_KINDS[0], "prec10"),
    ):
        body = [
            [model, *(shown(row, figure) for row in rows if (row["model"], row["negatives"]) == (model, negatives))]
            for model in dict.fromkeys(row["model"] for row in rows)
        ]
        parts += [f"{title}:", "", *markdown_table(["model", *(f"{n} seeds" for n in given)], body), ""]
    return parts


def _against(cells: list[Cell]) -> list[str]:
    """A line for each figure: its best rival, and how much better or worse each of our models is."""
    rows = against_rows(cells)
    models = list(dict.fromkeys(row["model"] for row in rows))
    if not models:
        return []
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        text, is_clear = _difference_of(row), row["low"] > 0 or row["high"] < 0
        line = lines.setdefault((row["asked"], _figure_of(row)), {"rival": f"`{row['rival']}`"})
        line[row["model"]] = f"**{text}**" if is_clear else text
    head = ["asked", "figure", "best rival", *models]
    body = [[*what, line["rival"], *(line.get(model, "") for model in models)] for what, line in lines.items()]
    about = (
        "What each of our models has above the best of the main models that are not ours, with the interval of 95% of "
        f"{DRAWS:,} draws of a paired bootstrap over items (AUC) or users (precision); bold where it leaves 0 out. The "
        "figures of several runs are averaged before."
    )
    return ["## Ours against the best of the others", "", about, "", *markdown_table(head, body, left=3), ""]


def _pairs(rows: list[Row]) -> list[tuple[Row, Row]]:
    """Of each model its two rows, in the order of the kinds of negatives."""
    return list(zip(rows[:: len(NEGATIVE_KINDS)], rows[1 :: len(NEGATIVE_KINDS)], strict=True))


def markdown_table(head: Sequence[str], body: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """A table in Markdown, line by line; all columns but the first ``left`` are numbers."""
    lines = [head, [*["---"] * left, *["---:"] * (len(head) - left)], *body]
    return ["| " + " | ".join(line) + " |" for line in lines]
