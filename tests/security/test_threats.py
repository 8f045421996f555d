"""Who may write which topic can do what: each answer of docs/security.md, by a user with that one right."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from brokers.access_lists import Right
from confluent_kafka import Consumer
from letters import dead_letter_of
from security.conftest import USERS, Ralm
from waiting import close_in_time, wait_until

from flows.config.flow_process import free_port
from flows.messages.codec import decode_centroids, encode_centroids
from flows.messages.emission_order import order_headers
from flows.messages.types import Centroids, ScoredItem, Scores
from flows.run import FLOWS
from flows.support.metrics_page import MetricsServer
from state.bundle.bundle import Bundle

pytestmark = pytest.mark.broker
DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
PREFIX = "threat."
DAY_MS = 86_400_000
ESCAPE = "\x1b[2J"
FLOW_RIGHTS = [
    *(Right("READ", PREFIX + kind) for kind in ("clicks", "candidates", "requests", "centroids")),
    *(Right("WRITE", PREFIX + kind) for kind in ("centroids", "scores", "dead-letters")),
    Right("READ", PREFIX, "GROUP"),
]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class World:
    """A flow that runs with the rights of the documents, and what an honest client does with it."""

    def __init__(self, guarded: Any, flow: Ralm, process: Any, port: int, version: str) -> None:
        self.guarded, self.flow, self.process, self.version = guarded, flow, process, version
        self.honest = guarded.client(PREFIX)
        self.page = MetricsServer("127.0.0.1", port)

    def as_forger(self) -> Any:
        return self.guarded.client(PREFIX, "forger")

    def click(self, item: str, users: range, **more: Any) -> None:
        """Users click an item."""
        clicks = [{"user_id": USERS[n], "item_id": item, "ts": now_ms() - 500, **more} for n in users]
        self.honest.send_all("clicks", [(item, click) for click in clicks])

    def answer(self, **more: Any) -> dict[str, Any]:
        """Ask, and wait for the answer."""
        name = uuid4().hex
        request = {"request_id": name, "user_id": USERS[0], "ts": now_ms(), **more}
        self.honest.send_all("requests", [(USERS[0], request)])
        return self.answers_to([name])[name]

    def ask_in_vain(self) -> None:
        """Ask, and wait for nothing."""
        self.honest.send_all("requests", [(USERS[0], {"request_id": "x", "user_id": USERS[0], "ts": now_ms()})])

    def answers_to(self, names: list[str]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}

        def all_there() -> bool:
            for message in self.honest.read("scores"):
                row = _json(message.value())
                found[row.get("request_id", "")] = row
            self.lives()
            return found.keys() >= set(names)

        wait_until(all_there, 60)
        return found

    def serves(self, *items: str) -> None:
        """Wait until items are in the answers."""
        wait_until(lambda: set(items) <= {each["item_id"] for each in self.answer()["scores"]}, 60)

    def lives(self) -> None:
        assert self.process.poll() is None, self.flow.said()[-3000:]

    def counted(self, name: str) -> float:
        """A metric of the flow, summed over its labels."""
        return self.page.page().total(name)


def _json(value: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(value or b"")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@pytest.fixture(scope="module")
def world(guarded: Any, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Starts it."""
    guarded.make_topics(PREFIX)
    guarded.porter.allow("flow", *FLOW_RIGHTS)
    port, home = free_port("127.0.0.1", 0), tmp_path_factory.mktemp("threats")
    flow = Ralm(
        home,
        **guarded.settings("flow"),
        topic_prefix=PREFIX,
        group_id=PREFIX,
        bundle=str(bundle),
        state_dir=str(home / "state"),
        metrics_port=str(port),
        window="1s",
        allowed_lateness="100ms",
        idle_after="300ms",
        min_seeds="3",
        item_ttl="0",
        snapshot_interval="300ms",
        max_candidates="1000",
    )
    made = World(guarded, flow, flow.start("run", "look-alike"), port, Bundle.open(bundle).version)
    try:
        made.click("item-0", range(10))
        made.click("item-1", range(5, 15))
        made.serves("item-0", "item-1")
        yield made
        made.process.send_signal(signal.SIGTERM)
        assert made.process.wait(60) == 0, flow.said()[-3000:]
    finally:
        flow.end()


