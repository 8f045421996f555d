"""The streaming protocol on one data set: cells that are not there yet are replayed, then tables are made of all."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console

from flows.config.settings import Settings
from flows.offline.datasets.layout import Dataset
from flows.offline.evaluation.cells import options_of
from flows.offline.evaluation.plan import chosen_runs, loaded
from flows.offline.evaluation.stream_catalogue import RIVALS, StreamEntry
from flows.offline.evaluation.stream_cells import StreamSpec, read_made, read_stream_cell, write_stream_cell
from flows.offline.evaluation.stream_report import StreamResult, write_stream_report
from flows.offline.evaluation.worker import made_here, versions
from flows.support.errors import ConfigError, RalmError
from flows.support.progress import bars
from ralm.features import Interactions
from ralm.progress import Report
from ralm.protocol.stream.choice import best_row, best_variants
from ralm.protocol.stream.cut import StreamCut, coarseness, cut_stream
from ralm.protocol.stream.rankers import Variant
from ralm.protocol.stream.replay import LEAST_CANDIDATES, Replayed, replay_stream
from ralm.protocol.stream.window import MIN_SEEDS
from state.atomic_file import make_writable

PARTS = ("validation", "test")
CHOSEN = "+ neighbours"
"""How the rows end among which validation chooses the encoder."""


def run_stream(settings: Settings, name: str, *, plots: bool, console: Console) -> None:
    """Replay what is not done yet, and write tables and a plot of everything.

    Args:
        settings: the groups data and evaluate.
        name: of the data set.
        plots: whether to draw.
        console: for what is said on the way.

    Raises:
        ConfigError: when something that was named is not known, or the data have no stream, before anything is run.
        RalmError: when a ranker has too little to go by, or no request can be judged.
    """
    dataset = loaded(settings, name)
    if not dataset.timed:
        msg = f"the clicks of {name} have no times, so that there is no stream to replay; leave out --protocol stream"
        raise ConfigError(msg)
    entries = _entries(settings)
    data = dataset.interactions()
    experiment = _Experiment(dataset, data, entries, settings.eval_stream_cut, Path(settings.eval_work) / name)
    draws = range(settings.eval_draws)
    experiment.check(draws)
    for place in (Path(settings.eval_work) / name, Path(settings.eval_results)):
        make_writable(place)
    note = coarseness(data)
    if note:
        console.print(note)
    experiment.run(draws)
    result = experiment.result(draws, note)
    if not any(draw.judged.any() for draw in result.draws[next(iter(result.draws))]):
        msg = (
            f"{name}: no request can be judged: at none do {LEAST_CANDIDATES} items that the user has not clicked have "
            f"{MIN_SEEDS} seeds, with one among them that it clicks next; it takes more clicks, or another "
            "--eval-stream-cut"
        )
        raise RalmError(msg)
    write_stream_report(settings, dataset, entries, result, console, plots=plots)


def _entries(settings: Settings) -> dict[str, StreamEntry]:
    """The chosen rankers, the rivals first.

    Raises:
        ConfigError: naming what is not known.
    """
    module = settings.eval_rankers
    try:
        known: dict[str, StreamEntry] = import_module(module).STREAM
    except (ModuleNotFoundError, AttributeError, ValueError) as error:
        if isinstance(error, ModuleNotFoundError) and not module.startswith(error.name or " "):
            raise
        msg = f"eval_rankers = {module!r} must be a module with a dictionary STREAM (see docs/experiment.md): {error}"
        raise ConfigError(msg) from error
    if RIVALS not in known:
        msg = f"the catalogue of {module} has no {RIVALS!r}, which all others are compared with"
        raise ConfigError(msg)
    chosen = chosen_runs(settings.eval_models, known, (0,))
    return {RIVALS: known[RIVALS]} | {name: known[name] for name in chosen}


@dataclass(frozen=True)
class _Experiment:
    dataset: Dataset
    data: Interactions
    entries: dict[str, StreamEntry]
    share: float
    work: Path

    def check(self, draws: range) -> None:
        """Refuse data that cannot be cut so."""
        try:
            for draw in draws:
                for part in PARTS:
                    self._cut(part, draw)
        except ValueError as error:
            msg = f"{self.dataset.name}: {error}; choose another --eval-stream-cut"
            raise ConfigError(msg) from error

    def run(self, draws: range) -> None:
        """Replay the cells that are not there."""
        missing = [spec for spec in self._specs(draws) if read_stream_cell(self.work, spec) is None]
        with bars() as progress:
            total = progress.add_task("replays", total=len(missing))
            for spec in missing:
                line = progress.add_task(f"{spec.ranker} {spec.part} {spec.draw}", total=1, at_once=False)

                def report(stage: str, done: int, of: int, _: float, line: object = line) -> None:
                    progress.update(line, completed=done, total=of, note=stage)  # type: ignore[arg-type]

                write_stream_cell(self.work, spec, self._replayed(spec, report), made_here())
                progress.update(line, visible=False)
                progress.advance(total)

    def result(self, draws: range, note: str) -> StreamResult:
        """What came of all cells, and what validation chose."""
        tests: dict[str, tuple[Replayed, ...]] = {}
        rows: dict[str, tuple[Variant, float]] = {}
        ranker_of: dict[str, str] = {}
        for ranker in self.entries:
            validation, tests[ranker] = (
                tuple(self._there(spec) for spec in self._specs(draws) if (spec.ranker, spec.part) == (ranker, part))
                for part in PARTS
            )
            best = best_variants(validation)
            rows |= best
            ranker_of |= dict.fromkeys(best, ranker)
        return StreamResult(
            self.share,
            {row: variant for row, (variant, _) in rows.items()},
            {row: value for row, (_, value) in rows.items()},
            {row: tests[ranker] for row, ranker in ranker_of.items()},
            best_row(rows, CHOSEN),
            note,
            tuple(
                {"model": spec.ranker, "rng_seed": spec.draw, "made": {"task": self._made(spec)}}
                for spec in self._specs(draws)
            ),
        )

    def _specs(self, draws: range) -> Iterator[StreamSpec]:
        fingerprint = self.dataset.fingerprint()
        for draw, part, (name, entry) in product(draws, PARTS, self.entries.items()):
            yield StreamSpec(name, options_of(entry.make()), part, draw, self.share, fingerprint)

    def _cut(self, part: str, draw: int) -> StreamCut:
        cut = cut_stream(self.data, self.share, draw)
        return cut if part == "test" else cut_stream(cut.learned, self.share, draw)

    def _replayed(self, spec: StreamSpec, report: Report) -> Replayed:
        cut = self._cut(spec.part, spec.draw)
        try:
            return replay_stream(cut, self.entries[spec.ranker].make(), spec.draw, report)
        except ValueError as error:
            msg = (
                f"{self.dataset.name}: {spec.ranker} on draw {spec.draw} of the {spec.part} stream: {error}; it takes "
                "more clicks, or another --eval-stream-cut"
            )
            raise RalmError(msg) from error

    def _made(self, spec: StreamSpec) -> dict[str, Any]:
        return read_made(self.work, spec) or {"machine": None, "versions": versions()}

    def _there(self, spec: StreamSpec) -> Replayed:
        found = read_stream_cell(self.work, spec)
        if found is None:
            msg = f"{self.work / spec.file} has gone while its experiment ran"
            raise ConfigError(msg)
        return found
