"""Make the JSON Schemas beside this file from the types, and bundle them with ``asyncapi.yaml`` into one file.

``python -m flows.messages.schemas.generate [--check]``; needs PyYAML, which development has.

The schemas say what to send: programs make types from them, so that each number has its width, each enumeration a
name, and a field one type. The decoders take a little more: a whole number for the digits of an identifier.
"""

import json
import sys
from collections.abc import Callable, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import yaml

from flows.messages.codec import SCHEMA_VERSION
from flows.messages.types import Candidate, Centroids, Click, DeadLetterHeaders, Receipt, Request, Scores
from monitoring.generated import write_or_check

Schema: TypeAlias = dict[str, Any]

FOLDER: Final = Path(__file__).parent
DOCUMENT: Final = FOLDER / "asyncapi.yaml"
BUNDLE: Final = FOLDER / "asyncapi.bundle.yaml"
TYPES: Final[dict[str, type[msgspec.Struct]]] = {
    "click": Click,
    "candidate": Candidate,
    "request": Request,
    "scores": Scores,
    "centroids": Centroids,
    "dead-letter-headers": DeadLetterHeaders,
    "dead-letter-receipt": Receipt,
}
"""The schemas' files, without ``.json``, and what each is made from."""
_MAX_INT32 = 2**31 - 1
_NULL = {"type": "null"}
_COMMAND = "flows.messages.schemas.generate"


def schema_of(name: str) -> Schema:
    """The JSON Schema (draft 7, which AsyncAPI tools read) of a key of ``TYPES``."""
    kind = TYPES[name]
    _, found = msgspec.json.schema_components([kind], ref_template="#/definitions/{name}")
    definitions: dict[str, Schema] = {}
    for own, schema in found.items():
        definitions[own] = _each(schema, lambda part: _named(_plain(part), definitions))
    schema = definitions.pop(kind.__name__)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": f"urn:ralm-streaming:{name}:{SCHEMA_VERSION}",
        **schema,
        **({"definitions": dict(sorted(definitions.items()))} if definitions else {}),
    }


def _plain(schema: Schema) -> Schema:
    """A part of a schema with one type, and with the width of its number."""
    either = schema.get("anyOf")
    if either is not None:
        some = [part for part in either if part != _NULL]
        whole = [part for part in some if part.get("type") == "integer"]
        texts = [part for part in some if part.get("type") == "string"]
        if len(some) == 2 and whole:  # an identifier: text, or a number for its digits
            some = [part for part in some if part not in whole]
        elif len(some) > 2 and texts:  # a value of a profile: text, or what stands for one
            some, either = texts, texts
        (one,) = some
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        types = [one["type"], "null"] if _NULL in either else one["type"]
        return {**one, **rest, "type": types}
    if len(schema.get("enum", [])) == 1:
        return {"type": "string", "const": schema["enum"][0]}
    if isinstance(schema.get("description"), str):
        schema = {**schema, "description": cleandoc(schema["description"])}
    if schema.get("type") == "integer":
        return {**schema, "format": "int32" if schema.get("maximum", _MAX_INT32 + 1) <= _MAX_INT32 else "int64"}
    if schema.get("type") == "number":
        return {**schema, "format": "double"}
    return schema


def _named(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """A reference in the place of an enumeration that has a title, which goes to the definitions."""
    if "enum" not in schema or "title" not in schema:
        return schema
    definitions[schema["title"]] = {"type": "string", **schema}
    return {"$ref": f"#/definitions/{schema['title']}"}


def _each(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    """A schema with each part changed, the innermost first."""
    if isinstance(schema, list):
        return [_each(part, change) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return change({key: _each(part, change) for key, part in schema.items()})


def bundle() -> Schema:
    """The AsyncAPI document with all schemas in it, under ``components/schemas`` and by their titles."""
    document: Schema = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    places: dict[str, str] = {}
    schemas: dict[str, Schema] = {}
    for name in TYPES:
        schema = schema_of(name)
        schemas.update(schema.pop("definitions", {}))
        schemas[schema["title"]] = {key: part for key, part in schema.items() if not key.startswith("$")}
        places[f"./{name}.json"] = f"#/components/schemas/{schema['title']}"

    def inside(part: Schema) -> Schema:
        at = part.get("$ref")
        if not isinstance(at, str):
            return part
        return {**part, "$ref": places.get(at, at.replace("#/definitions/", "#/components/schemas/"))}

    document["components"]["schemas"] = dict(sorted(schemas.items()))
    whole: Schema = _each(document, inside)
    return whole


def main(arguments: Sequence[str]) -> int:
    """Write the files, or with ``--check`` compare them; returns the exit code."""
    files = {FOLDER / f"{name}.json": json.dumps(schema_of(name), indent=2) + "\n" for name in TYPES}
    files[BUNDLE] = f"# Made from {DOCUMENT.name} and the schemas beside it: python -m {_COMMAND}\n" + yaml.safe_dump(
        bundle(), sort_keys=False, width=120, allow_unicode=True
    )
    return max(write_or_check(path, text, arguments, _COMMAND) for path, text in files.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
