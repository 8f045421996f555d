"""One name for one thing: no public name is defined in two modules."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("flows", "ralm", "state", "monitoring")
ONE_MEANING = {
    "CATALOGUE": "the models of a module that --eval-catalogue names",
    "STREAM": "the rankers of a module that --eval-rankers names",
    "CONDITIONS": "what must hold before a diagram's flow is ready",
    "command": "the click command of a module of flows/cli/commands",
    "log": "a module's logger",
    "main": "what `python -m` runs",
    "prepare": "how a module of flows/offline/datasets makes its data sets",
}
"""Names that several modules define on purpose, each in one meaning."""


def public_names(tree: ast.Module) -> Iterator[str]:
    """The names that a module defines at its top level, without those that begin with an underscore."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            continue
        yield from (name for name in names if not name.startswith("_"))


def test_no_public_name_has_two_meanings() -> None:
    places = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for name in set(public_names(ast.parse(path.read_text(encoding="utf-8")))):
                places[name].append(path.relative_to(ROOT).as_posix())
    assert len(places) > 500
    twice = {name: where for name, where in places.items() if len(where) > 1 and name not in ONE_MEANING}
    assert not twice
