"""The pinned dependencies: makes constraints.txt and the three locks, and sees that they and the environment agree.

torch has a build for the CPU and builds for CUDA, all of one version. constraints.txt pins what either needs;
requirements.lock has the hashes of what both need, requirements-cuda.lock of what the CUDA build of the public index
needs besides, requirements-demo.lock of those alone that the demo needs. torch itself is pinned without a hash.

``ask FOLDER [upgrade]`` writes there what pip-compile is to resolve, ``pins FOLDER`` takes what it resolved and writes
the pins and the locks, ``demo`` the demo's lock from them. ``build`` prints which build of torch is installed, cpu or
cuda. ``step`` exits with 1 when pins, locks and pyproject.toml are not in step. ``audit`` exits with 1 when these and
what is installed are not in step, when an installed file is not what its package brought, or when pip-audit knows of a
vulnerability; where pip-audit cannot reach its data it says so.
"""

import base64
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS, LOCK, CUDA_LOCK, DEMO_LOCK = (
    ROOT / name for name in ("constraints.txt", "requirements.lock", "requirements-cuda.lock", "requirements-demo.lock")
)
BUILD = "setuptools"
"""What builds our own package, besides what it needs."""
OURS = "ralm-streaming"
UNHASHED = {"torch": "one version has builds for CPU and for each CUDA, from several places, so no hash fits all"}
WRONG_RECORDS = {"noida-db": "WHEEL"}
"""A file that is not as the package's own RECORD has it in the published wheel, whose hash is in the lock."""
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)")
_SHA256 = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")
_HEADER = "# {packages} with the hashes of all its files; made by `make lock`, used by `make {used}`.\n"
_OLDEST = {"python_version": "3.11", "python_full_version": "3.11.0", "extra": ""}
_LINUX = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64", **_OLDEST}
_MAC = {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64", **_OLDEST}
_AUDIT_TIMEOUT_S = 60


def blocks(lock: str) -> dict[str, tuple[str, str]]:
    """Version and whole text of each pinned package of a lock, by canonical name; what is no pin is left out."""
    found: dict[str, tuple[str, str]] = {}
    text = "\n".join(line for line in lock.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    for block in re.split(r"\n(?=\S)", text):
        if match := _PIN.match(block):
            found[canonicalize_name(match[1])] = (match[2], block)
    return found


def pins(constraints: str) -> dict[str, str]:
    """Version of each package of a constraints file, by canonical name."""
    return {canonicalize_name(m[1]): m[2] for line in constraints.splitlines() if (m := _PIN.match(line))}


def torch_on_index(wanted: str) -> tuple[str, list[Requirement]]:
    """Version and requirements of the public build of torch, wherever a local build (``2.13.0+cpu``) may come from.

    Args:
        wanted: the versions that may be taken, such as ``==2.13.0``.

    Raises:
        SystemExit: when pip finds no such build.
    """
    found = _report(f"torch{wanted}")
    public, _, local = found["version"].partition("+")
    if local:
        # Only === tells a public version from the local builds of the same, which == prefers.
        found = _report(f"torch==={public}")
    return public, [Requirement(text) for text in found.get("requires_dist", [])]


def _report(requirement: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed", "--quiet"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--report", "-", requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (a fixed command)
    if done.returncode:
        sys.exit(f"pip finds no {requirement}: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    metadata: dict[str, Any] = json.loads(done.stdout)["install"][0]["metadata"]
    return metadata


def by_build(requirements: list[Requirement]) -> tuple[list[Requirement], list[Requirement]]:
    """What every build of torch needs, and what the CUDA build needs besides.

    The public build has one set of metadata for all systems, and CUDA on Linux alone: what it needs there and not on a
    Mac is CUDA's.
    """
    both, cuda = [], []
    for each in requirements:
        linux, mac = (each.marker is None or each.marker.evaluate(system) for system in (_LINUX, _MAC))
        if linux:
            (both if mac else cuda).append(each)
    return both, cuda


def kept(asked: list[Requirement], constraints: str, cuda_lock: str, torch: str) -> dict[str, str]:
    """The pins that still hold: not those that pyproject.toml has outgrown, nor CUDA's for another torch."""
    keep = pins(constraints)
    for each in asked:
        name = canonicalize_name(each.name)
        if name in keep and not each.specifier.contains(keep[name], prereleases=True):
            del keep[name]
    if keep.pop("torch", None) != torch:
        keep = {name: version for name, version in keep.items() if name not in blocks(cuda_lock)}
    return keep


def write_asked(folder: Path, *, upgrade: bool) -> None:
    """Write what is to be resolved: ``main.in`` and ``cuda.in``, the pins to keep, and torch's version.

    torch is not in ``main.in``: in its place stand the requirements of all its builds, so that what is resolved does
    not depend on the build that this machine's index offers.
    """
    asked, constraints = asked_for((ROOT / "pyproject.toml").read_text()), CONSTRAINTS.read_text()
    (torch,) = (each for each in asked if each.name == "torch")
    pinned = pins(constraints).get("torch", "")
    keep_torch = pinned and not upgrade and torch.specifier.contains(pinned)
    version, requirements = torch_on_index(f"=={pinned}" if keep_torch else str(torch.specifier))
    both, cuda = by_build(requirements)
    if not cuda:
        sys.exit(f"torch {version} of this index needs nothing on Linux alone: it is no CUDA build, so no lock is made")
    for each in cuda:
        each.marker = None  # the lock is for Linux, wherever it is made
    keep = {} if upgrade else kept(asked, constraints, CUDA_LOCK.read_text(), version)
    texts = {
        "main.in": [*(each for each in asked if each is not torch), *both],
        "cuda.in": cuda,
        "keep.txt": [f"{name}=={pin}" for name, pin in keep.items()],
        "torch.txt": [f"torch=={version}"],
    }
    for name, lines in texts.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))


def write_pins(main: str, cuda: str, torch: str) -> None:
    """Write pins and locks from what was resolved for all builds, for CUDA's, and torch's own pin."""
    every, besides = blocks(main), blocks(cuda)
    besides = {name: besides[name] for name in besides.keys() - every.keys()}
    why = "".join(
        f"# Left out, and pinned by constraints.txt alone:\n# {name}: {UNHASHED[name]}.\n" for name in UNHASHED
    )
    for path, packages, of in (
        (LOCK, every, "Every package of the extra dev"),
        (CUDA_LOCK, besides, "Every package that only the CUDA build of torch needs,"),
    ):
        text = "".join(f"{packages[name][1]}\n" for name in sorted(packages))
        path.write_text(_HEADER.format(packages=of, used="venv") + (why if path == LOCK else "") + text)
    versions = {name: version for name, (version, _) in (every | besides).items()} | pins(torch)
    CONSTRAINTS.write_text("".join(f"{name}=={versions[name]}\n" for name in sorted(versions)))


def demo_lock(every: dict[str, tuple[str, str]], packages: Iterable[str]) -> str:
    """The lock of the demo's environment: those blocks of ``requirements.lock`` that its packages need."""
    names = sorted({*packages, BUILD})
    return _HEADER.format(packages="Every package of the extra demo", used="demo") + "".join(
        f"{every[name][1]}\n" for name in names
    )


def asked_for(pyproject: str, extra: str = "dev") -> list[Requirement]:
    """What pyproject.toml asks for with an extra, its own extras unfolded."""
    project = tomllib.loads(pyproject)["project"]
    extras = project["optional-dependencies"]
    asked = [Requirement(text) for text in project["dependencies"]]
    waiting = [extra]
    while waiting:
        for each in map(Requirement, extras[waiting.pop()]):
            if canonicalize_name(each.name) == OURS:
                waiting.extend(each.extras)
            else:
                asked.append(each)
    return asked


def demo_out_of_step(pyproject: str, lock: str, demo: str) -> Iterator[str]:
    """What the demo's lock does not agree on with the other files."""
    every, small = blocks(lock), blocks(demo)
    for name in sorted(small):
        if every.get(name) != small[name]:
            yield f"{name} is in requirements-demo.lock otherwise than in requirements.lock"
    for name in sorted(
        {BUILD, *(canonicalize_name(each.name) for each in asked_for(pyproject, "demo"))} - small.keys()
    ):
        yield f"the demo needs {name}, which is not in requirements-demo.lock"


def out_of_step(pyproject: str, constraints: str, lock: str, cuda_lock: str) -> Iterator[str]:
    """What the four files do not agree on."""
    pinned, locks = pins(constraints), {"requirements.lock": blocks(lock), "requirements-cuda.lock": blocks(cuda_lock)}
    for each in asked_for(pyproject):
        version = pinned.get(canonicalize_name(each.name))
        if version is None:
            yield f"pyproject.toml asks for {each}, and constraints.txt does not pin it"
        elif not each.specifier.contains(version, prereleases=True):
            yield f"pyproject.toml asks for {each}, and constraints.txt pins {version}"
    for name in sorted(pinned.keys() - UNHASHED.keys() - set().union(*locks.values())):
        yield f"{name} is in constraints.txt and in neither requirements.lock nor requirements-cuda.lock"
    for name in sorted(set.intersection(*(set(locked) for locked in locks.values()))):
        yield f"{name} is in requirements.lock and in requirements-cuda.lock"
    for file, locked in locks.items():
        for name, (version, block) in sorted(locked.items()):
            yield from _wrong_in_lock(file, name, version, block, pinned.get(name))


def _wrong_in_lock(file: str, name: str, version: str, block: str, pinned: str | None) -> Iterator[str]:
    if pinned != version:
        yield f"{name}=={version} is in {file}; constraints.txt has {pinned or 'none'}"
    if not _SHA256.search(block):
        yield f"{name} has no hash in {file}"
    if name in UNHASHED:
        yield f"{name} is in {file}: {UNHASHED[name]}"


def build(torch: Distribution, cuda_lock: str) -> str:
    """The build of torch that is installed: ``cuda`` if it needs a package of the CUDA lock, else ``cpu``."""
    asked = (Requirement(text) for text in torch.requires or [])
    names = {canonicalize_name(e.name) for e in asked if e.marker is None or e.marker.evaluate({"extra": ""})}
    return "cuda" if names & blocks(cuda_lock).keys() else "cpu"


def needed(asked: list[Requirement]) -> dict[str, Distribution]:
    """All installed packages that the asked ones need, themselves included, by canonical name."""
    found: dict[str, Distribution] = {}
    waiting, seen = [(each, "") for each in asked], set()
    while waiting:
        each, extra = waiting.pop()
        name = canonicalize_name(each.name)
        if (name, key := f"{sorted(each.extras)}") in seen or not (
            each.marker is None or each.marker.evaluate({"extra": extra})
        ):
            continue
        seen.add((name, key))
        found[name] = found.get(name) or distribution(name)
        below = [Requirement(text) for text in found[name].requires or []]
        waiting.extend((one, extra) for one in below for extra in ("", *each.extras))
    return found


def installed_otherwise(constraints: str, cuda_lock: str, packages: dict[str, Distribution]) -> Iterator[str]:
    """How the environment differs from the pins; a local build of a pinned version is that version.

    The CUDA packages may all be absent, as they are with torch's CPU build, or must all be needed.
    """
    pinned, cuda = pins(constraints), blocks(cuda_lock).keys()
    for name, package in sorted(packages.items()):
        version = package.version.partition("+")[0]
        if name not in pinned:
            yield f"{name} {version} is needed, and constraints.txt does not pin it"
        elif pinned[name] != version:
            yield f"{name} {version} is installed; constraints.txt pins {pinned[name]}"
    for name in sorted(pinned.keys() - packages.keys() - (set() if cuda & packages.keys() else cuda)):
        yield f"nothing needs {name}, which constraints.txt pins"


def changed_files(package: Distribution) -> Iterator[str]:
    """The package's installed files that are not what the package brought, by the hashes of its RECORD."""
    for file in package.files or []:
        if file.hash is None or file.name == WRONG_RECORDS.get(package.name):
            continue
        path = Path(str(package.locate_file(file)))
        try:
            digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
        except OSError as error:
            yield f"{package.name}: {error}"
            continue
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            yield f"{package.name}: {path} is not the file that the package brought"


def vulnerabilities() -> tuple[list[str], str]:
    """What pip-audit knows of the pinned packages, and why it does not know of all; empty where it does."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(CONSTRAINTS), "--no-deps"]
    try:
        done = subprocess.run(  # noqa: S603 (our own command)
            [*command, "--disable-pip", "--format", "json", "--progress-spinner", "off"],
            capture_output=True,
            text=True,
            timeout=_AUDIT_TIMEOUT_S,
            check=False,
        )
        packages = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return [], f"no answer within {_AUDIT_TIMEOUT_S} s"
    except ValueError:
        return [], (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]
    known = [f"{p['name']} {p['version']}: {v['id']}" for p in packages for v in p.get("vulns", [])]
    # It counts a package that its source does not have as fine; that is no answer.
    unknown = [p for p in packages if "skip_reason" in p]
    why = f"its source does not know {len(unknown)} of {len(packages)} packages" if unknown else ""
    return known, why


def _files() -> tuple[str, str, str, str]:
    pyproject, constraints, lock, cuda_lock = (
        path.read_text() for path in (ROOT / "pyproject.toml", CONSTRAINTS, LOCK, CUDA_LOCK)
    )
    return pyproject, constraints, lock, cuda_lock


def _all_out_of_step() -> list[str]:
    pyproject, _, lock, _ = files = _files()
    return [*out_of_step(*files), *demo_out_of_step(pyproject, lock, DEMO_LOCK.read_text())]


def audit() -> int:
    """Say what is wrong, and exit with 1 if anything is."""
    pyproject, constraints, _, cuda_lock = _files()
    wrong = _all_out_of_step()
    try:
        packages = needed(asked_for(pyproject))
    except PackageNotFoundError as error:
        wrong.append(f"{error.name} is not installed: run `make venv`")
        packages = {}
    else:
        wrong.extend(installed_otherwise(constraints, cuda_lock, packages))
    wrong.extend(line for package in packages.values() for line in changed_files(package))
    known, unreached = vulnerabilities()
    lines = [*(f"WRONG: {line}" for line in wrong), *(f"VULNERABLE: {line}" for line in known)]
    if unreached:
        lines.append(f"vulnerabilities NOT checked: pip-audit cannot reach its data here ({unreached})")
    elif not known:
        lines.append("pip-audit knows of no vulnerability")
    if "torch" in packages:
        lines.append(f"torch is the {build(packages['torch'], cuda_lock)} build")
    lines.append(f"{len(packages)} packages checked against pins and locks, every file of theirs against its RECORD")
    print("\n".join(lines))  # noqa: T201
    return 1 if wrong or known else 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["ask", folder, *upgrade] if upgrade in ([], ["upgrade"]):
            write_asked(Path(folder), upgrade=bool(upgrade))
        case ["pins", folder]:
            write_pins(*((Path(folder) / name).read_text() for name in ("main.txt", "cuda.txt", "torch.txt")))
        case ["demo"]:
            wanted = needed(asked_for((ROOT / "pyproject.toml").read_text(), "demo"))
            DEMO_LOCK.write_text(demo_lock(blocks(LOCK.read_text()), wanted))
        case ["build"]:
            print(build(distribution("torch"), CUDA_LOCK.read_text()))  # noqa: T201
        case ["step"]:
            wrong = _all_out_of_step()
            sys.exit("\n".join([*wrong, "run `make lock`"]) if wrong else 0)
        case ["audit"]:
            sys.exit(audit())
        case _:
            sys.exit("usage: dependencies.py ask FOLDER [upgrade] | pins FOLDER | demo | build | step | audit")
