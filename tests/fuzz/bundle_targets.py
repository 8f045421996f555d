"""The bundle: opened whole or refused in words, whatever is in its files."""

import json
import shutil
import struct
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

import numpy as np

from ralm.scoring import AttentionWeights
from state.atomic_file import file_sha256
from state.bundle import bundle as bundles
from state.bundle.bundle import Bundle, BundleError, write_bundle

from .mutation import NUMBERS, mutated, text
from .target import Check, Target, said

_FILES = ("towers.safetensors", "lookalike.safetensors", "user_tower.safetensors", "keys.u64", "vectors.f32")
_NAMES = ("format", "version", "users", "dim", "alpha", "beta", "local_temperature", "prior", "files")
_TYPES = ("F32", "F64", "F16", "BF16", "I8", "U64", "BOOL", "F8_E4M3", "X9")


def manifest_change(rng: Random) -> dict[str, Any]:
    """What is done to the manifest: a field replaced, or its bytes."""
    if rng.random() < 0.3:
        return {"bytes_from": rng.randrange(2**32)}
    if rng.random() < 0.3:
        file, name = rng.choice((*_FILES, "../x", text(rng))), rng.choice(("bytes", "sha256", None))
        return {"file": file, "name": name, "value": _strange(rng)}
    return {"field": rng.choice(_NAMES), "value": _strange(rng)}


def file_change(rng: Random) -> dict[str, Any]:
    """What is done to a file: its bytes changed, or other tensors put in; at times the manifest says the same."""
    told = rng.random() < 0.8
    name = rng.choice(_FILES)
    if name.endswith("safetensors") and rng.random() < 0.6:
        return {"file": name, "content": _safetensors(rng), "told": told}
    return {"file": name, "bytes_from": rng.randrange(2**32), "told": told}


def _strange(rng: Random, depth: int = 0) -> Any:
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice((None, True, False, 0.5, 1e308, -0.5, "nan", "inf"))
    if kind in (1, 2):
        return rng.choice((*NUMBERS, 10**400))
    if kind in (3, 4):
        return text(rng)
    return [] if depth > 2 else [_strange(rng, depth + 1)] if kind == 5 else {text(rng): _strange(rng, depth + 1)}


def _safetensors(rng: Random) -> bytes:
    """A file of tensors whose header may lie about types, shapes and places."""
    shapes = {"w_local": [8, 8], "w_global": [3, 8], "v_global": [3]}
    header: dict[str, Any] = {}
    place = 0
    for name, shape in shapes.items():
        wrong = rng.random() < 0.3
        size = [rng.choice((0, 1, 8, 2**32, 2**62))] * rng.randint(0, 4) if wrong else shape
        length = 4 * int(np.prod(shape))
        header[name] = {
            "dtype": rng.choice(_TYPES) if rng.random() < 0.2 else "F32",
            "shape": size,
            "data_offsets": [place, place + (length if rng.random() < 0.9 else rng.choice((0, 2**40)))],
        }
        place += length
    if rng.random() < 0.2:
        header[text(rng)] = _strange(rng)
    said = json.dumps(header).encode()
    length = len(said) if rng.random() < 0.9 else rng.choice((0, 2**31, 2**63, 2**64 - 1))
    number = rng.choice((b"\x00\x00\x80\x3f", b"\x00\x00\xc0\x7f"))
    return struct.pack("<Q", length) + said + number * (place // 4)


class _Place:
    """A good bundle, to be spoilt and mended."""

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="ralm-fuzz-")) / "bundle"
        rng, h = np.random.default_rng(0), 8
        towers = AttentionWeights(*(rng.normal(size=s).astype("f4") for s in ((h, h), (3, h), (3,))))
        keys = np.arange(1, 31, dtype=np.uint64) * 7
        tensors = {"w": np.ones((2, 2), np.float32)}
        vectors = rng.normal(size=(30, h)).astype("f4")
        write_bundle(
            self.path, towers=towers, user_tower=tensors, lookalike=tensors, keys=keys, vectors=vectors, details={}
        )
        self.manifest: dict[str, Any] = json.loads((self.path / "manifest.json").read_text())
        self.good = {file.name: file.read_bytes() for file in self.path.iterdir()}

    def put(self, name: str, content: bytes) -> None:
        (self.path / name).write_bytes(content)

    def mend(self, *names: str) -> None:
        for name in names:
            self.put(name, self.good[name])

    def attempt(self, *, verify: bool) -> str:
        try:
            opened = Bundle.open(self.path, verify=verify)
            opened.weights("user_tower")
            opened.weights("lookalike")
        except BundleError as error:
            said(error)
            return "refused"
        assert type(opened.version) is str
        keys = np.array([7, 8, 210], np.uint64)
        rows = opened.vectors.rows(keys)
        assert opened.vectors.gather(rows[rows >= 0]).shape[1] == opened.towers.dim == opened.vectors.dim
        return "accepted"


def _manifest_check() -> Check:
    place = _Place()

    def check(change: dict[str, Any]) -> str:
        manifest = json.loads(json.dumps(place.manifest))
        if "bytes_from" in change:
            content = mutated(Random(change["bytes_from"]), place.good["manifest.json"])
        else:
            if "field" in change:
                manifest[change["field"]] = change["value"]
            elif change["name"] is None:
                manifest["files"][change["file"]] = change["value"]
            else:
                manifest["files"].setdefault(change["file"], {})[change["name"]] = change["value"]
            content = json.dumps(manifest).encode()
        place.put("manifest.json", content)
        try:
            return place.attempt(verify=len(content) % 2 == 0)
        finally:
            place.mend("manifest.json")

    return check


def _file_check() -> Check:
    place = _Place()

    def check(change: dict[str, Any]) -> str:
        name = change["file"]
        content = change.get("content")
        if content is None:
            content = mutated(Random(change["bytes_from"]), place.good[name])
        place.put(name, content)
        if change["told"]:
            manifest = json.loads(json.dumps(place.manifest))
            manifest["files"][name] = {"bytes": len(content), "sha256": file_sha256(place.path / name)}
            manifest["version"] = bundles._version(manifest)
            place.put("manifest.json", json.dumps(manifest).encode())
        try:
            found = place.attempt(verify=True)
        finally:
            place.mend(name, "manifest.json")
        assert found == "refused" or change["told"] or content == place.good[name], "damage was not seen"
        return found

    return check


def clean(place: Path) -> None:
    """Remove a place."""
    shutil.rmtree(place, ignore_errors=True)


TARGETS = [
    Target("bundle-manifest", 0.02, manifest_change, _manifest_check),
    Target("bundle-files", 0.015, file_change, _file_check),
]
