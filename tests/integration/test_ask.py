"""``ralm ask``: one question to a running flow, from the shell."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenario import USERS, clicks, is_final, oracle, send_clicks
from toys import toy_bundle
from waiting import wait_until

pytestmark = pytest.mark.broker


@pytest.mark.embedded_too
def test_an_answer_is_a_table_with_titles_or_one_json_object(client: Any, flow: Callable[..., Any]) -> None:
    running = flow()
    running.start()
    made = clicks(np.random.default_rng(1), 1000, int(time.time() * 1000) - 5000)
    send_clicks(client, made)
    wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))

    def answered() -> bool:
        done = running.command("ask", USERS[3], "--json", "--top-k", "100")
        return done.returncode == 0 and json.loads(done.stdout)["status"] == "ok"

    wait_until(answered)
    found = json.loads(running.command("ask", USERS[3], "item-1", "nowhere", "--json", "--prior", "0").stdout)
    assert (found["user_id"], found["cold"]) == (USERS[3], ["nowhere"])
    (score,) = found["scores"]
    assert (score["item_id"], score["title"]) == ("item-1", "The [first] film")
    assert score["score"] == pytest.approx(0.5 * score["global_part"] + 0.5 * score["local_part"], abs=1e-5)

    shown = running.command("ask", USERS[3], "item-1", "nowhere")
    assert shown.returncode == 0
    for words in ("The [first] film", f"{score['global_part']:.3f}", "cold, without centroids yet: nowhere"):
        assert words in shown.stdout
    stranger = running.command("ask", "stranger", "--profile", "likes=a", "--profile", "likes=b")
    assert (stranger.returncode, stranger.stdout.partition(":")[0]) == (0, "unknown_user")


def test_neighbours_are_part_of_a_score_where_the_settings_say_so(
    client: Any, flow: Callable[..., Any], tmp_path: Path
) -> None:
    histories = {user: ["item-1", "item-2"] if user == USERS[3] else [] for user in USERS}
    bundle = toy_bundle(tmp_path / "knowing", USERS, dim=24, histories=histories)
    running = flow(sketches="true", neighbours="2")
    running.environment["RALM_BUNDLE"] = str(bundle.path)
    running.start()
    made = clicks(np.random.default_rng(1), 1000, int(time.time() * 1000) - 5000)
    send_clicks(client, made)
    wait_until(lambda: is_final(client, oracle(made, 10**9), least=3))

    def answered() -> Any:
        done = running.command("ask", USERS[3], "--json", "--top-k", "100", "--prior", "0")
        found = json.loads(done.stdout) if done.returncode == 0 else {"scores": []}
        return {score["item_id"]: score for score in found["scores"]}

    wait_until(lambda: len(answered()) > 3)
    scores = answered()
    for score in scores.values():
        parts = 0.5 * score["global_part"] + 0.5 * score["local_part"] + 2 * score["neighbours_part"]
        assert score["score"] == pytest.approx(parts, abs=1e-5)
    new = [score["neighbours_part"] for item, score in scores.items() if item not in histories[USERS[3]]]
    assert max(new) == pytest.approx(1)
    shown = running.command("ask", USERS[3], "item-3", "item-4")
    assert "neighbours" in shown.stdout
    nobody = json.loads(running.command("ask", USERS[0], "--json").stdout)
    assert {score["neighbours_part"] for score in nobody["scores"]} == {0}


def test_no_answer_ends_with_1_and_says_where_to_look(flow: Callable[..., Any]) -> None:
    running = flow()
    done = running.command("ask", USERS[0], "--timeout", "1s")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no answer to request ask-" in done.stderr
    for words in ("within 1s", "ralm run", "/-/ready", "ralm dead-letters list"):
        assert words in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([""], "user_id"),
        (["u", "x" * 300], "candidates"),
        (["u", "--prior", "1.5"], "--prior"),
        (["u", "--timeout", "soon"], "not a duration"),
        (["u", "--timeout", "0s"], "above 0"),
        (["u", "--top-k", "0"], "--top-k"),
        (["u", "--profile", "age"], "not FIELD=VALUE"),
        (["u", "--profile", "x" * 300 + "=1"], "profile"),
    ],
)
def test_what_no_flow_would_take_is_not_sent(flow: Callable[..., Any], arguments: list[str], words: str) -> None:
    done = flow().command("ask", *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_topic_that_is_not_there_is_said(flow: Callable[..., Any]) -> None:
    done = flow().command("ask", "u", "--topic-scores", "elsewhere")
    assert done.returncode == 1
    assert "elsewhere: run `ralm topics`" in done.stderr