def centroids(world: World, item: str, window_end: int, **changes: Any) -> tuple[bytes, bytes]:
    """Key and value of centroids that a scorer takes."""
    one = np.ones((1, 8), np.float32) / np.sqrt(8, dtype=np.float32)
    usual = {"item_id": item, "model_version": world.version, "window_end": window_end, "seeds": 9}
    arrays = {"counts": np.array([9]), "centroids": one, "global_": one[0]}
    value = encode_centroids(Centroids.of(**{**usual, **arrays, **changes}))
    return f"{world.version}/{item}".encode(), value


def test_who_may_write_centroids_can_serve_any_item_until_a_newer_window_and_poison_nothing(
    world: World, allow: Callable[..., None]
) -> None:
    allow("forger", Right("WRITE", f"{PREFIX}centroids"))
    forger, refused = world.as_forger(), world.counted("ralm_dead_letters_total")
    key, good = centroids(world, "item-0", now_ms())
    bad = np.full((1, 8), np.nan, np.float32)
    poison = [
        (key, b"\xc1"),
        (key, good[:-1]),
        (b"no-slash", good),
        (f"{world.version}/other".encode(), good),
        centroids(world, "item-0", now_ms() + 2 * DAY_MS),
        centroids(world, "item-0", 2**53),
        centroids(world, "item-0", now_ms(), centroids=bad),
        centroids(world, "item-0", now_ms(), centroids=np.ones((1, 9), np.float32), global_=np.ones(9, np.float32)),
    ]
    forger.send_all("centroids", poison)
    forger.send_all("centroids", [(key, None)], headers=order_headers(2**53, 0))
    forger.send_all("centroids", [centroids(world, "forged", now_ms())])
    world.serves("item-0", "item-1", "forged")
    assert world.counted("ralm_dead_letters_total") == refused + len(poison) + 1

    forger.send_all("centroids", [(f"{world.version}/forged".encode(), None)], headers=order_headers(now_ms(), 0))
    forged_at = now_ms()
    forger.send_all("centroids", [centroids(world, "item-0", forged_at)])

    def overtaken() -> bool:
        world.click("item-0", range(10, 20))
        return bool(_served(world, "item-0")["window_end"] > forged_at and _newest(world, "item-0").seeds == 20)

    wait_until(overtaken, 60)


def _newest(world: World, item: str) -> Any:
    key = f"{world.version}/{item}".encode()
    found = [_good(message.value()) for message in world.honest.read("centroids") if message.key() == key]
    known = (made for made in found if made is not None and made.window_end < now_ms() + DAY_MS)
    return max(known, key=lambda made: made.window_end)


def _good(value: bytes | None) -> Any:
    from flows.messages.rejects import InvalidMessage  # noqa: PLC0415

    try:
        return decode_centroids(value)
    except InvalidMessage:
        return None


def _served(world: World, item: str) -> dict[str, Any]:
    return {each["item_id"]: each for each in world.answer()["scores"]}[item]


def test_who_may_write_clicks_can_make_seeds_and_neither_stops_time_nor_the_clicks_of_others(
    world: World, allow: Callable[..., None]
) -> None:
    allow("forger", Right("WRITE", f"{PREFIX}clicks"))
    forger, before = world.as_forger(), len(world.honest.read("dead-letters"))
    ahead = {"user_id": USERS[0], "item_id": "item-2", "ts": now_ms() + 3_600_000}
    bad = [("item-2", ahead), ("item-2", {**ahead, "ts": 5}), ("item-2", b"\xff"), (None, {**ahead, "ts": now_ms()})]
    bad.append(("item-2", b"x" * 200_000))
    forger.send_all("clicks", bad)
    forger.send_all("clicks", [("bought", {"user_id": u, "item_id": "bought", "ts": now_ms()}) for u in USERS[:5]])
    world.click("item-2", range(20, 24))
    world.serves("item-2", "bought")
    assert _newest(world, "item-2").seeds == 4
    wait_until(lambda: len(world.honest.read("dead-letters")) == before + len(bad), 30)


