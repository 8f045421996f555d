"""What the tests of monitoring share: the committed files, and the names that may occur in them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.metrics import REGISTRY

ROOM = Path(__file__).parents[2] / "monitoring"


def fenced(text: str, language: str) -> list[str]:
    """The lines of all code blocks of a language in a Markdown text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@dataclass(frozen=True)
class Room:
    """The committed files of monitoring/, read."""

    path: Path = ROOM

    @property
    def rules(self) -> list[dict[str, Any]]:
        files = sorted((self.path / "rules").glob("*.yml"))
        return [
            rule for file in files for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]
        ]

    @property
    def alerts(self) -> list[dict[str, Any]]:
        return [rule for rule in self.rules if "alert" in rule]

    @property
    def recorded(self) -> set[str]:
        return {rule["record"] for rule in self.rules if "record" in rule}

    @property
    def panels(self) -> list[dict[str, Any]]:
        board = json.loads((self.path / "dashboards" / "ralm.json").read_text())
        return [panel for panel in board["panels"] if panel["type"] != "row"]

    @property
    def runbooks(self) -> dict[str, str]:
        return {file.stem: file.read_text() for file in sorted((self.path / "runbooks").glob("*.md"))}

    @property
    def series(self) -> set[str]:
        """Every name that a query may use: what the registry exports, what is recorded, what Prometheus adds."""
        ours: set[str] = set()
        for family in REGISTRY.collect():
            suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
            ours |= {family.name + suffix for suffix in suffixes}
        return ours | self.recorded | {"up"}

    def expressions(self) -> Iterator[tuple[str, str]]:
        """Every PromQL expression of the room, with where it is."""
        for rule in self.rules:
            yield f"rule {rule.get('alert') or rule['record']}", rule["expr"]
        for panel in self.panels:
            for target in panel["targets"]:
                yield f"panel {panel['title']!r}", target["expr"].replace("$__rate_interval", "5m")
        for name, text in self.runbooks.items():
            for line in fenced(text, "promql"):
                yield f"runbook {name}", line


@pytest.fixture(scope="session")
def room() -> Room:
    return Room()
