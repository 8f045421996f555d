"""What a running flow writes is what the contract says, read with other libraries than the flow's own."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
import yaml
from jsonschema import Draft7Validator
from waiting import wait_until

from flows.messages.schemas.generate import BUNDLE

DOCUMENT = yaml.safe_load(BUNDLE.read_text())
MESSAGES = DOCUMENT["components"]["messages"]
SOURCE = "urn:shop:ralm"


def check(name: str, payload: Any) -> None:
    Draft7Validator({"$ref": MESSAGES[name]["payload"]["$ref"], "components": DOCUMENT["components"]}).validate(payload)


def checked_headers(name: str, message: Any) -> dict[str, str]:
    headers = {key: value.decode() for key, value in message.headers()}
    parts = [MESSAGES[name].get("headers", {})]
    for trait in MESSAGES[name].get("traits", []):
        parts.append(DOCUMENT["components"]["messageTraits"][trait["$ref"].rsplit("/", 1)[1]]["headers"])
    for part in parts:
        Draft7Validator({**part, "components": DOCUMENT["components"]}).validate(headers)
    return headers


def example(name: str, **changes: Any) -> dict[str, Any]:
    payload: dict[str, Any] = MESSAGES[name]["examples"][0]["payload"] | changes
    check(name, payload)
    return payload


def test_what_is_sent_and_received_is_as_the_contract_says(client: Any, flow: Callable[..., Any]) -> None:
    running = flow(cloudevents="true", cloudevents_source=SOURCE, sketches="true", neighbours="1")
    running.start()
    now = int(time.time() * 1000)
    client.send("candidates", "tea", example("candidate", item_id="tea"))
    for user in range(9):
        click = example("click", user_id=f"user-{user}", item_id="tea", ts=now - 60_000 + user)
        client.send("clicks", "tea", click)
    client.send("clicks", "tea", {"user_id": "user-1", "item_id": "tea"})
    asked: dict[str, dict[str, Any]] = {}

    def ask(request_id: str, **more: Any) -> None:
        asked[request_id] = example("request", request_id=request_id, ts=int(time.time() * 1000), **more)
        client.send("requests", more["user_id"], asked[request_id])

    def answers() -> dict[str, Any]:
        return {json.loads(message.value())["request_id"]: message for message in client.read("scores")}

    def served() -> bool:
        ask(f"try-{len(asked)}", user_id="user-1")
        client.flush()
        return any(json.loads(message.value())["status"] == "ok" for message in answers().values())

    wait_until(served)
    ask("some", user_id="user-1", candidates=["tea", "nowhere"], top_k=1)
    ask("stranger", user_id="stranger")
    ask("cold", user_id="user-1", candidates=["nowhere"])
    client.flush()
    wait_until(lambda: set(answers()) >= set(asked))
    found = answers()
    for request_id, message in found.items():
        answer = json.loads(message.value())
        check("scores", answer)
        assert message.key().decode() == answer["user_id"] == asked[request_id]["user_id"]
        headers = checked_headers("scores", message)
        assert headers["content-type"] == "application/json"
        assert headers["ce_id"] == answer["request_id"] == request_id  # what the correlationId points to, on both sides
        assert (headers["ce_source"], headers["ce_subject"]) == (SOURCE, answer["user_id"])
        assert headers["ce_type"] == "ralm.scores.v1"
    status = {request_id: json.loads(message.value())["status"] for request_id, message in found.items()}
    assert (status["some"], status["stranger"], status["cold"]) == ("ok", "unknown_user", "no_candidates")
    assert json.loads(found["some"].value())["cold"] == json.loads(found["cold"].value())["cold"] == ["nowhere"]

    (centroids, *_) = client.read("centroids")
    headers = checked_headers("centroids", centroids)
    assert (headers["content-type"], headers["ce_type"]) == ("application/msgpack", "ralm.centroids.v1")
    said = msgpack.unpackb(centroids.value())
    assert len(said["centroids"]) == 4 * said["k"] * said["h"]
    check("centroids", {name: base64.b64encode(v).decode() if isinstance(v, bytes) else v for name, v in said.items()})
    (letter,) = client.read("dead-letters")
    assert checked_headers("deadLetter", letter)["reason"] == "missing_field"


def test_without_the_setting_there_are_no_headers_of_cloudevents(client: Any, flow: Callable[..., Any]) -> None:
    flow().start()
    client.send("requests", "stranger", example("request", user_id="stranger", ts=int(time.time() * 1000)))
    client.flush()
    (message,) = client.wait_for("scores", bool)
    headers = checked_headers("scores", message)
    assert set(headers) == {"schema_version", "model_version", "content-type"}


@pytest.mark.parametrize("name", ["receiveRequests", "receiveCandidates", "receiveClicks", "sendScores"])
def test_every_channel_that_a_user_meets_has_its_operation(name: str) -> None:
    assert DOCUMENT["operations"][name]["channel"]["$ref"].startswith("#/channels/")


def test_requests_are_answered_on_scores_by_the_request_id() -> None:
    reply = DOCUMENT["operations"]["receiveRequests"]["reply"]
    assert reply["channel"]["$ref"] == "#/channels/scores"
    places = {MESSAGES[name]["correlationId"]["$ref"] for name in ("request", "scores")}
    assert places == {"#/components/correlationIds/requestId"}
    assert DOCUMENT["components"]["correlationIds"]["requestId"]["location"] == "$message.payload#/request_id"


def test_every_status_has_an_example_and_a_line_that_says_what_to_do() -> None:
    statuses = DOCUMENT["components"]["schemas"]["AnswerStatus"]["enum"]
    assert {each["payload"]["status"] for each in MESSAGES["scores"]["examples"]} == set(statuses)
    assert all(f"| `{status}` |" in MESSAGES["scores"]["description"] for status in statuses)
