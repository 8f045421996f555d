"""Pins, lock and pyproject.toml are in step, and the audit sees when they or the installed files are not."""

import importlib.util
import json
import re
import subprocess
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PYPROJECT, CONSTRAINTS, LOCK, CUDA_LOCK, DEMO_LOCK = (
    (ROOT / name).read_text()
    for name in (
        "pyproject.toml",
        "constraints.txt",
        "requirements.lock",
        "requirements-cuda.lock",
        "requirements-demo.lock",
    )
)
HASH = "--hash=sha256:" + "0" * 64
SMALL = """
[project]
dependencies = ["one>=1"]
[project.optional-dependencies]
dev = ["ralm-streaming[more]"]
more = ["two<3"]
"""


@pytest.fixture(scope="module")
def dependencies() -> ModuleType:
    """The script, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("dependencies", ROOT / ".ci" / "dependencies.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_they_are_in_step(dependencies: Any) -> None:
    assert list(dependencies.out_of_step(PYPROJECT, CONSTRAINTS, LOCK, CUDA_LOCK)) == []
    assert len(dependencies.blocks(LOCK)) > 80
    assert "triton" in dependencies.blocks(CUDA_LOCK)
    assert "torch" in dependencies.pins(CONSTRAINTS)
    assert list(dependencies.demo_out_of_step(PYPROJECT, LOCK, DEMO_LOCK)) == []


def test_the_demos_environment_is_a_small_part_of_all_without_torch(dependencies: Any) -> None:
    small = dependencies.blocks(DEMO_LOCK)
    assert not {"torch", "matplotlib", "implicit", "pytest"} & small.keys()
    needed = dependencies.needed(dependencies.asked_for(PYPROJECT, "demo"))
    assert small.keys() == {*needed, "setuptools"}
    assert dependencies.demo_lock(dependencies.blocks(LOCK), needed) == DEMO_LOCK
    without = DEMO_LOCK.replace("noida-db==", "other==")
    assert any("the demo needs noida-db" in said for said in dependencies.demo_out_of_step(PYPROJECT, LOCK, without))


def test_nothing_of_this_machine_is_in_them() -> None:
    for text in (CONSTRAINTS, LOCK, CUDA_LOCK, DEMO_LOCK):
        assert not re.search(r"://|file:|\+cpu|--(extra-)?index|--find-links|--trusted-host|(?<!\w)/", text)


@pytest.mark.parametrize(
    ("constraints", "lock", "cuda_lock", "words"),
    [
        ("one==1.0", ["one==1.0"], [], "asks for two<3, and constraints.txt does not pin it"),
        ("one==1.0\ntwo==3.0", ["one==1.0", "two==3.0"], [], "asks for two<3, and constraints.txt pins 3.0"),
        ("one==1.0\ntwo==2.0", ["one==1.0"], [], "two is in constraints.txt and in neither requirements.lock nor"),
        ("one==1.0\ntwo==2.0", ["one==1.0", "two==2.1"], [], "two==2.1 is in requirements.lock; constraints.txt"),
        ("one==1.0\ntwo==2.0", ["one==1.0", "two==2.0#"], [], "two has no hash in requirements.lock"),
        ("one==1.0\ntwo==2.0\ntorch==1", ["one==1.0", "two==2.0", "torch==1"], [], "torch is in requirements.lock"),
        ("one==1.0\ntwo==2.0", ["one==1.0"], ["two==2.1"], "two==2.1 is in requirements-cuda.lock; constraints.txt"),
        ("one==1.0\ntwo==2.0", ["one==1.0"], ["two==2.0#"], "two has no hash in requirements-cuda.lock"),
        ("one==1.0\ntwo==2.0", ["one==1.0", "two==2.0"], ["two==2.0"], "two is in requirements.lock and in requir"),
        ("one==1.0\ntwo==2.0", ["one==1.0", "two==2.0"], ["nv==1"], "nv==1 is in requirements-cuda.lock; constraint"),
    ],
)
def test_what_is_out_of_step_is_said(
    dependencies: Any, constraints: str, lock: list[str], cuda_lock: list[str], words: str
) -> None:
    (said,) = dependencies.out_of_step(SMALL, constraints, hashed(*lock), hashed(*cuda_lock))
    assert words in said


def hashed(*packages: str) -> str:
    """The text of a lock; a package with ``#`` behind it has no hash."""
    return "".join(f"{each.strip('#')}\n" if each.endswith("#") else f"{each} {HASH}\n" for each in packages)


