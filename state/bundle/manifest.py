"""What a bundle's manifest must say, checked before anything else of the bundle is believed."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

BUNDLE_FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
FILES: Final = ("keys.u64", "lookalike.safetensors", "towers.safetensors", "user_tower.safetensors", "vectors.f32")
AGAIN: Final = "Train again (`ralm train`), or copy the bundle again as a whole."
_MOST_BYTES = 16 << 20
"""Of a manifest; a real one has a few thousand."""


class BundleError(Exception):
    """A bundle that cannot be used; the message says what to do."""


class _File(msgspec.Struct, frozen=True):
    bytes: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class _Head(msgspec.Struct, frozen=True):
    version: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    users: Annotated[int, Meta(ge=0, le=2**40)]
    dim: Annotated[int, Meta(ge=1, le=2**20)]
    alpha: float
    beta: float
    local_temperature: Annotated[float, Meta(gt=0)]
    prior: float
    files: dict[str, _File]


def unreadable(path: Path, error: OSError) -> BundleError:
    """What to say of a bundle, or a file of one, that the system does not let us read; names the file if it can."""
    advice = "It may be whole: look at what the system says, and start again."
    if isinstance(error, PermissionError):
        advice = "It may be whole: let this user read the bundle's folder and files, or run as the user who owns them."
    return BundleError(f"{error.filename or path} cannot be read: {error.strerror or error}. {advice}")


def read_manifest(path: Path) -> dict[str, Any]:
    """Read and check the manifest of a bundle; everything that serving needs of it has the right type.

    Raises:
        BundleError: when it is missing or cannot be used.
        OSError: when it cannot be read.
    """
    if not path.is_dir():
        msg = f"there is no bundle in {path}: train one with `ralm train`, or point --bundle at it"
        raise BundleError(msg)
    try:
        manifest = _parse(path / MANIFEST)
        _check_format(path, manifest)
        _check_names(path, manifest["files"])
        head = msgspec.convert(manifest, _Head)
        numbers = (head.alpha, head.beta, head.local_temperature, head.prior)
        if not all(math.isfinite(number) for number in numbers):
            msg = "alpha, beta, local_temperature and prior must be finite"
            raise ValueError(msg)
    except FileNotFoundError as error:
        msg = f"{path / MANIFEST} is missing. {AGAIN}"
        raise BundleError(msg) from error
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        msg = f"{path / MANIFEST} cannot be read ({type(error).__name__}: {str(error)[:200]}). {AGAIN}"
        raise BundleError(msg) from error
    return manifest


def _parse(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        content = stream.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        msg = f"it has more than {_MOST_BYTES} bytes"
        raise ValueError(msg)
    manifest = json.loads(content.decode())
    if not isinstance(manifest, dict):
        msg = "it is no JSON object"
        raise TypeError(msg)
    return manifest


def _check_format(path: Path, manifest: Mapping[str, Any]) -> None:
    found = manifest["format"]
    if found != BUNDLE_FORMAT:
        shown = str(found)[:40]
        msg = f"{path} has bundle format {shown}, this version reads {BUNDLE_FORMAT}. Train again with this version."
        raise BundleError(msg)


def _check_names(path: Path, files: Any) -> None:
    """Only the files of a bundle may be named, since each is opened."""
    named = set(files) if isinstance(files, dict) else set()
    for name in sorted(named - set(FILES)):
        msg = f"{path / MANIFEST} names {name[:80]!r}, which is no part of a bundle. {AGAIN}"
        raise BundleError(msg)
    if set(FILES) - named:
        msg = f"{path / MANIFEST} does not name all files of a bundle ({', '.join(FILES)}). {AGAIN}"
        raise BundleError(msg)
