"""Make the JSON Schemas beside this file from the types: ``python -m flows.messages.schemas.generate [--check]``."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from flows.messages.codec import SCHEMA_VERSION
from flows.messages.types import Candidate, Centroids, Click, DeadLetterHeaders, Receipt, Request, Scores
from monitoring.generated import write_or_check

FOLDER: Final = Path(__file__).parent
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


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 7, which AsyncAPI tools read) of a key of ``TYPES``."""
    kind = TYPES[name]
    _, definitions = msgspec.json.schema_components([kind], ref_template="#/definitions/{name}")
    schema = definitions.pop(kind.__name__)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": f"urn:ralm-streaming:{name}:{SCHEMA_VERSION}",
        **schema,
        **({"definitions": definitions} if definitions else {}),
    }


def main(arguments: Sequence[str]) -> int:
    """Write the files, or with ``--check`` compare them; returns the exit code."""
    return max(
        write_or_check(
            FOLDER / f"{name}.json",
            json.dumps(schema_of(name), indent=2) + "\n",
            arguments,
            "flows.messages.schemas.generate",
        )
        for name in TYPES
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
