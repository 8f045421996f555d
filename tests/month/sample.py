"""How much the flow takes at the end of a day."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient

from flows.support.metrics_page import MetricsPage


@dataclass(frozen=True)
class Sample:
    """What there is at the end of a day.

    Attributes:
        day: from 1 on.
        clicks: sent so far.
        items: with seeds.
        seeds: of all items.
        listed: items of which the candidates topic is remembered.
        index: items in the live index.
        held: keys of the centroids topic whose last message is no tombstone.
        rss_mib: memory of the flow's processes and their children, less the size of the stores' logs: RocksDB
            has what is in those in memory too, up to 32 MB of a store.
        threads: theirs.
        descriptors: theirs.
        children: processes that they have started.
        state_mib: of the state directory, without the stores' logs.
        logs_mib: of those: they grow to 64 MB a store before RocksDB begins anew, and are not judged.
        state_files: files in it.
        temporary: files in the flow's folder for temporary files.
        log_kib: logged on this day.
        series: on the metrics pages.
        status_kib: of the status page, as JSON.
        groups: consumer groups of the broker.
        topics: of the broker.
    """

    day: int
    clicks: int
    items: int
    seeds: int
    listed: int
    index: int
    held: int
    rss_mib: float
    threads: int
    descriptors: int
    children: int
    state_mib: float
    logs_mib: float
    state_files: int
    temporary: int
    log_kib: float
    series: int
    status_kib: float
    groups: int
    topics: int


@dataclass(frozen=True)
class Taken:
    """What processes take together."""

    rss_mib: float
    threads: int
    descriptors: int
    children: int


def taken(pids: Iterable[int]) -> Taken:
    """What processes and their children take now."""
    roots = set(pids)
    every = roots | set(_descendants(roots))
    rss, threads, descriptors = 0, 0, 0
    for pid in every:
        with suppress(OSError):  # a child may have ended
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            status = dict(line.split(":", 1) for line in lines if ":" in line)
            rss += int(status.get("VmRSS", "0 kB").split()[0])
            threads += int(status["Threads"])
            descriptors += len(os.listdir(f"/proc/{pid}/fd"))
    return Taken(rss / 1024, threads, descriptors, len(every) - len(roots))


def _descendants(roots: set[int]) -> Iterator[int]:
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                after_name = (folder / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(after_name[1]), []).append(int(folder.name))
    waiting = list(roots)
    while waiting:
        for child in parents.get(waiting.pop(), ()):
            yield child
            waiting.append(child)


def files_in(folder: Path, pattern: str = "*") -> tuple[int, float]:
    """How many files of this name lie in a folder and below, and their MiB."""
    count, size = 0, 0
    for path in folder.rglob(pattern):
        with suppress(FileNotFoundError):  # the flow goes on meanwhile
            if path.is_file():
                count, size = count + 1, size + path.stat().st_size
    return count, size / 2**20


def on_the_broker(servers: str) -> tuple[int, int]:
    """How many consumer groups and topics the broker has."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    groups = admin.list_consumer_groups(request_timeout=20).result()
    return len(groups.valid), len(admin.list_topics(timeout=20).topics)


def sums(pages: Iterable[MetricsPage]) -> dict[str, int]:
    """What the metrics pages of all processes say."""
    pages = list(pages)
    names = {"items": "ralm_items", "seeds": "ralm_seeds", "listed": "ralm_listed_items", "index": "ralm_index_items"}
    found = {short: round(sum(page.total(name) for page in pages)) for short, name in names.items()}
    return {**found, "series": sum(len(page.samples) for page in pages)}
