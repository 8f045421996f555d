"""The short form of the fuzzing, and that its harness would see a crash, a hang, a death and a hunger for memory."""

import ast
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.messages.rejects import REASONS
from tests.fuzz.__main__ import keep
from tests.fuzz.catalogue import TARGETS
from tests.fuzz.guided import GivenNumbers
from tests.fuzz.runner import made, run_target
from tests.fuzz.target import Target

pytestmark = pytest.mark.slow  # together too long for `make quick`

ROOT = Path(__file__).parents[2]


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)


def test_no_input_crashes_or_hangs_and_every_reason_is_met(tmp_path: Path) -> None:
    done = fuzz("--inputs", "15000", "--rng-seed", "0", "--kept", str(tmp_path), "--slow-s", "60")
    assert done.returncode == 0, done.stderr + done.stdout
    (line,) = done.stdout.splitlines()
    assert re.search(r"; crashes 0; hangs 0; slowest \d", line)
    counts = dict(re.findall(r"([\w-]+)=(\d+)", line))
    assert not (set(TARGETS) | REASONS | {"accepted"}) - set(counts), line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["click", "candidate", "request", "scores", "centroids", "clicks-batch", "requests-batch", "dead-letter"]
)
def test_no_input_of_hypothesis_crashes(name: str) -> None:
    """Hypothesis chooses the random numbers, and so finds and shrinks what the plain generator seldom makes."""
    check = TARGETS[name].check()

    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False))
    def attempt(rng: Random) -> None:
        check(TARGETS[name].make(rng))

    attempt()


@pytest.mark.parametrize("name", ["click", "candidate", "request", "scores"])
@given(value=st.binary(max_size=300))
def test_no_bytes_crash(name: str, value: bytes) -> None:
    TARGETS[name].check()(value)


@pytest.mark.parametrize("name", TARGETS)
def test_an_input_is_the_same_at_every_call_and_can_be_kept_in_a_file(name: str) -> None:
    for number in range(20):
        one = made(TARGETS[name], 7, number)
        assert one == made(TARGETS[name], 7, number)
        assert ast.literal_eval(repr(one)) == one


def target(check: Callable[[int], str]) -> Target:
    return Target("made", 1.0, lambda rng: rng.randrange(10), lambda: check)


def spoilt(number: int, do: Callable[[], Any]) -> Target:
    """Does something at one input of the twenty."""
    count = [-1]

    def check(_: int) -> str:
        count[0] += 1
        if count[0] == number:
            do()
        return "accepted"

    return target(check)


def fail() -> None:
    msg = "it broke"
    raise ValueError(msg)


def too_much() -> None:
    list(range(10**9))


@pytest.mark.parametrize(
    ("do", "kind", "text"),
    [
        (fail, "crash", "it broke"),
        (too_much, "crash", "MemoryError"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "death", "-11"),
        (lambda: os._exit(3), "death", "3"),
        (lambda: time.sleep(1000), "hang", "no end after 1 s"),
    ],
)
def test_the_harness_sees(do: Callable[[], Any], kind: str, text: str) -> None:
    result = run_target(spoilt(4, do), rng_seed=0, inputs=6, hang_s=1)
    first = result.crashes[0]
    assert (first.kind, first.number) == (kind, 4)
    assert text in first.text
    assert result.inputs >= 5


def test_the_harness_sees_a_slow_input() -> None:
    def slow() -> None:
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass

    result = run_target(spoilt(2, slow), rng_seed=0, inputs=4, slow_s=0.2)
    assert [(crash.kind, crash.number) for crash in result.crashes] == [("hang", 2)]


def test_one_input_can_be_tried_again(tmp_path: Path) -> None:
    assert fuzz("--target", "click", "--rng-seed", "1", "--number", "3").returncode == 0
    kept = tmp_path / "kept.txt"
    kept.write_text("crash; again: ...\nb'{'\n")
    assert fuzz("--target", "click", "--file", str(kept)).stdout.splitlines()[-1] == "not_json"
    assert fuzz("--number", "3").returncode == 2


def test_a_crash_is_kept_with_how_to_repeat_it(tmp_path: Path) -> None:
    broken = Target("click", 1.0, TARGETS["click"].make, lambda: lambda _: str(1 // 0))
    (crash, *_) = run_target(broken, rng_seed=5, inputs=1).crashes
    said = keep(crash, broken, 5, tmp_path)
    (file,) = tmp_path.iterdir()
    assert f"python -m tests.fuzz --target click --file {file}" in said
    assert "ZeroDivisionError" in said
    again = fuzz("--target", "click", "--file", str(file))
    assert again.returncode == 0
    assert again.stdout.startswith(repr(made(broken, 5, 0))[:100])


def test_numbers_that_are_given_as_bytes_make_an_input_of_any_target_and_end() -> None:
    rng = Random(3)
    for target in TARGETS.values():
        for length in (0, 3, 400):
            data = rng.randbytes(length)
            one = target.make(GivenNumbers(data))
            assert repr(one) == repr(target.make(GivenNumbers(data)))
    assert GivenNumbers(b"\xff\xff").random() < 1
    assert {GivenNumbers(rng.randbytes(40)).choice("abc") for _ in range(50)} == set("abc")


def test_without_atheris_it_is_said_and_the_rest_is_done(tmp_path: Path) -> None:
    done = fuzz("--inputs", "20", "--target", "topic-mark", "--guided", "20", "--kept", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "led by coverage" in done.stdout.splitlines()[-1]
