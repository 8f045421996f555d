"""``ralm bench``: measure, beside the raw client."""

from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console

from flows.benchmark.ingest import measure_ingest
from flows.benchmark.machine import describe_machine


@click.group("bench")
def command() -> None:
    """Measure how fast this machine does it."""


@command.command("ingest")
@click.option("--clicks", type=click.IntRange(1000), default=500_000, show_default=True, help="clicks in the topic")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="runs of each side")
def ingest(clicks: int, runs: int) -> None:
    """Clicks a second that one process takes in, beside what the Kafka client alone reads."""
    console = Console()
    with TemporaryDirectory(prefix="ralm-bench-") as folder, console.status("starting") as status:
        figures = measure_ingest(Path(folder), clicks, runs, status.update)
    console.print(
        f"{figures.clicks:,} clicks of {figures.bytes_each:.0f} bytes, 4 partitions, one process\n"
        f"client alone   {figures.raw_per_s:>12,.0f} /s (best of {runs})\n"
        f"dataflow       {figures.flow_per_s:>12,.0f} /s (median of {runs}), "
        f"{figures.flow_per_s / figures.raw_per_s:.2f} of the client alone\n"
        f"memory         {figures.rss_mib[0]} MiB after the first clicks, {figures.rss_mib[1]} halfway, "
        f"{figures.rss_mib[2]} at the end\n"
        f"on             {describe_machine()}",
        highlight=False,
        soft_wrap=True,
    )
