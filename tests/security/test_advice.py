"""Each message that tells somebody to move state away, or to give up what is missing, has a test that follows it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COSTLY = re.compile(r"[Mm]ove (that|the|its)\b.*\baway|rebuild partial|\bstate restore\b|\bwrite \{|step-over")
"""Advice that may cost data where it is wrong."""
ON_DAMAGE = ("tests/faults/damage.py", "ways out is followed")
ANEW = "test_clicks_made_anew_while_stopped_are_refused_and_then_read_with_all_seeds_kept"
ELSEWHERE = "test_a_store_that_lies_elsewhere_is_rebuilt_if_the_topic_has_all_of_it_else_refused"
BACKUP = ("tests/integration/test_backup.py", "test_a_drained_copy_is_a_backup")
CHANGED = "tests/integration/test_topics_change.py"

FOLLOWED = {
    "state/store/layout.py": [ON_DAMAGE, BACKUP],
    "state/store/rocks.py": [
        ("tests/state/store/test_system_refusals.py", "test_too_few_files_that_may_be_open_are_said_and_more"),
        BACKUP,
    ],
    "state/directory.py": [
        ("tests/state/test_directory.py", "test_a_mark_that_is_written_as_the_refusal_says_keeps_the_number_of"),
        BACKUP,
    ],
    "flows/kafka/first_offset.py": [(CHANGED, ANEW), (CHANGED, ELSEWHERE)],
    "flows/kafka/consumer.py": [
        ("tests/integration/test_sink_and_source.py", "deleted before they were read"),
        ("tests/flows/kafka/test_consumer.py", "Keep the state directory"),
        (CHANGED, ANEW),
        ("tests/flows/kafka/test_step_over.py", "def test_"),
    ],
    "flows/engine/source.py": [(CHANGED, "test_clicks_with_fewer_partitions_are_refused_and_then_read")],
}
"""By source file: the tests that do what its messages say, and look what is left."""


def advice(path: Path) -> list[str]:
    """The texts of a module that give such advice; its docstrings give none."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    documents = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, kinds)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in documents:
            text = node.value
        else:
            continue
        if COSTLY.search(text):
            found.append(text)
    return found


def test_every_module_with_costly_advice_is_in_the_table() -> None:
    sources = [path for room in ("flows", "state") for path in (ROOT / room).rglob("*.py")]
    giving = {str(path.relative_to(ROOT)): texts for path in sources if (texts := advice(path))}
    unknown = {name: texts for name, texts in giving.items() if name not in FOLLOWED}
    assert not unknown, "add the test that follows this advice"
    assert not FOLLOWED.keys() - giving.keys() - {"flows/engine/source.py"}


@pytest.mark.parametrize(("path", "words"), sorted({test for tests in FOLLOWED.values() for test in tests}))
def test_the_tests_of_the_table_are_there(path: str, words: str) -> None:
    assert words in (ROOT / path).read_text(encoding="utf-8")
