"""The machine: limits are raised as far as the process may, and a container's share of the cores is known."""

import os
import resource
import threading
from pathlib import Path

import pytest

from flows.support.machine import cores, file_limit, raise_file_limit, threads_to_be_had


@pytest.mark.parametrize(
    ("soft", "hard", "raised"), [(64, 4096, 4096), (1024, -1, 65_536), (-1, -1, None), (9, 9, None)]
)
def test_as_many_files_as_may_be_are_opened(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: int | None
) -> None:
    limits: list[tuple[int, int]] = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, given: limits.append(given))
    raise_file_limit()
    assert limits[1:] == ([] if raised is None else [(raised, hard)])
    assert file_limit() == (raised or (65_536 if soft == -1 else soft))


@pytest.mark.parametrize(
    ("own", "files", "found"),
    [
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {}, 8),
        (None, {"cpu.max": "200000 100000\n"}, 2),
        ("0::/pod/app\n", {"cpu.max": "max 100000", "pod/cpu.max": "300000 100000", "pod/app/cpu.max": "max 1"}, 3),
        ("0::/../../elsewhere\n", {"cpu.max": "nonsense"}, 8),
        (
            "5:memory:/m\n4:cpu,cpuacct:/docker/x\n0::/\n",
            {"cpu/docker/x/cpu.cfs_quota_us": "250000\n", "cpu/docker/x/cpu.cfs_period_us": "100000\n"},
            3,
        ),
        ("4:cpu,cpuacct:/gone\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ("4:cpuset:/x\n", {"cpu/x/cpu.cfs_quota_us": "1\n", "cpu/x/cpu.cfs_period_us": "1\n"}, 8),
        ("nothing", {}, 8),
    ],
)
def test_so_many_cores_are_used_as_a_container_gets_the_time_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None, files: dict[str, str], found: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    if own is not None:
        (tmp_path / "own").write_text(own)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cores(tmp_path / "groups", tmp_path / "own") == found


@pytest.mark.parametrize(
    ("soft", "files", "near"),
    [
        (-1, {}, False),
        (100_000, {"pids.max": "max\n", "pids.current": "9\n"}, False),
        (100_000, {"pids.max": "5000\n", "pids.current": "9\n"}, False),
        (100_000, {"pids.max": "30\n", "pids.current": "9\n"}, True),
        (200, {}, True),
    ],
)
def test_threads_are_tried_where_a_limit_is_near(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, soft: int, files: dict[str, str], near: bool
) -> None:
    begun: list[threading.Thread] = []

    def start(thread: threading.Thread) -> None:
        if len(begun) == 5:
            msg = "can't start new thread"
            raise RuntimeError(msg)
        begun.append(thread)

    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, -1))
    monkeypatch.setattr(threading.Thread, "start", start)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert threads_to_be_had(32, tmp_path, tmp_path / "none") == (5 if near else 32)
