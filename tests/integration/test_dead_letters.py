"""Bad messages through a real flow: listed, explained, redriven in order after a fix, and only once."""

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from header_names import send_with_header_name
from waiting import wait_until

from state.store.seed_store import SeedStore, StoreError

pytestmark = pytest.mark.broker
PADDING = "x" * 300
LONG_AGO = 889_237_269_000


def click(user: str, item: str, ts: int, **more: object) -> dict[str, object]:
    return {"user_id": user, "item_id": item, "ts": ts, **more}


def output(flow: Any, *arguments: str, code: int = 0) -> str:
    done = flow.command("dead-letters", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return str(done.stdout) if code == 0 else str(done.stderr)


def listed(flow: Any, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output(flow, "list", "--json", *arguments).splitlines()]


def letters(client: Any) -> list[Any]:
    return [m for m in client.read("dead-letters") if "reason" in dict(m.headers())]


def seeds(home: Path, item: str) -> int:
    folder, found = home / "state" / "seeds", 0
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        with suppress(StoreError):  # nothing is written yet
            store = SeedStore.inspect(path)
            found += len(store.seeds(item))
            store.close()
    return found


def wait_for_seeds(flow: Any, **items: int) -> None:
    wait_until(lambda: all(seeds(flow.home, name.replace("_", "-")) >= least for name, least in items.items()))


def send_bad_ones(client: Any) -> None:
    """Six oversized clicks of one item, one of each of four other kinds, and a request for too many."""
    now = int(time.time() * 1000)
    for number in range(6):
        headers = [("source", f"web-{number}".encode()), ("empty", None)]
        client.send("clicks", "item-1", click(f"user-{number}", "item-1", now + number, note=PADDING), headers=headers)
    client.send("clicks", "item-1", click("user-9", "item-1", now))
    client.send("clicks", "item-2", b'{"user_id": "\x1b[2J')
    client.send("clicks", "item-3", click("user-1", "item-4", now))
    client.send("clicks", None, click("user-2", "item-5", now))
    client.send("clicks", "item-6", click("user-1", "item-6", now + 3_600_000))
    ask = {"request_id": "r1", "user_id": "user-1", "ts": now, "candidates": ["item-1", "a", "b"]}
    client.send("requests", "user-1", ask)
    client.flush()
    client.wait_for("dead-letters", lambda found: len(found) >= 11)


def check_lists(client: Any, flow: Any) -> None:
    found = listed(flow)
    assert Counter(letter["reason"] for letter in found) == {
        "oversized": 6,
        "not_json": 1,
        "key_mismatch": 1,
        "null_key": 1,
        "future_time": 1,
        "too_many_candidates": 1,
    }
    assert not any(letter["redriven"] for letter in found)
    assert [letter["reason"] for letter in listed(flow, "--key", "user-1")] == ["too_many_candidates"]
    assert len(listed(flow, "--reason", "oversized", "--topic", f"{client.prefix}clicks", "--since", "1h")) == 6
    assert listed(flow, "--topic", "elsewhere") == []
    assert len(listed(flow, "--limit", "2")) == 2
    assert "oversized" in output(flow, "list")
    assert "11 dead letters" in output(flow, "count")


def check_explanation(client: Any, flow: Any) -> None:
    (bad,) = listed(flow, "--reason", "not_json")
    said = output(flow, "explain", str(bad["partition"]), str(bad["offset"]))
    assert "\\x1b[2J" in said
    assert "\x1b" not in said
    assert "it would be refused again: not_json" in said
    assert f"{client.prefix}clicks[" in said
    assert "has no offset 99999" in output(flow, "explain", "0", "99999", code=1)


def test_dead_letters_go_back_in_order_after_a_fix_and_only_once(client: Any, flow: Callable[..., Any]) -> None:
    old = flow("one", max_message_bytes="200", max_candidates="2")
    old.start()
    send_bad_ones(client)
    assert old.stop() == [0]
    check_lists(client, old)
    check_explanation(client, old)

    # Nothing is mended yet, so nothing goes back.
    assert output(old, "redrive").splitlines()[0] == "0 redriven"

    # The limits are raised; a dry run sends nothing.
    new = flow("one", max_message_bytes="2000", max_candidates="3")
    shown = output(new, "redrive", "--dry-run")
    assert "7 would be redriven: 6 to " in shown
    assert shown.count("would go back") == 7
    before = len(client.read("clicks"))
    assert output(new, "redrive", "--limit", "2", "--reason", "oversized").startswith("2 redriven")
    assert len(client.read("clicks")) == before + 2
    new.start()
    rest = output(new, "redrive", "--set-key")
    assert rest.startswith("7 redriven: 6 to "), rest  # 4 oversized, the two keys, and the request
    for line in (
        "2 were redriven before, as receipts say (--again sends them too)",
        "1 would be refused again: future_time",
        "1 would be refused again: not_json",
    ):
        assert line in rest.splitlines()

    # In their order, with their headers and bytes.
    item_1 = [m for m in client.read("clicks") if m.key() == b"item-1"]
    returned = item_1[7:]
    assert [json.loads(m.value())["user_id"] for m in returned] == [f"user-{number}" for number in range(6)]
    assert [m.headers() for m in returned] == [m.headers() for m in item_1[:6]]
    assert [m.value() for m in returned] == [m.value() for m in item_1[:6]]
    client.wait_for("scores", lambda answers: any(json.loads(m.value())["request_id"] == "r1" for m in answers))

    # A second run sends nothing.
    before = [len(client.read(topic)) for topic in ("clicks", "requests")]
    again = output(new, "redrive", "--set-key")
    assert again.splitlines()[:2] == ["0 redriven", "9 were redriven before, as receipts say (--again sends them too)"]
    assert [len(client.read(topic)) for topic in ("clicks", "requests")] == before
    assert sum(letter["redriven"] for letter in listed(new)) == 9

    wait_for_seeds(new, item_1=7, item_4=1, item_5=1)
    assert new.stop() == [0]
    assert len(letters(client)) == 11, "what was redriven was refused again"


def test_a_letter_that_says_another_topic_goes_nowhere(client: Any, flow: Callable[..., Any]) -> None:
    made = flow()
    good = click("u", "i", LONG_AGO)
    forged = {"schema_version": "1", "partition": "0", "reason": "oversized", "detail": "", "time": "1"}
    for offset, topic in enumerate(("scores", "centroids", "dead-letters", "elsewhere")):
        headers = {**forged, "topic": client.prefix + topic, "offset": str(offset)}
        client.send("dead-letters", "i", good, headers=list(headers.items()))
    cut = {**forged, "topic": f"{client.prefix}clicks", "offset": "9", "original_bytes": "999"}
    client.send("dead-letters", "i", good, headers=list(cut.items()))
    client.send("dead-letters", "i", good)
    client.send("dead-letters", "i", b"{", headers=[("receipt", b"redriven")])
    client.flush()
    said = output(made, "redrive")
    assert said.startswith("0 redriven\n")
    assert said.count("which is not managed by this deployment") == 4
    assert "1 is not whole" in said
    assert "2 messages of the topic are not dead letters" in said
    assert client.read("scores") == client.read("centroids") == client.read("clicks") == []
    assert len(client.read("dead-letters")) == 7


def test_a_candidate_does_not_undo_a_newer_one(client: Any, flow: Callable[..., Any]) -> None:
    made = flow()
    topic = f"{client.prefix}candidates"
    for item, expires in (("a", LONG_AGO), ("a", LONG_AGO + 2), ("b", LONG_AGO), ("c", None)):
        client.send("candidates", item, None if expires is None else {"item_id": item, "expires_at": expires})
    client.flush()
    for message in client.read("candidates"):
        headers = {"schema_version": "1", "topic": topic, "partition": str(message.partition()), "reason": "oversized"}
        headers |= {"offset": str(message.offset()), "detail": "", "time": "1"}
        client.send("dead-letters", message.key(), message.value(), headers=list(headers.items()))
    client.flush()
    said = output(made, "redrive")
    assert said.startswith("3 redriven: 3 to ")
    assert "1 is a candidate of items with a newer message" in said
    last = {m.key(): m.value() for m in client.read("candidates")}
    assert json.loads(last[b"a"])["expires_at"] == LONG_AGO + 2
    assert last[b"c"] is None


def check_that_it_goes_on(client: Any, flow: Any, least: int, reasons: set[str]) -> None:
    client.wait_for("dead-letters", lambda found: len(found) >= least)
    client.send("clicks", "i", click("last", "i", LONG_AGO))
    client.flush()
    wait_for_seeds(flow, i=1)
    assert flow.stop() == [0]
    assert {letter["reason"] for letter in listed(flow)} == reasons
    assert output(flow, "redrive").startswith("0 redriven\n")


def test_a_header_name_that_is_not_utf8_does_not_stop_the_flow(client: Any, flow: Callable[..., Any]) -> None:
    made = flow()
    made.start()
    value = json.dumps(click("u", "i", LONG_AGO)).encode()
    send_with_header_name(client.servers, f"{client.prefix}clicks", b"i", value, b"\xff\xfe")
    check_that_it_goes_on(client, made, 1, {"not_utf8"})


def test_a_message_as_large_as_the_broker_takes_does_not_stop_the_flow(client: Any, flow: Callable[..., Any]) -> None:
    made = flow()
    made.start()
    value = json.dumps(click("u", "i", LONG_AGO)).encode()
    producer = Producer({"bootstrap.servers": client.servers, "message.max.bytes": 1_040_000})
    topic = f"{client.prefix}clicks"
    producer.produce(topic, value, b"k" * 1_030_000)
    producer.produce(topic, value, b"k", headers=[("", b"")] * 120_000)
    producer.produce(topic, value, b"k", headers=[("\u00e9" * 60_000, b"v" * 40_000)] * 6)
    assert producer.flush(30) == 0
    check_that_it_goes_on(client, made, 3, {"key_mismatch"})
