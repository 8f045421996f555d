"""The tables of the streaming protocol, as CSV and as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Column, Table

from flows.config.settings import Settings
from flows.offline.datasets.layout import Dataset
from flows.offline.evaluation.cells import Cell
from flows.offline.evaluation.made_on import made_on
from flows.offline.evaluation.report import LEAST_USERS, command_of, markdown_table
from flows.offline.evaluation.stream_catalogue import StreamEntry
from flows.offline.evaluation.table import write_csv
from flows.support.machine import processor
from flows.support.text import counted
from ralm.protocol.stream.choice import LATER
from ralm.protocol.stream.outcome import Resampled, Shown, StreamRate, judged_hits, less, shown_by
from ralm.protocol.stream.rankers import RIVAL_ROWS, Variant
from ralm.protocol.stream.replay import ITEM_GROUPS, LEAST_CANDIDATES, Replayed
from ralm.protocol.stream.requests import ASKED_AFTER
from ralm.protocol.stream.window import MIN_SEEDS

REFERENCES = ("popularity", "item-knn")
"""What the chosen row is compared with."""
PLAIN_ROW = "plain"
"""What each row of a catalogue of trials is compared with."""
_STAGES: dict[str, Sequence[int]] = {
    "later": [after for after in ASKED_AFTER if after >= LATER],
    "all": ASKED_AFTER,
    **{str(after): [after] for after in ASKED_AFTER},
}
"""Parts of the session: from the sixth click on, all, and each position."""
_COLUMNS = (
    "row",
    "prior",
    "neighbours",
    "extra",
    "recent",
    "group",
    "stage",
    "rate",
    "low",
    "high",
    "sd",
    "draws",
    "requests",
)
_SHOWN_COLUMNS = ("row", "prior", "neighbours", "extra", "recent", *Shown.__dataclass_fields__)


@dataclass(frozen=True)
class StreamResult:
    """What came of an experiment.

    Attributes:
        share: of the clicks before the cut.
        variants: what validation chose, by row.
        values: its value on validation, by row.
        draws: the test replays of each row's ranker.
        chosen: the row that validation prefers; None without live vectors.
        note: what the times do not tell; empty when they tell enough.
        cells: where and with what each replay was made, as `made_on` takes them.
    """

    share: float
    variants: Mapping[str, Variant]
    values: Mapping[str, float]
    draws: Mapping[str, tuple[Replayed, ...]]
    chosen: str | None
    note: str
    cells: tuple[Cell, ...]

    @cached_property
    def rates(self) -> dict[tuple[str, str, str], StreamRate]:
        """The figure of each row, group and stage."""
        return {
            (row, group, stage): self._resampled.rate(judged_hits(self.draws[row], variant, group, asked))
            for row, variant in self.variants.items()
            for group in ITEM_GROUPS
            for stage, asked in _STAGES.items()
        }

    @cached_property
    def differences(self) -> dict[tuple[str, str], StreamRate]:
        """How far the chosen row is above each reference in each group, from the sixth click on."""
        if self.chosen is None:
            return {}
        return {
            (reference, group): self._resampled.rate(
                less(self._later(self.chosen, group), self._later(reference, group))
            )
            for reference in REFERENCES
            if reference in self.variants
            for group in ITEM_GROUPS
        }

    @cached_property
    def above_plain(self) -> dict[tuple[str, str], StreamRate]:
        """How far each row is above `PLAIN_ROW` in each group, from the sixth click on; nothing without that row."""
        if PLAIN_ROW not in self.variants:
            return {}
        return {
            (row, group): self._resampled.rate(less(self._later(row, group), self._later(PLAIN_ROW, group)))
            for row in self.variants
            if row != PLAIN_ROW
            for group in ITEM_GROUPS
        }

    @cached_property
    def later_users(self) -> set[int]:
        """Who is asked for in a judged request from the sixth click on, in any draw."""
        return {
            user
            for draw in next(iter(self.draws.values()))
            for user in draw.requests.users[draw.judged.any(axis=0) & (draw.requests.asked_after >= LATER)].tolist()
        }

    @cached_property
    def shown(self) -> dict[str, Shown]:
        """What each row showed."""
        return {row: shown_by(self.draws[row], variant) for row, variant in self.variants.items()}

    @cached_property
    def _resampled(self) -> Resampled:
        return Resampled(1 + max(int(d.requests.users.max()) for draws in self.draws.values() for d in draws))

    def _later(self, row: str, group: str) -> Any:
        return judged_hits(self.draws[row], self.variants[row], group, _STAGES["later"])


def write_stream_report(
    settings: Settings,
    dataset: Dataset,
    entries: Mapping[str, StreamEntry],
    result: StreamResult,
    console: Console,
    *,
    plots: bool,
) -> None:
    """Write the tables and the plot, and print the short form."""
    results = Path(settings.eval_results)
    results.mkdir(parents=True, exist_ok=True)
    stem = f"{dataset.name}-stream"
    written = [results / f"{stem}.csv", results / f"{stem}-shown.csv", results / f"{stem}.md"]
    write_csv(written[0], _COLUMNS, _rows(result))
    write_csv(written[1], _SHOWN_COLUMNS, _shown_rows(result))
    command = command_of(settings, dataset.name, ["--protocol stream"])
    written[2].write_text("\n".join(_markdown(dataset, entries, result, command)) + "\n", encoding="utf-8")
    if plots:
        from flows.offline.evaluation.stream_plot import draw_stream  # noqa: PLC0415 (matplotlib is slow to import)

        written.append(draw_stream(result, stem, results))
    console.print(_short(result))
    for line in _sentences(result):
        console.print(line)
    console.print("Written: " + ", ".join(path.name for path in written) + f" in {results}", soft_wrap=True)


def _numbers(variant: Variant) -> dict[str, Any]:
    return asdict(variant)


def _rows(result: StreamResult) -> Iterator[dict[str, Any]]:
    for (row, group, stage), rate in result.rates.items():
        yield {
            **_numbers(result.variants[row]),
            "group": group,
            "stage": stage,
            "rate": rate.mean,
            "low": rate.low,
            "high": rate.high,
            "sd": _spread(rate),
            "draws": len(rate.of_draws),
            "requests": rate.requests,
        }


def _spread(rate: StreamRate) -> float | None:
    """Over the draws that have a figure; None of one."""
    there = [of_draw for of_draw in rate.of_draws if not np.isnan(of_draw)]
    return float(np.std(there, ddof=1)) if len(there) > 1 else None


def _shown_rows(result: StreamResult) -> Iterator[dict[str, Any]]:
    for row, figures in result.shown.items():
        yield {**_numbers(result.variants[row]), **asdict(figures)}


def _short(result: StreamResult) -> Table:
    table = Table(Column("hit rate at 10,\nfrom the 6th click on", no_wrap=True), box=box.SIMPLE_HEAD)
    for group in ITEM_GROUPS:
        table.add_column(group, justify="right")
    for row in result.variants:
        table.add_row(row, *(_shown_rate(result.rates[row, group, "later"]) for group in ITEM_GROUPS))
    return table


def _markdown(
    dataset: Dataset, entries: Mapping[str, StreamEntry], result: StreamResult, command: str
) -> Iterator[str]:
    first = next(iter(result.draws.values()))
    yield from (f"# {dataset.name}, streamed", "")
    yield (
        f"- **data**: {dataset.name}: {len(dataset.event_times):,} clicks of {len(dataset.user_ids):,} users on "
        f"{len(dataset.item_ids):,} items; fingerprint {dataset.fingerprint()[:16]}"
    )
    yield f"- **stream**: the clicks after the first {result.share:g}; {counted(len(first), 'draw')} of the new items"
    yield (
        f"- **requests**: {sum(len(d.requests) for d in first):,} in all draws; judged in the groups "
        + ", ".join(f"{name} {sum(int(d.judged[g].sum()) for d in first):,}" for g, name in enumerate(ITEM_GROUPS))
    )
    yield from (f"- **{about}**: {text}" for about, text in made_on(result.cells, processor(), "draws").items())
    yield from ("", f"Made by `{command}`; the protocol is in docs/experiment.md.", "")
    if result.note:
        yield from (result.note, "")
    yield from (*_sentences(result), "")
    for title, stage in (("From the sixth click on", "later"), ("All requests", "all")):
        yield from (f"## {title}", "")
        yield "Hit rate at 10, mean of the draws, and a 95% interval by a bootstrap over users."
        yield ""
        body = [
            [row, _of(variant), *(_shown_rate(result.rates[row, group, stage]) for group in ITEM_GROUPS)]
            for row, variant in result.variants.items()
        ]
        yield from (*markdown_table(["row", "numbers", *ITEM_GROUPS], body), "")
    if result.above_plain:
        yield from (f"## Above `{PLAIN_ROW}`, from the sixth click on", "")
        body = [
            [row, *(_shown_difference(result.above_plain[row, group]) for group in ITEM_GROUPS)]
            for row in result.variants
            if row != PLAIN_ROW
        ]
        yield from (*markdown_table(["row", *ITEM_GROUPS], body), "")
    for group in ("new", "all"):
        yield from (f"## By position in the session: {group} items", "")
        head = ["row", *(f"before click {after + 1}" for after in ASKED_AFTER)]
        body = [
            [row, *(_shown_mean(result.rates[row, group, str(after)]) for after in ASKED_AFTER)]
            for row in result.variants
        ]
        requests = [str(result.rates[next(iter(result.variants)), group, str(after)].requests) for after in ASKED_AFTER]
        yield from (*markdown_table(head, [*body, ["requests", *requests]]), "")
    yield from ("## What was shown", "")
    yield (
        "Among the first 10 of all candidates: distinct items and their share, the Gini coefficient of the exposure "
        "(higher is less even), the share of the places that went to the tail, the share of the new items that was "
        "ever shown, and the median of the clicks that a new item had before it was first shown."
    )
    yield ""
    body = [
        [
            row,
            f"{of.items:,.0f}",
            *(f"{x:.2f}" for x in (of.share, of.gini, of.tail, of.new_shown)),
            "-" if np.isnan(of.first_clicks) else f"{of.first_clicks:.0f}",
        ]
        for row, of in result.shown.items()
    ]
    head = ["row", "items", "share", "Gini", "tail", "new items shown", "clicks before"]
    yield from (*markdown_table(head, body), "")
    yield from (f"- `{name}`: {entry.description}" for name, entry in entries.items())


def _sentences(result: StreamResult) -> Iterator[str]:
    """Who was judged, and what the figures say, for the chosen row."""
    users = len(result.later_users)
    if not users:
        yield (
            "Nothing is judged from the sixth click on: no user clicks so often in the stream, at times that differ, "
            f"or none has {LEAST_CANDIDATES} candidates with {MIN_SEEDS} seeds there and clicks one of them next."
        )
    elif users < LEAST_USERS:
        yield (
            f"Only {users} users are judged from the sixth click on: too few to tell rankers apart. Look at the "
            "intervals, not at the order."
        )
    first = next(iter(result.variants))
    silent = [group for group in ITEM_GROUPS if not result.rates[first, group, "later"].requests]
    if users and silent:
        yield (
            f"Nothing is judged from the sixth click on of: {', '.join(silent)}. It takes {LEAST_CANDIDATES} such "
            f"items with {MIN_SEEDS} seeds, of which the user clicks one next."
        )
    if result.chosen is None:
        return
    chosen = result.variants[result.chosen]
    yield f"Of the rows with neighbours validation prefers `{result.chosen}` with {_of(chosen)}."
    for reference in REFERENCES:
        gains = [
            f"{group} {_shown_difference(rate)}"
            for (of, group), rate in result.differences.items()
            if of == reference and rate.requests
        ]
        if gains:
            yield f"Its hit rate from the sixth click on, less that of {reference}: {', '.join(gains)}."
    yield (
        f"Served with these: `--prior {chosen.prior:g} --neighbours {chosen.neighbours:g}` where requests are scored, "
        "`--sketches true` where centroids are made."
    )
    if other := worth_more_without(result.variants, result.values, result.chosen):
        yield (
            f"Without neighbours `{other}` with {_of(result.variants[other])} is worth more on validation: "
            f"{result.values[other]:.3f} against {result.values[result.chosen]:.3f}."
        )


def worth_more_without(variants: Mapping[str, Variant], values: Mapping[str, float], chosen: str) -> str | None:
    """The row of ours without neighbours that validation values most, if that is above the chosen one's value.

    >>> variants = {"live": Variant("live", 0.1), "live + neighbours": Variant("live + neighbours", 0.1, 0.5)}
    >>> worth_more_without(variants, {"live": 0.3, "live + neighbours": 0.2}, "live + neighbours")
    'live'
    """
    plain = [row for row, variant in variants.items() if not variant.neighbours and row not in RIVAL_ROWS]
    best = max(plain, key=lambda row: values[row], default=chosen)
    return best if values[best] > values[chosen] else None


def _of(variant: Variant) -> str:
    """The numbers of a variant that are not zero.

    >>> _of(Variant("live", prior=0.1, neighbours=2.0))
    'g 0.1, lambda 2'
    """
    numbers = (
        ("g", variant.prior),
        ("lambda", variant.neighbours),
        ("w", variant.recent),
        ("parameter", variant.extra),
    )
    return ", ".join(f"{name} {number:g}" for name, number in numbers if number) or "-"


def _shown_difference(rate: StreamRate) -> str:
    return f"{rate.mean:+.3f} [{rate.low:+.3f}, {rate.high:+.3f}]" if rate.requests else "-"


def _shown_mean(rate: StreamRate) -> str:
    return f"{rate.mean:.3f}" if rate.requests else "-"


def _shown_rate(rate: StreamRate) -> str:
    return f"{rate.mean:.3f} [{rate.low:.3f}, {rate.high:.3f}]" if rate.requests else "-"