def test_who_may_write_requests_is_answered_within_the_limits_and_does_not_stop_others(
    world: World, allow: Callable[..., None]
) -> None:
    allow("forger", Right("WRITE", f"{PREFIX}requests"))
    forger, before = world.as_forger(), len(world.honest.read("dead-letters"))
    base = {"user_id": USERS[1], "ts": now_ms()}
    long = [f"i{n}" for n in range(1001)]
    bad = [{**base, "request_id": "long", "candidates": long}, {**base, "request_id": "x" * 300}, {**base}]
    forger.send_all("requests", [(USERS[1], each) for each in bad])
    names = [f"flood-{n}" for n in range(200)]
    forger.send_all("requests", [(USERS[1], {**base, "request_id": n, "candidates": long[:-1]}) for n in names])
    assert world.answer()["status"] == "ok"
    world.answers_to(names)
    wait_until(lambda: len(world.honest.read("dead-letters")) == before + len(bad), 30)


def test_who_may_write_candidates_can_take_any_item_down_and_list_it_again(
    world: World, allow: Callable[..., None]
) -> None:
    allow("forger", Right("WRITE", f"{PREFIX}candidates"))
    forger, before = world.as_forger(), len(world.honest.read("dead-letters"))
    forger.send_all("candidates", [("item-1", b"{"), ("item-1", {"item_id": "item-0", "retired": True})])
    forger.send_all("candidates", [("item-1", {"item_id": "item-1", "retired": True})])
    world.click("item-0", range(2))  # time goes on with clicks
    wait_until(lambda: "item-1" not in {each["item_id"] for each in world.answer()["scores"]}, 60)
    wait_until(lambda: len(world.honest.read("dead-letters")) == before + 2, 30)
    forger.send_all("candidates", [("item-1", {"item_id": "item-1"})])
    world.serves("item-0", "item-1")


def test_no_flow_reads_scores_or_dead_letters() -> None:
    for spec in FLOWS.values():
        assert not {"scores", "dead_letters"} & set(spec.topics.reads)


