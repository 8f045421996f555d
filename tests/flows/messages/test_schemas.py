"""The committed schemas are those of the types; what they take is what the decoders take; AsyncAPI says the same."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from jsonschema import Draft7Validator

from flows.config.settings import Settings
from flows.kafka.topics import TopicNames, plan_topics
from flows.messages.codec import (
    SCHEMA_VERSION,
    decode_candidate,
    decode_centroids,
    decode_click,
    decode_request,
    decode_scores,
)
from flows.messages.dead_letter import cut_value, dead_letter_headers
from flows.messages.rejects import REASONS, InvalidMessage
from flows.messages.schemas.generate import FOLDER, TYPES, schema_of
from flows.messages.types import DeadLetterHeaders

ASYNCAPI = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text())
MESSAGES = ASYNCAPI["components"]["messages"]


def committed(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return schema


def from_json(decode: Callable[[bytes | None], Any]) -> Callable[[Any], Any]:
    return lambda payload: decode(json.dumps(payload).encode())


def centroids_from_json(payload: Any) -> Any:
    raw = {name: base64.b64decode(payload[name]) for name in ("centroids", "global", "sketch") if name in payload}
    return decode_centroids(msgspec.msgpack.encode({**payload, **raw}))


DECODE: dict[str, Callable[[Any], Any]] = {
    "click": from_json(decode_click),
    "candidate": from_json(decode_candidate),
    "request": from_json(decode_request),
    "scores": from_json(decode_scores),
    "centroids": centroids_from_json,
}


def example(name: str) -> dict[str, Any]:
    payload: dict[str, Any] = MESSAGES[name]["examples"][0]["payload"]
    return payload


def test_the_committed_schemas_are_those_of_the_types() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.messages.schemas.generate", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_schema_file_is_made() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == set(TYPES)


@pytest.mark.parametrize("name", TYPES)
def test_a_schema_is_one_and_says_its_version(name: str) -> None:
    Draft7Validator.check_schema(schema_of(name))
    assert committed(name)["$id"] == f"urn:ralm-streaming:{name}:{SCHEMA_VERSION}"
    assert committed(name)["description"]


@pytest.mark.parametrize(
    ("name", "payload"), [(name, given["payload"]) for name in DECODE for given in MESSAGES[name]["examples"]]
)
def test_the_examples_are_messages(name: str, payload: Any) -> None:
    Draft7Validator(committed(name)).validate(payload)
    DECODE[name](payload)


@pytest.mark.parametrize(("name", "field"), [(name, field) for name in DECODE for field in committed(name)["required"]])
def test_no_required_field_can_be_missing(name: str, field: str) -> None:
    payload = {key: value for key, value in example(name).items() if key != field}
    assert_refused(name, payload)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("click", {"ts": -1}),
        ("click", {"ts": 2**53}),
        ("click", {"ts": 1.5}),
        ("click", {"ts": "1"}),
        ("click", {"ts": True}),
        ("click", {"user_id": ""}),
        ("click", {"user_id": "u" * 257}),
        ("click", {"user_id": None}),
        ("click", {"item_id": ["i"]}),
        ("click", {"item_id": False}),
        ("candidate", {"expires_at": -1}),
        ("candidate", {"expires_at": "tomorrow"}),
        ("request", {"candidates": ["i", ""]}),
        ("request", {"candidates": "i"}),
        ("request", {"top_k": 0}),
        ("request", {"top_k": 2**31}),
        ("request", {"request_id": {}}),
        ("scores", {"status": "fine"}),
        ("scores", {"scores": [{"item_id": "i"}]}),
        ("scores", {"cold": None}),
        ("centroids", {"k": 0}),
        ("centroids", {"counts": [-1, 2]}),
        ("centroids", {"window_end": 2**53}),
    ],
)
def test_what_a_schema_refuses_the_decoder_refuses(name: str, change: dict[str, Any]) -> None:
    assert_refused(name, {**example(name), **change})


def assert_refused(name: str, payload: Any) -> None:
    assert not Draft7Validator(committed(name)).is_valid(payload)
    with pytest.raises(InvalidMessage):
        DECODE[name](payload)


@pytest.mark.parametrize("name", DECODE)
def test_unknown_fields_are_ignored(name: str) -> None:
    payload = {**example(name), "more": [{"deep": None}]}
    Draft7Validator(committed(name)).validate(payload)
    DECODE[name](payload)


@pytest.mark.parametrize("reason", sorted(REASONS))
@pytest.mark.parametrize("value", [None, b"short", b"long" * 9])
def test_the_headers_of_dead_letters_are_as_their_schema_says(reason: Any, value: bytes | None) -> None:
    headers = dead_letter_headers(
        InvalidMessage(reason, "why \udcff"),
        topic="clicks",
        partition=3,
        offset=9,
        time_ms=5,
        original=[("source", b"\xff")],
    )
    kept, cut = cut_value(value, 20)
    ours = {name: text.decode() for name, text in headers + cut if not name.startswith("original.")}  # type: ignore[union-attr]
    Draft7Validator(committed("dead-letter-headers")).validate(ours)
    read = msgspec.convert(ours, DeadLetterHeaders)
    assert (read.reason, read.topic, read.partition, read.offset, read.time) == (reason, "clicks", "3", "9", "5")
    assert read.original_bytes == ("36" if kept != value else None)
    assert ("original.source", b"\xff") in headers


def test_the_example_of_a_dead_letter_has_such_headers() -> None:
    headers = MESSAGES["deadLetter"]["examples"][0]["headers"]
    Draft7Validator(committed("dead-letter-headers")).validate(headers)
    msgspec.convert(headers, DeadLetterHeaders)


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [ref for value in part.values() for ref in references(value)]
    return [ref for value in part for ref in references(value)] if isinstance(part, list) else []


def test_asyncapi_points_to_what_exists() -> None:
    for reference in references(ASYNCAPI):
        file, _, path = reference.partition("#")
        if file:
            assert (FOLDER / file).exists(), reference
            continue
        place = ASYNCAPI
        for step in path.strip("/").split("/"):
            place = place[step]
    files = {Path(reference).stem for reference in references(ASYNCAPI) if reference.endswith(".json")}
    assert files == set(TYPES)


def test_asyncapi_has_the_topics_as_they_are_made() -> None:
    plans = {plan.name: plan for plan in plan_topics(Settings())}
    assert {channel["address"] for channel in ASYNCAPI["channels"].values()} == set(TopicNames.of(Settings()))
    for channel in ASYNCAPI["channels"].values():
        plan, kafka = plans[channel["address"]], channel["bindings"]["kafka"]
        assert (kafka["topic"], kafka["partitions"]) == (plan.name, plan.partitions)
        assert kafka["replicas"] == plan.replication_factor
        assert kafka["topicConfiguration"]["cleanup.policy"] == [plan.cleanup]
        assert kafka["topicConfiguration"].get("retention.ms") == plan.retention


def test_asyncapi_says_the_version_of_the_messages() -> None:
    for trait in ASYNCAPI["components"]["messageTraits"].values():
        assert trait["headers"]["properties"]["schema_version"]["const"] == SCHEMA_VERSION
    for message in MESSAGES.values():
        assert message["bindings"]["kafka"]["key"]
