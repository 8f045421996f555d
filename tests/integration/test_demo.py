"""The demo in its short form, on made-up clicks: the command as a user calls it, and what it leaves behind."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import numpy as np
import pytest
from waiting import wait_until

from flows.offline.datasets.layout import Dataset, save

pytestmark = pytest.mark.broker

DAYS = 5
KEYS = {
    "clicks",
    "seed_sets",
    "windows",
    "items_clustered",
    "requests",
    "scored",
    "cold",
    "unknown",
    "dead_letters",
    "hit_rate",
    "hit_rate_popularity",
    "hit_rate_tail",
    "hit_rate_tail_popularity",
    "clicks_per_s",
    "requests_per_s",
    "latency_p50_ms",
    "latency_p99_ms",
}


def made_up() -> Dataset:
    """Clicks of two tastes over 60 days; from day 42 on most users are new."""
    rng = np.random.default_rng(7)
    n = 2400
    times = 10_300 * 86_400_000 + np.sort(rng.integers(0, 60 * 86_400, n)) * 1000
    users = np.where(times < times[int(0.7 * n)], rng.integers(0, 120, n), rng.integers(60, 200, n))
    items = rng.integers(0, 30, n) + 30 * (users % 2)
    user_ids, item_ids = np.array([f"u{v:03d}" for v in range(200)]), np.array([f"i{v:02d}" for v in range(80)])
    fields = {
        "taste": ("categorical", np.array(["even", "odd"] * 100)),
        "age": ("continuous", rng.integers(18, 80, 200).astype(np.float32)),
    }
    categories = np.array(["odd" if 30 <= v < 60 else "even" for v in range(80)])
    titles = np.array([f"Film {v}" for v in range(80)])
    return Dataset(
        "made-up", user_ids[users], item_ids[items], times, user_ids, fields, item_ids, categories, titles=titles
    )


class Demo:
    """The command in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "output.txt"
        save(made_up(), folder / "demo" / "data" / "ml100k")

    def start(self, *more: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "flows.cli.start", "demo", "--folder", str(self.folder / "demo")]
        env = {name: value for name, value in os.environ.items() if not name.startswith("RALM_")}
        # Settings of the environment and of the working folder are not the demo's.
        env |= {
            "RALM_BOOTSTRAP_SERVERS": "nowhere:1",
            "RALM_WINDOW": "7s",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        with self.output.open("wb") as output:
            return subprocess.Popen(
                [*command, "--metrics-port", "0", *more], stdout=output, stderr=output, cwd=self.folder, env=env
            )

    def run(self, *more: str) -> str:
        with self.start(*more) as process:
            assert process.wait(280) == 0, self.output.read_text()
        return self.output.read_text()

    def left(self, name: str) -> str:
        return (self.folder / "demo" / name).read_text()


def children(folder: Path) -> list[str]:
    """Command lines of processes that name the folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    pytest.importorskip("noida_db", reason="needs the embedded broker: install the extra 'broker'")
    return Demo(tmp_path_factory.mktemp("demo"))


class Left(NamedTuple):
    """What a run said, and the files that it left: by name, with what they held."""

    said: str
    files: dict[str, str]


@pytest.fixture(scope="module")
def first(demo: Demo) -> Left:
    """The first run, to its end."""
    said = demo.run("--days", str(DAYS))
    assert not children(demo.folder)
    return Left(said, {name: demo.left(name) for name in ("summary.json", "scores.jsonl", "bundle/manifest.json")})


def test_it_ends_with_a_summary_that_adds_up(first: Left) -> None:
    figures = json.loads(first.files["summary.json"])
    data, cut = made_up(), made_up().time_at(0.7)
    rows = (data.event_times >= cut) & (data.event_times < cut + DAYS * 86_400_000)
    assert set(figures) == KEYS
    assert figures["clicks"] == rows.sum()
    assert figures["seed_sets"] == len(np.unique(data.event_items[rows]))
    assert 0 < figures["items_clustered"] <= figures["seed_sets"]
    assert 0 < figures["windows"] <= DAYS + 1
    assert figures["dead_letters"] == 11
    assert 0 < figures["unknown"] < figures["scored"] < figures["requests"]
    assert figures["cold"] > 0
    assert all(0 <= figures[name] <= 1 for name in KEYS if name.startswith("hit_rate"))
    assert 0 < figures["latency_p50_ms"] <= figures["latency_p99_ms"]
    assert min(figures["clicks_per_s"], figures["requests_per_s"]) > 0
    answers = [json.loads(line) for line in first.files["scores.jsonl"].splitlines()]
    assert len({answer["request_id"] for answer in answers}) == figures["requests"]
    assert all(len(answer["scores"]) <= 10 for answer in answers)
    for word in ("look-alike", "popularity", "dead letters", "ralm state show", "summary.json", "By name"):
        assert word in first.said


def test_a_second_run_finds_the_same_and_stays_until_it_is_stopped(demo: Demo, first: Left) -> None:
    assert "spectral" in first.said  # the bar of training
    process = demo.start("--days", str(DAYS), "--keep")
    try:
        wait_until(lambda: "Ctrl-C stops both" in demo.output.read_text() or process.poll() is not None)
        said = demo.output.read_text()
        assert process.poll() is None, said
        check_that_it_is_the_same(demo, first)
        assert "held-out figures" not in said  # the bundle is used again
        url = re.search(r"http://\S+/", said)
        assert url is not None
        for path, word in (("", b"status.js"), ("metrics", b"ralm_clicks_total")):
            with urlopen(url[0] + path, timeout=60) as page:
                assert word in page.read()
        with demo.start("--days", "2") as other:  # the folder is taken
            assert other.wait(120) == 1
        assert "another demo runs in" in demo.output.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait()
    assert "drained" in demo.left("flow.log")
    wait_until(lambda: not children(demo.folder))


def check_that_it_is_the_same(demo: Demo, first: Left) -> None:
    measured = {"clicks_per_s", "requests_per_s", "latency_p50_ms", "latency_p99_ms"}
    one, other = (json.loads(text) for text in (first.files["summary.json"], demo.left("summary.json")))
    assert {k: v for k, v in one.items() if k not in measured} == {k: v for k, v in other.items() if k not in measured}
    assert demo.left("bundle/manifest.json") == first.files["bundle/manifest.json"]


def test_an_interrupt_leaves_no_process_behind(demo: Demo, first: Left) -> None:
    process = demo.start()
    try:
        wait_until(lambda: len(children(demo.folder)) >= 3 or process.poll() is not None)  # itself, broker, flow
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == -signal.SIGINT
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not children(demo.folder))
