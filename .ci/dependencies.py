"""The pinned dependencies: makes constraints.txt and requirements.lock, and sees that they and the environment agree.

``pins`` takes what pip-compile resolved, on standard input, and writes both files. ``step`` exits with 1 when they and
pyproject.toml are not in step. ``audit`` exits with 1 when pins,
lock, pyproject.toml and what is installed are not in step, when an installed file is not what its package brought, or
when pip-audit knows of a vulnerability; where pip-audit cannot reach its data it says so.
"""

import base64
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS, LOCK = ROOT / "constraints.txt", ROOT / "requirements.lock"
OURS = "ralm-streaming"
UNHASHED = {"torch": "one version has builds for CPU and for each CUDA, from several places, so no hash fits all"}
WRONG_RECORDS = {"noida-db": "WHEEL"}
"""A file that is not as the package's own RECORD has it in the published wheel, whose hash is in the lock."""
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)")
_SHA256 = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")
_HEADER = (
    "# Every package of the extra dev with the hashes of all its files; made by `make lock`, used by `make venv`.\n"
    "# Left out, and pinned by constraints.txt alone:\n"
)
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


def write_pins(resolved: str) -> None:
    """Write both files from what was resolved; a local build (``+cpu``) is no version that others could have."""
    packages = blocks(resolved)
    hashed = {name: block for name, (_, block) in packages.items() if name not in UNHASHED}
    why = "".join(f"# {name}: {reason}.\n" for name, reason in UNHASHED.items())
    LOCK.write_text(_HEADER + why + "".join(f"{hashed[name]}\n" for name in sorted(hashed)))
    versions = {name: version.partition("+")[0] for name, (version, _) in packages.items()}
    CONSTRAINTS.write_text("".join(f"{name}=={versions[name]}\n" for name in sorted(versions)))


def asked_for(pyproject: str) -> list[Requirement]:
    """What pyproject.toml asks for with the extra dev, its own extras unfolded."""
    project = tomllib.loads(pyproject)["project"]
    extras = project["optional-dependencies"]
    asked = [Requirement(text) for text in project["dependencies"]]
    waiting = ["dev"]
    while waiting:
        for each in map(Requirement, extras[waiting.pop()]):
            if canonicalize_name(each.name) == OURS:
                waiting.extend(each.extras)
            else:
                asked.append(each)
    return asked


def out_of_step(pyproject: str, constraints: str, lock: str) -> Iterator[str]:
    """What the three files do not agree on."""
    pinned, locked = pins(constraints), blocks(lock)
    for each in asked_for(pyproject):
        version = pinned.get(canonicalize_name(each.name))
        if version is None:
            yield f"pyproject.toml asks for {each}, and constraints.txt does not pin it"
        elif not each.specifier.contains(version, prereleases=True):
            yield f"pyproject.toml asks for {each}, and constraints.txt pins {version}"
    for name in sorted(pinned.keys() - UNHASHED.keys() - locked.keys()):
        yield f"{name} is in constraints.txt and not in requirements.lock"
    for name, (version, block) in sorted(locked.items()):
        yield from _wrong_in_lock(name, version, block, pinned.get(name))


def _wrong_in_lock(name: str, version: str, block: str, pinned: str | None) -> Iterator[str]:
    if pinned != version:
        yield f"{name}=={version} is in requirements.lock; constraints.txt has {pinned or 'none'}"
    if not _SHA256.search(block):
        yield f"{name} has no hash in requirements.lock"
    if name in UNHASHED:
        yield f"{name} is in requirements.lock: {UNHASHED[name]}"


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


def installed_otherwise(constraints: str, packages: dict[str, Distribution]) -> Iterator[str]:
    """How the environment differs from the pins; a local build of a pinned version is that version."""
    pinned = pins(constraints)
    for name, package in sorted(packages.items()):
        version = package.version.partition("+")[0]
        if name not in pinned:
            yield f"{name} {version} is needed, and constraints.txt does not pin it"
        elif pinned[name] != version:
            yield f"{name} {version} is installed; constraints.txt pins {pinned[name]}"
    for name in sorted(pinned.keys() - packages.keys()):
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


def audit() -> int:
    """Say what is wrong, and exit with 1 if anything is."""
    pyproject, constraints = (ROOT / "pyproject.toml").read_text(), CONSTRAINTS.read_text()
    wrong = list(out_of_step(pyproject, constraints, LOCK.read_text()))
    try:
        packages = needed(asked_for(pyproject))
    except PackageNotFoundError as error:
        wrong.append(f"{error.name} is not installed: run `make venv`")
        packages = {}
    else:
        wrong.extend(installed_otherwise(constraints, packages))
    wrong.extend(line for package in packages.values() for line in changed_files(package))
    known, unreached = vulnerabilities()
    lines = [*(f"WRONG: {line}" for line in wrong), *(f"VULNERABLE: {line}" for line in known)]
    if unreached:
        lines.append(f"vulnerabilities NOT checked: pip-audit cannot reach its data here ({unreached})")
    elif not known:
        lines.append("pip-audit knows of no vulnerability")
    lines.append(f"{len(packages)} packages checked against pins and lock, and every file of theirs against its RECORD")
    print("\n".join(lines))  # noqa: T201
    return 1 if wrong or known else 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["pins"]:
            write_pins(sys.stdin.read())
        case ["step"]:
            wrong = list(out_of_step((ROOT / "pyproject.toml").read_text(), CONSTRAINTS.read_text(), LOCK.read_text()))
            sys.exit("\n".join([*wrong, "run `make lock`"]) if wrong else 0)
        case ["audit"]:
            sys.exit(audit())
        case _:
            sys.exit("usage: dependencies.py pins|step|audit")
