"""What a bundle's manifest must say, checked before anything else of the bundle is believed."""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from ralm.scoring import COUNTED, PAPER_FORM
from state.nesting import json_of

BUNDLE_FORMAT: Final = 2
MANIFEST: Final = "manifest.json"
SERVED: Final = (
    "clicks.npy",
    "fields.json",
    "items.npy",
    "title_start.npy",
    "titles.npy",
    "users.npy",
    "vectors.npy",
    "weights.safetensors",
)
"""The files of every bundle."""
INDUCTIVE: Final = ("history.npy", "history_start.npy", "profiles.npy", "sums.npy", "table.npy")
"""The files of a bundle whose encoder is inductive, besides."""
TOWERS: Final = ("towers.safetensors",)
"""The file of a bundle of the paper's encoder, besides."""
NOT_SCORED: Final = ("title_start.npy", "titles.npy")
"""Files on which no score depends."""
AGAIN: Final = "Train again (`ralm train NAME`), or copy the bundle again as a whole."
_MOST_BYTES = 16 << 20
"""Of a manifest; a real one has a few thousand."""


class BundleError(Exception):
    """A bundle that cannot be used; the message says what to do."""


class _File(msgspec.Struct, frozen=True):
    bytes: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Part(msgspec.Struct, frozen=True):
    """A part of an encoder: its length, and the power and weight of ``EncoderPart``."""

    dim: Annotated[int, Meta(ge=1, le=2**20)]
    power: float
    weight: float


_Count = Annotated[int, Meta(ge=0, le=2**40)]


class Head(msgspec.Struct, frozen=True):
    """What serving needs of a manifest.

    Attributes:
        version: content hash, 16 hexadecimal digits.
        encoder: that made the vectors.
        form: of the scores.
        users: known users.
        items: known items.
        clicks: of all known users' histories together; 0 where they are not kept.
        title_bytes: of all items' names together.
        profiled: whether the encoder makes something of profiles.
        dim: h, of the vectors.
        alpha: weight of the global part of a score.
        beta: weight of the local part.
        local_temperature: of the local attention.
        parts: of an inductive encoder; empty of another.
        files: of every file its size and SHA-256.
    """

    version: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    encoder: Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{0,31}$")]
    form: Literal[COUNTED, PAPER_FORM]  # type: ignore[valid-type]
    users: _Count
    items: _Count
    clicks: _Count
    title_bytes: _Count
    profiled: bool
    dim: Annotated[int, Meta(ge=1, le=2**20)]
    alpha: float
    beta: float
    local_temperature: float
    parts: list[Part]
    files: dict[str, _File]


def unreadable(path: Path, error: OSError) -> BundleError:
    """What to say of a bundle, or a file of one, that the system does not let us read; names the file if it can."""
    advice = "It may be whole: look at what the system says, and start again."
    if isinstance(error, PermissionError):
        advice = "It may be whole: let this user read the bundle's folder and files, or run as the user who owns them."
    return BundleError(f"{error.filename or path} cannot be read: {error.strerror or error}. {advice}")


def read_manifest(path: Path) -> tuple[dict[str, Any], Head]:
    """Read and check the manifest of a bundle: all that it says, and what serving needs of it.

    Raises:
        BundleError: when it is missing or cannot be used.
        OSError: when it cannot be read.
    """
    if not path.is_dir():
        msg = f"there is no bundle in {path}: train one with `ralm train NAME`, or point --bundle at it"
        raise BundleError(msg)
    try:
        manifest = _parse(path / MANIFEST)
        _check_format(path, manifest)
        head = msgspec.convert(manifest, Head)
        _check_names(path, head)
    except FileNotFoundError as error:
        msg = f"{path / MANIFEST} is missing. {AGAIN}"
        raise BundleError(msg) from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        msg = f"{path / MANIFEST} cannot be read ({type(error).__name__}: {str(error)[:200]}). {AGAIN}"
        raise BundleError(msg) from error
    return manifest, head


def _parse(file: Path) -> dict[str, Any]:
    if not stat.S_ISREG(file.stat().st_mode):
        msg = "it is not a regular file"
        raise ValueError(msg)
    with file.open("rb") as stream:
        content = stream.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        msg = f"it has more than {_MOST_BYTES} bytes"
        raise ValueError(msg)
    manifest = json_of(content)
    if not isinstance(manifest, dict):
        msg = "it is not a JSON object"
        raise TypeError(msg)
    return manifest


def _check_format(path: Path, manifest: Mapping[str, Any]) -> None:
    found = manifest["format"]
    if found != BUNDLE_FORMAT:
        advice = "Train again with this version: `ralm train NAME`."
        if isinstance(found, int) and found > BUNDLE_FORMAT:
            advice = (
                "A newer version made it: run that version, or train with this one into another folder (`ralm train "
                "NAME --bundle FOLDER`) and point --bundle at that."
            )
        msg = f"{path} has bundle format {str(found)[:40]}, this version reads {BUNDLE_FORMAT}. {advice}"
        raise BundleError(msg)


def _check_names(path: Path, head: Head) -> None:
    """Only the files of such a bundle may be named, since each is opened."""
    wanted = {*SERVED, *(INDUCTIVE if head.parts else ())}
    for name in sorted(head.files.keys() - wanted - set(TOWERS)):
        msg = f"{path / MANIFEST} names {name[:80]!r}, which is not part of a bundle. {AGAIN}"
        raise BundleError(msg)
    if wanted - head.files.keys():
        msg = f"{path / MANIFEST} does not name all files of such a bundle ({', '.join(sorted(wanted))}). {AGAIN}"
        raise BundleError(msg)