TORCH = [
    "both>=1",
    'new; python_version < "3.12"',
    'optional; extra == "more"',
    'toolkit[a,b]==13; platform_system == "Linux"',
    'compiler==3; platform_system == "Linux" and platform_machine == "x86_64"',
    'metal; sys_platform == "darwin"',
]


def test_what_torch_needs_on_linux_alone_is_cudas(dependencies: Any) -> None:
    both, cuda = dependencies.by_build([Requirement(text) for text in TORCH])
    assert [each.name for each in both] == ["both", "new"]
    assert [each.name for each in cuda] == ["toolkit", "compiler"]


@pytest.fixture
def files(dependencies: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the repository, where torch 1 and its CUDA packages are pinned."""
    texts = {
        "pyproject.toml": SMALL.replace('"two<3"', '"two<3", "torch>=1"'),
        "constraints.txt": "both==1\none==0.5\nother==7\ntorch==1\ntoolkit==12\n",
        "requirements.lock": hashed("both==1", "one==0.5", "other==7"),
        "requirements-cuda.lock": hashed("toolkit==12"),
    }
    monkeypatch.setattr(dependencies, "ROOT", tmp_path)
    for attribute, name in zip(("CONSTRAINTS", "LOCK", "CUDA_LOCK"), list(texts)[1:], strict=True):
        monkeypatch.setattr(dependencies, attribute, tmp_path / name)
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def offers(*builds: str, requires: list[str] = TORCH) -> Any:
    """Stands for pip: the first build that meets the requirement, of which the public ones have all requirements."""

    def report(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        wanted = Requirement(command[-1])
        found = next((build for build in builds if wanted.specifier.contains(build)), None)
        if found is None:
            return subprocess.CompletedProcess(command, 1, "", "ERROR: none\nERROR: no matching distribution")
        metadata = {"version": found, "requires_dist": ["both>=1"] if "+" in found else requires}
        return subprocess.CompletedProcess(command, 0, json.dumps({"install": [{"metadata": metadata}]}), "")

    return report


@pytest.mark.parametrize("builds", [("1", "1.5"), ("1+cpu", "1", "1.5")])
def test_what_is_asked_for_does_not_depend_on_the_build_that_is_offered(
    dependencies: Any, files: Path, monkeypatch: pytest.MonkeyPatch, builds: tuple[str, ...]
) -> None:
    monkeypatch.setattr(dependencies.subprocess, "run", offers(*builds))
    dependencies.write_asked(files, upgrade=False)
    assert (files / "main.in").read_text().splitlines() == ["one>=1", "two<3", *TORCH[:2]]
    assert (files / "cuda.in").read_text().splitlines() == ["toolkit[a,b]==13", "compiler==3"]
    assert (files / "torch.txt").read_text() == "torch==1\n"
    assert (files / "keep.txt").read_text().splitlines() == ["both==1", "other==7", "toolkit==12"], (
        "one==0.5 is too old"
    )


def test_an_upgrade_keeps_nothing_and_takes_the_newest_public_build(
    dependencies: Any, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependencies.subprocess, "run", offers("2+cpu", "2", "1"))
    dependencies.write_asked(files, upgrade=True)
    assert (files / "torch.txt").read_text() == "torch==2\n"
    assert (files / "keep.txt").read_text() == ""


def test_another_torch_lets_go_of_the_cuda_packages_alone(
    dependencies: Any, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyproject = files / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("torch>=1", "torch>=2"))
    monkeypatch.setattr(dependencies.subprocess, "run", offers("2"))
    dependencies.write_asked(files, upgrade=False)
    assert (files / "torch.txt").read_text() == "torch==2\n"
    assert (files / "keep.txt").read_text().splitlines() == ["both==1", "other==7"]


@pytest.mark.parametrize(
    ("builds", "requires", "words"),
    [
        ((), [], "pip finds no torch==1: ERROR: no match"),
        (("1+cpu",), [], "no torch===1"),
        (("1",), ["both"], "no CUDA"),
    ],
)
def test_no_lock_is_made_without_the_cuda_build(
    dependencies: Any,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    builds: tuple[str, ...],
    requires: list[str],
    words: str,
) -> None:
    monkeypatch.setattr(dependencies.subprocess, "run", offers(*builds, requires=requires))
    with pytest.raises(SystemExit, match=words):
        dependencies.write_asked(files, upgrade=False)
    assert not (files / "main.in").exists()


def test_pins_are_made_from_what_was_resolved(dependencies: Any, files: Path) -> None:
    behind = f" \\\n    {HASH} \\\n    {HASH}\n"
    main = f"Two_x==2.0{behind}# WARNING: x\nralm-streaming @ file:///somewhere\none==1.0{behind}"
    dependencies.write_pins(main, f"Toolkit==13{behind}one==1.0{behind}", "torch==9\n")
    assert (files / "constraints.txt").read_text() == "one==1.0\ntoolkit==13\ntorch==9\ntwo-x==2.0\n"
    lock, cuda_lock = ((files / name).read_text() for name in ("requirements.lock", "requirements-cuda.lock"))
    assert list(dependencies.blocks(lock)) == ["one", "two-x"]
    assert list(dependencies.blocks(cuda_lock)) == ["toolkit"]
    assert "somewhere" not in lock
    assert "# torch: one version has builds" in lock


@pytest.mark.parametrize(
    ("requires", "expected"),
    [
        (["both>=1"], "cpu"),
        ([*TORCH[:3], 'toolkit; platform_system == "nowhere"'], "cpu"),
        (["ToolKit[a]==13"], "cuda"),
    ],
)
def test_the_build_is_known_by_what_it_needs(dependencies: Any, requires: list[str], expected: str) -> None:
    assert dependencies.build(SimpleNamespace(requires=requires), hashed("toolkit==13")) == expected


@pytest.mark.parametrize(
    ("cuda", "said"),
    [
        ([], []),
        (["e", "f"], []),
        (["f"], ["nothing needs e, which constraints.txt pins"]),
    ],
)
def test_the_environment_is_compared_with_the_pins(dependencies: Any, cuda: list[str], said: list[str]) -> None:
    versions = {"a": "1+cpu", "b": "2", "c": "3", **dict.fromkeys(cuda, "5")}
    found = {name: SimpleNamespace(version=version) for name, version in versions.items()}
    pinned = "a==1\nb==9\nd==4\ne==5\nf==5\n"
    assert list(dependencies.installed_otherwise(pinned, hashed("e==5", "f==5"), found)) == [
        "b 2 is installed; constraints.txt pins 9",
        "c 3 is needed, and constraints.txt does not pin it",
        "nothing needs d, which constraints.txt pins",
        *said,
    ]


def test_a_changed_file_is_found(dependencies: Any, tmp_path: Path) -> None:
    click = distribution("click")
    assert list(dependencies.changed_files(click)) == []
    for file in click.files or []:
        copy = tmp_path / str(file)
        if ".." not in str(file) and Path(str(file.locate())).is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(Path(str(file.locate())).read_bytes())
    (tmp_path / "click" / "core.py").write_text("import os\n")
    changed = SimpleNamespace(name="click", files=click.files, locate_file=lambda file: tmp_path / str(file))
    (said,) = dependencies.changed_files(changed)
    assert "click/core.py is not the file that the package brought" in said


@pytest.mark.parametrize(
    ("packages", "known", "words"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], [], ""),
        ([{"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]}], ["a 1: CVE-1"], ""),
        ([{"name": "a", "skip_reason": "not found"}], [], "does not know 1 of 1 packages"),
        (None, [], "no network"),
    ],
)
def test_an_audit_that_reached_nothing_is_no_clean_audit(
    dependencies: Any, monkeypatch: pytest.MonkeyPatch, packages: Any, known: list[str], words: str
) -> None:
    said = "" if packages is None else json.dumps({"dependencies": packages})
    done = subprocess.CompletedProcess([], 0, said, "error\nno network")
    monkeypatch.setattr(dependencies.subprocess, "run", lambda *_, **__: done)
    found, why = dependencies.vulnerabilities()
    assert found == known
    assert words in why
    assert bool(why) is bool(words)
