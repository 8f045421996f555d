"""``ralm bench``: measure what this machine does."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import click
from rich.table import Table

from flows.bench.clustering import PoolFigures, measure_forms, measure_pools
from flows.bench.idle import measure_idle
from flows.bench.ingest import measure_ingest
from flows.bench.neighbours import measure_neighbours
from flows.bench.store import measure_store
from flows.bench.week import WeekPlan, simulate
from flows.cli.options import OnceGroup
from flows.cli.output import output
from flows.support.machine import describe_machine
from state.atomic_file import remove_left_behind

_MAY_GROW = 1.2
_PREFIX = "ralm-bench-"


def _work_folder(parent: str | None = None) -> TemporaryDirectory[str]:
    """A folder to work in; those that benchmarks left which were killed are removed."""
    remove_left_behind(Path(parent or gettempdir()), f"{_PREFIX}*")
    return TemporaryDirectory(prefix=_PREFIX, dir=parent)


@click.group("bench", cls=OnceGroup)
def command() -> None:
    """Measure how fast the parts are on this machine."""


@command.command("ingest")
@click.option("--clicks", type=click.IntRange(1000), default=500_000, show_default=True, help="clicks in the topic")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="runs of each side")
def ingest(clicks: int, runs: int) -> None:
    """Measure clicks read per second.

    By one process, compared with what the bare Kafka client reads.
    """
    console = output()
    with _work_folder() as folder, console.status("starting") as status:
        figures = measure_ingest(Path(folder), clicks, runs, status.update)
    console.print(
        f"{figures.clicks:,} clicks of {figures.bytes_each:.0f} bytes, 4 partitions, one process\n"
        f"client alone   {figures.raw_per_s:>12,.0f} /s (median of {runs})\n"
        f"dataflow       {figures.flow_per_s:>12,.0f} /s (median of {runs}), "
        f"{figures.flow_per_s / figures.raw_per_s:.2f} of the client alone\n"
        f"processor      {figures.cpu_us:>12.2f} us a click, all threads of the flow\n"
        f"memory         {figures.rss_mib[0]} MiB after the first clicks, {figures.rss_mib[1]} halfway, "
        f"{figures.rss_mib[2]} at the end\n"
        f"on             {describe_machine()}",
        highlight=False,
        soft_wrap=True,
    )


@command.command("idle")
@click.option("--flow", type=click.Choice(["look-alike", "seeds", "scores"]), default="look-alike", show_default=True)
@click.option("--seconds", type=click.FloatRange(1), default=10.0, show_default=True, help="how long to measure")
@click.option("--settle", type=click.FloatRange(0), default=5.0, show_default=True, help="seconds to wait before")
def idle(flow: str, seconds: float, settle: float) -> None:
    """Measure the processor time of an idle flow.

    And that of the embedded broker, while no message flows.
    """
    console = output()
    with _work_folder() as folder, console.status("starting") as status:
        figures = measure_idle(Path(folder), flow, seconds, settle, status.update)
    console.print(
        f"{flow} and embedded broker, idle for {figures.seconds:.1f} s, in percent of a core\n"
        f"dataflow       {figures.flow:>6.1f} %\n"
        f"broker         {figures.broker:>6.1f} %\n"
        f"its long poll  {figures.long_poll:>6.1f} %\n"
        f"together       {figures.total:>6.1f} %\n"
        f"on             {describe_machine()}",
        highlight=False,
        soft_wrap=True,
    )


@command.command("week")
@click.option("--items", type=click.IntRange(10), default=50_000, show_default=True, help="items born in all")
@click.option("--clicks", type=click.IntRange(2016), default=50_000_000, show_default=True, help="clicks in all")
@click.option("--days", type=click.IntRange(2), default=7, show_default=True, help="days of event time")
@click.option("--rng-seed", type=click.IntRange(0), default=0, show_default=True, help="fixes items and clicks")
def week(items: int, clicks: int, days: int, rng_seed: int) -> None:
    """Play a week of event time on one partition.

    Without a broker. Exits with 1 if disk or memory grow by 20%.
    """
    console = output()
    plan = WeekPlan(items, clicks, days, 3_000_000, rng_seed)
    with _work_folder() as folder, console.status("starting") as status:
        figures, longest = simulate(Path(folder), plan, status.update)
    table = Table("day", "clicks", "items", "seeds", "disk, MiB", "memory, MiB", "clusterings", "shed")
    for day in figures:
        counts = (f"{value:,}" for value in (day.reclusters, day.shed))
        sizes = (f"{value:,.0f}" for value in (day.disk_mib, day.rss_mib))
        table.add_row(str(day.day), f"{day.clicks:,}", f"{day.items:,}", f"{day.seeds:,}", *sizes, *counts)
    console.print(table)
    disk, memory = (getattr(figures[-1], name) / getattr(figures[0], name) for name in ("disk_mib", "rss_mib"))
    console.print(
        f"last day against first: disk {disk:.2f}, memory {memory:.2f}; longest pause of the dataflow {longest:.2f} s\n"
        f"on             {describe_machine()}",
        highlight=False,
        soft_wrap=True,
    )
    if max(disk, memory) > _MAY_GROW:
        sys.exit(1)


@command.command("store")
@click.option("--seeds", type=click.IntRange(1000), default=3_000_000, show_default=True, help="seeds of the big item")
@click.option("--churns", type=click.IntRange(1), default=6, show_default=True, help="times a third is replaced")
@click.option("--items", type=click.IntRange(100), default=20_000, show_default=True, help="items of a generation")
@click.option("--generations", type=click.IntRange(1), default=5, show_default=True, help="generations")
@click.option(
    "--folder", type=click.Path(exists=True, file_okay=False), help="where to write  [default: the usual place]"
)
def store(seeds: int, churns: int, items: int, generations: int, folder: str | None) -> None:
    """Measure disk use and pauses of a store.

    Bytes per seed, the longest pause of a write, and disk over generations of items.
    """
    console = output()
    with _work_folder(folder) as made, console.status("starting") as status:
        figures = measure_store(
            Path(made), seeds=seeds, churns=churns, items=items, generations=generations, progress=status.update
        )
    console.print(
        f"one item of {figures.seeds:,} seeds, a third replaced {churns} times\n"
        f"disk           {figures.bytes_after:.1f} bytes a seed after compaction, at most {figures.bytes_before:.1f} "
        "before\n"
        f"pauses         {figures.write_s * 1000:.0f} ms the longest of {figures.writes} small epochs' writes while "
        f"the item was merged ({figures.fold_s:.2f} s); a bare synced append beside them: {figures.bare_s * 1000:.0f} "
        f"ms; {figures.big_write_s * 1000:.0f} ms the longest of its own\n"
        f"{figures.items:,} items born and retired {generations} times\n"
        f"disk           {', '.join(str(mib) for mib in figures.disk_mib)} MiB with each generation alive\n"
        f"               {', '.join(str(mib) for mib in figures.empty_mib)} MiB after each was retired\n"
        f"on             {describe_machine()}",
        highlight=False,
        soft_wrap=True,
    )


@command.command("clustering")
@click.option("--seeds", type=click.IntRange(2), default=300, show_default=True, help="seeds of an item")
@click.option("--items", type=click.IntRange(10), default=1000, show_default=True, help="items through the pool")
@click.option("--users", type=click.IntRange(1000), default=1_000_000, show_default=True, help="users of the bundle")
@click.option("--dim", type=click.IntRange(1), default=128, show_default=True, help="numbers of a vector")
def clustering(seeds: int, items: int, users: int, dim: int) -> None:
    """Measure clusterings per second.

    Compiled and with scikit-learn, alone and beside a busy interpreter.
    """
    console = output()
    forms = Table("seeds", "form", "ms an item", "inertia", "warm, ms", "inertia")
    with _work_folder() as folder, console.status("starting") as status:
        for size, sets in _SETS.items():
            status.update(f"clustering sets of {size:,}")
            for form in measure_forms(size, sets, 20, dim):
                found = [(form.ms, 2), (form.inertia, 3), (form.warm_ms, 2), (form.warm_inertia, 3)]
                cells = ["" if value is None else f"{value:.{digits}f}" for value, digits in found]
                forms.add_row(f"{size:,}", form.name, *cells)
        pools = measure_pools(Path(folder), seeds=seeds, items=items, users=users, dim=dim, progress=status.update)
    console.print("k-means alone, processor time of one thread; inertia over that of KMeans with 10 starts")
    console.print(forms)
    console.print(f"the pool's whole way, {seeds:,} seeds an item, {users:,} users; items/s")
    console.print(_pool_table(pools))
    console.print(f"on             {describe_machine()}", highlight=False, soft_wrap=True)


@command.command("neighbours")
@click.option("--items", type=click.IntRange(1), default=5_000, show_default=True, help="live items")
@click.option("--users", type=click.IntRange(1), default=100_000, show_default=True, help="users among whom seeds are")
@click.option("--seeds", type=click.IntRange(1), default=300, show_default=True, help="mean seeds of an item")
@click.option("--dim", type=click.IntRange(1), default=96, show_default=True, help="numbers of a vector")
def neighbours(items: int, users: int, seeds: int, dim: int) -> None:
    """Measure what neighbours cost a scorer.

    Compared with the scores that they are added to; on one thread.
    """
    console = output()
    with console.status("measuring"):
        figures = measure_neighbours(items, users, seeds, dim)
    table = Table("requests together", "scores, ms", "neighbours, ms", "ratio")
    for batch in figures.batches:
        times = (f"{value * 1000:.1f}" for value in (batch.score_s, batch.near_s))
        table.add_row(str(batch.users), *times, f"{batch.near_s / batch.score_s:.2f}")
    console.print(table)
    console.print(
        f"update         {figures.update_s * 1000:.1f} ms of 100 items with sketches, "
        f"{figures.bare_update_s * 1000:.1f} without\n"
        f"memory         {figures.bytes_each:.0f} bytes an item's sketch\n"
        f"on             {describe_machine()}",
        highlight=False,
        soft_wrap=True,
    )


_SETS = {30: 200, 100: 200, 300: 200, 1000: 50, 10_000: 5, 50_000: 2}
"""Sets of each size that `ralm bench clustering` measures."""


def _pool_table(pools: list[PoolFigures]) -> Table:
    table = Table("beside", "items", "compiled", "one at a time, mini-batch", "ratio")
    for busy in (False, True):
        fast, slow = (
            next(pool for pool in pools if (pool.name, pool.busy) == (name, busy))
            for name in ("compiled", "mini-batch")
        )
        for kind, one, other in (
            ("cold", fast.cold_per_s, slow.cold_per_s),
            ("warm", fast.warm_per_s, slow.warm_per_s),
        ):
            beside = "a busy interpreter" if busy else "nothing"
            table.add_row(beside, kind, f"{one:,.0f}", f"{other:,.0f}", f"{one / other:.1f}")
    return table