def test_who_may_write_scores_can_forge_answers_and_draws_nothing_on_a_terminal(
    world: World, allow: Callable[..., None], console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow("forger", Right("WRITE", f"{PREFIX}scores"))
    world.as_forger().send_all("scores", [("u", b"\xff"), ("u", {"request_id": "r", "scores": 1}), (None, None)])
    assert world.answer()["status"] == "ok"
    item = ScoredItem(f"a{ESCAPE}\u202e[red]", 1.0, 1.0, 1.0, 2**53)
    forged = Scores("r", "u", "ok", f"v{ESCAPE}", 0, [item], [f"cold{ESCAPE}"], [])
    monkeypatch.setattr("flows.cli.commands.ask.ask", lambda *_: forged)
    code, said = console("ask", "u", bundle="nowhere")
    assert code == 0, said
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "[red]" in said


def test_who_may_write_dead_letters_has_nothing_sent_that_was_not_there_before(
    world: World, allow: Callable[..., None], console: Any
) -> None:
    """With all rights of the operator who redrives, among them Write on candidates."""
    operator = [
        Right(op, PREFIX + kind) for op in ("READ", "WRITE") for kind in ("clicks", "candidates", "dead-letters")
    ]
    allow("forger", Right("WRITE", f"{PREFIX}dead-letters"))
    allow("ralm", *operator)
    honest, forger = world.honest, world.as_forger()
    down = {"item_id": "item-0", "retired": True}
    good = {"user_id": USERS[0], "item_id": "item-0", "ts": now_ms()}
    honest.send_all("clicks", [("item-0", good)])
    place = max(m.offset() for m in honest.read("clicks") if m.value() == json.dumps(good).encode())
    click, listed = f"{PREFIX}clicks", f"{PREFIX}candidates"

    def forge(key: str | None, value: Any, topic: str, offset: int, *headers: Any) -> None:
        forger.send("dead-letters", key, value, headers=[*dead_letter_of(topic, 0, offset, time_ms=now_ms()), *headers])

    forge("item-0", down, listed, 0)  # another message lies there
    forge("item-0", down, listed, 10**6)  # nothing does
    forge("item-0", down, f"{PREFIX}centroids", 0)  # nothing of ours is sent there
    forge("item-0", good, click, place, ("original.traceparent", b"forged"))
    forge("item-0", {**good, "user_id": USERS[9]}, click, place)
    forger.send("dead-letters", None, b"no letter")
    forger.send("dead-letters", None, None, headers=[("receipt", b"redriven")])
    forger.flush()
    before = {kind: len(honest.read(kind)) for kind in ("clicks", "candidates")}
    login = world.guarded.settings("ralm")
    code, said = console("dead-letters", "redrive", "--key", "item-0", topic_prefix=PREFIX, **login)
    assert code == 0, said
    assert "0 redriven" in said.splitlines()[0]
    assert {kind: len(honest.read(kind)) for kind in before} == before

    # What really was there goes, once however often it is said; a click twice is one seed.
    honest.send_all("clicks", [("item-0", good)])
    before["clicks"] += 1
    forge("item-0", {**good, "user_id": USERS[9]}, click, before["clicks"] - 1)  # which would have it hidden
    forge("item-0", good, click, before["clicks"] - 1)
    forge("item-0", good, click, before["clicks"] - 1)
    forger.flush()
    for more, options in ((1, ()), (1, ()), (2, ("--again",))):  # what a receipt, forged or not, says was redriven
        code, said = console("dead-letters", "redrive", "--key", "item-0", *options, topic_prefix=PREFIX, **login)
        assert code == 0, said
        assert len(honest.read("clicks")) == before["clicks"] + more, said
    code, said = console("dead-letters", "list", topic_prefix=PREFIX, **login)
    assert code == 0, said
    world.lives()


def test_who_may_join_the_group_takes_nothing_away_from_a_running_flow(
    world: World, allow: Callable[..., None]
) -> None:
    allow("forger", Right("READ", PREFIX, "GROUP"), Right("READ", f"{PREFIX}requests"))
    login = world.guarded.doors.login("forger")
    stranger = Consumer({"bootstrap.servers": world.guarded.servers, **login, "group.id": PREFIX})
    stranger.subscribe([f"{PREFIX}requests"])
    try:
        wait_until(lambda: stranger.poll(0.1) is None and bool(stranger.assignment()), 30)
        assert world.answer()["status"] == "ok"
    finally:
        close_in_time(stranger.close)
    assert world.answer()["status"] == "ok"


def test_rights_that_are_taken_away_for_a_while_are_waited_for_and_nothing_is_lost(world: World) -> None:
    """Those to read and the group; then each to write, behind which all that is read waits."""
    porter, honest = world.guarded.porter, world.honest
    letters, said, names = len(honest.read("dead-letters")), len(world.flow.said()), [f"while-{n}" for n in range(50)]
    reads, writes = (tuple(right for right in FLOW_RIGHTS if right.operation == op) for op in ("READ", "WRITE"))
    to_read = {f"Read on {right.name}" for right in reads if right.kind == "TOPIC"}
    porter.forbid("flow", *reads)
    world.click("item-3", range(7))
    honest.send_all("clicks", [("bad", b"{")] * 5)
    honest.send_all("requests", [(USERS[0], {"request_id": n, "user_id": USERS[0], "ts": now_ms()}) for n in names])
    try:
        stays_refused(world, said, {*to_read, f"Read on the group {PREFIX}"})
        for right in writes:
            porter.forbid("flow", right)
            porter.allow("flow", *(other for other in FLOW_RIGHTS if other != right))
            world.click("item-3", range(7))
            world.ask_in_vain()
            honest.send_all("clicks", [("bad", b"{")])
            stays_refused(world, said, {f"Write on {right.name}"})
    finally:
        porter.allow("flow", *FLOW_RIGHTS)
    world.answers_to(names)
    world.serves("item-3")
    assert _newest(world, "item-3").seeds == 7
    wait_until(lambda: len({m.headers()[3] for m in honest.read("dead-letters")[letters:]}) == 5 + len(writes), 30)
    waits = waited_for(world, said)
    assert len(waits) == len(set(waits)), "each is said once"


REFUSED_S = 10.0
"""So long rights stay away once the flow has noticed it."""


def waited_for(world: World, since: int) -> list[str]:
    """The rights that the flow has said that it waits for, from a place of its log on."""
    lines = [line for line in world.flow.said()[since:].splitlines() if "waiting until this user has" in line]
    return [line.partition("waiting until this user has ")[2].partition(" again")[0] for line in lines]


def stays_refused(world: World, since: int, rights: set[str]) -> None:
    """Wait until the flow has noticed that it lacks rights, and then for a fixed time in which it goes on."""
    wait_until(lambda: world.lives() or set(waited_for(world, since)) >= rights, 90)
    assert world.counted("ralm_kafka_errors_total") >= len(rights)
    until = time.monotonic() + REFUSED_S
    wait_until(lambda: world.lives() or time.monotonic() > until, REFUSED_S + 60)
