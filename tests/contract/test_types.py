"""AsyncAPI's own parser reads the contract, and the types that its generator makes of it compile and hold messages."""

import importlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from flows.messages.schemas.generate import BUNDLE, PARTS

from .node_modules import HERE, NodeUnavailableError, bring_packages

pytestmark = pytest.mark.slow
MESSAGES = {"Click", "Candidate", "Request", "Scores", "ScoredItem", "AnswerStatus", "Centroids", "Receipt"}
DOCUMENT = yaml.safe_load(BUNDLE.read_text())


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def node() -> Path:
    try:
        return bring_packages()
    except NodeUnavailableError as error:
        pytest.skip(f"{error}: the contract was NOT checked with AsyncAPI's parser")


def parsed(node: Path, document: Path, *folder: str) -> str:
    program = node / HERE.joinpath("generate.mjs").name
    shutil.copy(HERE / program.name, program)  # Node looks for packages beside the program
    return run("node", str(program), str(document), *folder, cwd=node)


@pytest.fixture(scope="module")
def types(node: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("types")
    (folder / "told").write_text(parsed(node, BUNDLE, str(folder)))
    return folder


def compiler(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: the types were NOT compiled")
    return found


def made(types: Path, language: str) -> dict[str, str]:
    return {file.stem: file.read_text() for file in (types / language).iterdir()}


def test_the_parser_finds_no_fault_in_the_bundle(types: Path) -> None:
    told = (types / "told").read_text().splitlines()
    assert [line for line in told if not line.startswith("2 asyncapi-latest-version ")] == []


def test_the_parser_finds_no_fault_in_the_parts(node: Path) -> None:
    told = parsed(node, PARTS).splitlines()
    assert [line for line in told if not line.startswith("2 asyncapi-latest-version ")] == []


@pytest.mark.parametrize("language", ["java", "ts", "go", "py"])
def test_every_type_has_the_name_that_the_contract_gives_it(types: Path, language: str) -> None:
    names = {name.lower().replace("_", "") for name in made(types, language)}
    assert names >= {name.lower() for name in MESSAGES}
    assert not {name for name in names if "anonymous" in name}


def test_java_compiles_and_holds_milliseconds(types: Path) -> None:
    files = [str(file) for file in (types / "java").iterdir()]
    run(compiler("javac"), "-Werror", "-d", str(types / "classes"), *files, cwd=types)
    java = made(types, "java")
    assert "long ts;" in java["Click"]
    assert "long scoredAt;" in java["Scores"]
    assert "long windowEnd;" in java["ScoredItem"]
    assert "Long expiresAt;" in java["Candidate"]
    assert "enum AnswerStatus" in java["AnswerStatus"]
    assert not any(re.search(r"private Object ", text) for text in java.values())


def test_typescript_compiles(types: Path, node: Path) -> None:
    files = [str(file) for file in (types / "ts").iterdir()]
    tsc = str(node / "node_modules/typescript/bin/tsc")
    run("node", tsc, "--strict", "--noEmit", "--skipLibCheck", "--target", "es2020", *files, cwd=types)


def test_go_compiles(types: Path) -> None:
    go = compiler("go")
    (types / "go" / "go.mod").write_text("module contract\n\ngo 1.21\n")
    try:
        run(go, "build", "./...", cwd=types / "go")
    finally:
        (types / "go" / "go.mod").unlink()


def test_python_holds_the_examples(types: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(types / "py", tmp_path / "contract_types")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("click", "candidate", "request", "scores"):
        made = getattr(importlib.import_module(f"contract_types.{name}"), name.title())
        for example in DOCUMENT["components"]["messages"][name]["examples"]:
            held = made(example["payload"])
            for field, value in example["payload"].items():
                read = getattr(held, field)
                assert field == "scores" or getattr(read, "value", read) == value


def test_go_and_python_give_no_field_of_an_answer_another_name(types: Path) -> None:
    assert "_global_part" in made(types, "py")["scored_item"]
    assert "reserved_" not in "".join(text for name, text in made(types, "py").items() if name != "centroids")
