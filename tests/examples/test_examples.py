"""Every program of examples/ as its reader runs it, against a real flow."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from brokers.kafka_jars import KafkaUnavailableError, bring_jars, find_java
from waiting import wait_until

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
OFFLINE = re.compile(r"E(NOTFOUND|CONNREFUSED|CONNRESET|TIMEDOUT|AI_AGAIN|HOSTUNREACH|NETUNREACH|40[134])")
"""What npm says where the registry cannot be reached or does not have the package."""
PATIENCE_S = 120

Program = list[str]


def run(program: Program, *arguments: str, stdin: str = "", code: int = 0, **more: Any) -> str:
    """Run it to its end; what it said on stdout, or on stderr when it is to fail."""
    done = subprocess.run(
        [*program, *arguments], input=stdin, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **more
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program for Node, beside its dependencies."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node or npm is not installed: the example for Node was NOT run")
    home = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", "ask_for_scores.mjs"):
        shutil.copy(EXAMPLES / "node" / name, home)
    command = [npm, "ci", "--no-audit", "--no-fund", "--prefer-offline"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=250, check=False)
    if found := OFFLINE.search(done.stderr):
        pytest.skip(f"npm gets no packages ({found[0]}): the example for Node was NOT run")
    assert done.returncode == 0, done.stderr
    return ["node", str(home / "ask_for_scores.mjs")]


@pytest.fixture(scope="session")
def java() -> Program:
    """The program for Java, with the jars that Apache Kafka brings for the tests."""
    try:
        program = find_java()
        jars = bring_jars()
    except KafkaUnavailableError as error:
        pytest.skip(f"{error}: the example for Java was NOT run")
    if shutil.which("javac") is None:
        pytest.skip("there is no Java compiler: the example for Java was NOT run")
    return [program, "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", str(EXAMPLES / "java" / "AskForScores.java")]


@pytest.fixture(params=["python", "node", "java"])
def ask(request: pytest.FixtureRequest) -> Program:
    """A program that asks for scores."""
    if request.param != "python":
        program: Program = request.getfixturevalue(request.param)
        return program
    return [sys.executable, str(EXAMPLES / "ask_for_scores.py")]


@pytest.fixture
def produce() -> Program:
    return [sys.executable, str(EXAMPLES / "produce_clicks.py")]


def lines(clicks: list[dict[str, object]]) -> str:
    return "".join(f"{json.dumps(click)}\n" for click in clicks)


def test_clicks_become_scores_and_every_status_is_read(
    client: Any, flow: Callable[..., Any], ask: Program, produce: Program
) -> None:
    where = (client.servers, client.prefix)
    flow().start()
    assert run(ask, *where, "user-1").startswith("no candidate has centroids yet")
    assert run(ask, *where, "stranger", "tea", "plan=2", "town=a=b").startswith(
        "the model does not know this user, nor"
    )
    asked = {message.key(): json.loads(message.value()) for message in client.read("requests")}[b"stranger"]
    assert (asked["candidates"], asked["profile"]) == (["tea"], {"plan": "2", "town": "a=b"})

    start = int(time.time() * 1000) - 60_000
    clicks = [
        {"user_id": f"user-{user}", "item_id": item, "ts": start + 100 * user}
        for user in range(20)
        for item in ("tea", "mug")
    ]
    assert run(produce, *where, stdin=lines(clicks)) == ""
    wait_until(lambda: "tea" in (said := run(ask, *where, "user-1")) and "mug" in said)
    scored, cold = run(ask, *where, "user-1", "tea", "nowhere").splitlines()
    assert re.fullmatch(r"-?\d\.\d{3}  tea", scored)
    assert cold.startswith("cold   nowhere  (")


def test_a_request_that_waited_too_long_is_told_from_the_others(
    client: Any, flow: Callable[..., Any], ask: Program
) -> None:
    flow(request_timeout="1ms").start()
    assert run(ask, client.servers, client.prefix, "user-1").startswith("the request waited too long")


def test_what_is_amiss_is_said_in_a_line(broker: str, ask: Program, produce: Program) -> None:
    prefix = f"t{uuid4().hex[:8]}."
    missing = f"there is no topic {prefix}%s at {broker}: make it with `ralm topics`, or mend the prefix\n"
    assert run(ask, broker, prefix, "user-1", code=1) == missing % "requests"
    assert run(produce, broker, prefix, code=1) == missing % "clicks"
    assert "BROKERS PREFIX USER" in run(ask, broker, code=1)
    assert "produce_clicks" in run(produce, broker, code=1)


def test_a_line_that_is_no_click_is_named(client: Any, flow: Callable[..., Any], produce: Program) -> None:
    flow()
    good = lines([{"user_id": "u", "item_id": "i", "ts": 1}])
    said = run(produce, client.servers, client.prefix, stdin=good + "[1]\n" + good, code=1)
    assert said == "line 2 is not a click: [1]\n"
    assert len(client.read("clicks")) == 1


def test_ones_own_data_are_learned_and_scored(
    client: Any, flow: Callable[..., Any], produce: Program, tmp_path: Path
) -> None:
    """The commands of the README, and a flow that scores a customer of the shop."""
    said = (EXAMPLES / "own_data" / "README.md").read_text()
    commands = re.findall(r"^ralm (.*?)\s*#", said, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["data", "train", "run"]
    (tmp_path / "examples").symlink_to(EXAMPLES)
    running = flow()
    running.environment["RALM_BUNDLE"] = str(tmp_path / ".ralm" / "bundle")
    clean = {name: value for name, value in running.environment.items() if not name.startswith("RALM_")}
    ralm = [sys.executable, "-m", "flows.cli.main"]
    for command in commands[:2]:
        answer = run(ralm, *command.split(), cwd=tmp_path, env={**clean, "PYTHONPATH": str(ROOT)})
    assert "held-out clicks on 16 items" in answer

    running.start(commands[2].split()[1])
    now = int(time.time() * 1000)
    customers = [line.split(",")[0] for line in (EXAMPLES / "own_data" / "users.csv").read_text().splitlines()[1:]]
    clicks: list[dict[str, object]] = [
        {"user_id": user, "item_id": "kettle", "ts": now - 3_600_000} for user in customers[:10]
    ]
    run(produce, client.servers, client.prefix, stdin=lines(clicks))
    ask = [sys.executable, str(EXAMPLES / "ask_for_scores.py"), client.servers, client.prefix]
    wait_until(lambda: "kettle" in run(ask, customers[0]))
    assert "kettle" in run(ask, "newcomer", "plan=plus")
    assert run(ask, "newcomer", "plan=unheard of").startswith("the model does not know this user, nor")
    assert running.stop() == [0]
