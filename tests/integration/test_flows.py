"""The dataflows as their users meet them: a real broker, real processes, a client that knows only JSON."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scenario import (
    USERS,
    clicks,
    is_final,
    last_centroids,
    oracle,
    send_clicks,
    send_request,
    stored,
    wait_until_the_index_has_all,
)
from waiting import wait_until

from flows.messages.codec import decode_centroids
from flows.messages.types import Centroids
from state.bundle.bundle import Bundle
from state.user_keys import user_keys

pytestmark = pytest.mark.broker


def asked_for(answers: list[Any]) -> list[Any]:
    """The answers to requests with a number from 0 on."""
    return [message for message in answers if not json.loads(message.value())["request_id"].startswith("r-")]


def counted_parts(vector: torch.Tensor, message: Centroids) -> tuple[float, float]:
    """The two cosines of the counted form in torch."""
    c, n = torch.from_numpy(message.centroids_array().copy()), torch.tensor(message.counts, dtype=torch.float32)
    local = torch.softmax(c @ vector + n.log(), dim=0) @ c
    mean = (n[:, None] * c).sum(0) / n.sum()
    global_, near = (torch.cosine_similarity(vector, each, dim=0).item() for each in (mean, local))
    return global_, near


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.embedded_too
def test_clicks_become_scores_that_equal_the_torch_models(
    client: Any, flow: Callable[..., Any], bundle: Path, halves: bool
) -> None:
    made = clicks(np.random.default_rng(1), 3000, now := int(time.time() * 1000) - 5000)
    if halves:
        one, other = flow("seeds"), flow("scores")
        one.start("seeds")
        other.start("scores")
    else:
        one = other = flow()
        one.start()
    send_clicks(client, made)
    wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))
    wait_until_the_index_has_all(client, now)
    named = {"candidates": ["item-1", "nowhere"], "prior": 0.4}
    for number in range(60):
        user = USERS[number] if number % 10 else f"stranger-{number}"
        send_request(client, number, user, now + 4000, **(named if number % 3 else {}))
    client.flush()
    answers = client.wait_for("scores", lambda found: len(asked_for(found)) >= 60)
    answers = asked_for(answers)
    opened = Bundle.open(bundle)
    items = last_centroids(client)
    emitted = [decode_centroids(message.value()) for message in client.read("centroids")]
    centroids = {(message.item_id, message.window_end): message for message in emitted}
    seen = set()
    for message in answers:
        answer = json.loads(message.value())
        seen.add(answer["request_id"])
        assert message.key().decode() == answer["user_id"]
        assert answer["model_version"] == opened.version
        assert ("schema_version", b"1") in message.headers()
        if answer["user_id"].startswith("stranger"):
            assert (answer["status"], answer["scores"]) == ("unknown_user", [])
            continue
        assert answer["status"] == "ok"
        asked_all = int(answer["request_id"][1:]) % 3 == 0
        assert answer["cold"] == ([] if asked_all else ["nowhere"])
        assert len(answer["scores"]) == (len(items) if asked_all else 1)
        values = [item["score"] for item in answer["scores"]]
        assert values == sorted(values, reverse=True)
        row = opened.vectors.rows(user_keys([answer["user_id"]]))
        vector = torch.from_numpy(opened.vectors.gather(row))[0]
        for item in answer["scores"]:
            found = centroids[item["item_id"], item["window_end"]]
            global_, local = counted_parts(vector, found)
            assert item["global_part"] == pytest.approx(global_, abs=1e-5)
            assert item["local_part"] == pytest.approx(local, abs=1e-5)
            prior = 0.1 if asked_all else 0.4
            assert item["score"] == pytest.approx(0.5 * global_ + 0.5 * local + prior * np.log1p(found.seeds), abs=1e-5)
    assert seen == {f"r{number}" for number in range(60)}
    assert set(one.stop() + other.stop()) <= {0}
    assert stored(one.home) == oracle(made, 10**9)


LONG_AGO = 889_237_269_000
POISON = {
    "not_utf8": ("x", b'{"user_id": "\xff", "item_id": "x", "ts": %d}' % LONG_AGO),
    "not_json": ("x", b"{nonsense"),
    "wrong_type": ("x", b'{"user_id": "u", "item_id": "x", "ts": "1"}'),
    "missing_field": ("x", b'{"user_id": "u", "item_id": "x"}'),
    "future_time": ("x", b'{"user_id": "u", "item_id": "x", "ts": 9007199254740000}'),
    "bad_time": ("x", b'{"user_id": "u", "item_id": "x", "ts": 1732440000}'),
    "bad_identifier": ("x", b'{"user_id": "", "item_id": "x", "ts": %d}' % LONG_AGO),
    "oversized": ("x", b'{"user_id": "u", "item_id": "x", "ts": 1, "more": "' + b"z" * 70_000 + b'"}'),
    "empty_value": ("x", b""),
    "null_value": ("x", None),
    "null_key": (None, b'{"user_id": "u", "item_id": "x", "ts": %d}' % LONG_AGO),
    "key_mismatch": ("y", b'{"user_id": "u", "item_id": "x", "ts": %d}' % LONG_AGO),
}


def test_poison_goes_to_the_dead_letters_and_the_rest_flows_on(client: Any, flow: Callable[..., Any]) -> None:
    running = flow()
    running.start()
    made = clicks(np.random.default_rng(3), 500, int(time.time() * 1000) - 5000)
    send_clicks(client, made[:250])
    for key, value in POISON.values():
        client.send("clicks", key, value, headers=[("trace", b"abc")])
    client.send("clicks", "x", {"user_id": "u", "item_id": "x", "ts": LONG_AGO}, headers=[("schema_version", b"99")])
    client.send("requests", "u", b"[]")
    send_clicks(client, made[250:])
    dead = client.wait_for("dead-letters", lambda found: len(found) >= len(POISON) + 2)
    assert len(dead) == len(POISON) + 2
    by_reason: dict[str, list[object]] = {}
    for message in dead:
        headers = dict(message.headers())
        by_reason.setdefault(headers["reason"].decode(), []).append((message, headers))
    assert set(by_reason) == {*POISON, "unsupported_schema_version"}
    for reason, (key, value) in POISON.items():
        message, headers = next(found for found in by_reason[reason] if found[1]["topic"].decode().endswith("clicks"))
        assert (message.value() or b"") == (value or b"")
        assert message.key() == (key.encode() if key else None)
        assert headers["original.trace"] == b"abc"
        assert {"topic", "partition", "offset", "detail", "time", "schema_version"} <= set(headers)
    wait_until((running.home / "state" / "seeds").exists)
    time.sleep(2)
    assert running.stop() == [0]
    assert stored(running.home) == oracle(made, 10**9)


def test_more_clusters_than_a_scorer_takes_are_a_bad_configuration(flow: Callable[..., Any]) -> None:
    flow()  # makes the topics
    made = flow("refused", clusters="129")
    refused = made.command("run", "seeds")
    assert refused.returncode == 2
    assert "clusters = '129'" in refused.stderr
    assert "at most 128" in refused.stderr
    assert not (made.home / "state").exists(), "nothing is touched"


def test_a_second_owner_is_refused_and_told_who_holds_the_state(client: Any, flow: Callable[..., Any]) -> None:
    running = flow()
    first = running.start()
    wait_until(lambda: "reading" in running.log_text())
    second = running.command("run", "look-alike")
    assert second.returncode == 1
    assert str(first.pid) in second.stderr
    assert running.stop() == [0]
