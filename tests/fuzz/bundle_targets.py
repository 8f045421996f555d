"""The bundle: opened whole or refused in words, whatever is in its files."""

import json
import shutil
import struct
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

import numpy as np

from ralm.encoders.encoder import EncoderPart, TableEncoder
from ralm.encoders.histories import Histories
from ralm.encoders.profiles import Profiles, ProfileWeights
from ralm.scoring import CountedForm
from state.atomic_file import file_sha256
from state.bundle.bundle import Bundle, BundleError, version_of
from state.bundle.manifest import INDUCTIVE, SERVED
from state.bundle.vectors import UserSums
from state.bundle.write import BundleContent, write_bundle

from .mutation import NUMBERS, mutated, text
from .target import Check, Target, said

_FILES = (*SERVED, *INDUCTIVE)
_NAMES = (
    *("format", "version", "encoder", "form", "users", "items", "clicks", "title_bytes", "profiled", "dim"),
    *("alpha", "beta", "local_temperature", "parts", "files"),
)
_DESCRIPTIONS = ("<f4", ">f4", "<f8", "<f2", "<u8", "|u1", "|O", "<i4", "f", "", "<U3", "[('a', '<f4')]")
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
    if name.endswith("npy") and rng.random() < 0.6:
        return {"file": name, "content": _array(rng), "told": told}
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
    shapes = {"part0.bias": [8], "part0.nobody": [8], "part0.continuous": [0, 8], "part0.middle": [0]}
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


def _array(rng: Random) -> bytes:
    """A file of NumPy's whose header may lie about type, order and shape."""
    sizes = [rng.choice((0, 1, 8, 12, 13, 30, 31, 2**31, 2**62, -1)) for _ in range(rng.randint(0, 3))]
    shape = repr(tuple(sizes)) if rng.random() < 0.9 else text(rng)
    order = rng.choice((True, False, 1, None))
    header = f"{{'descr': {rng.choice(_DESCRIPTIONS)!r}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    length = len(header) if rng.random() < 0.9 else rng.choice((0, 1, 9, 2**16 - 1))
    version = rng.choice((b"\x01\x00", b"\x01\x00", b"\x09\x00"))
    number = rng.choice((b"\x00\x00\x80\x3f", b"\x00\x00\xc0\x7f", b"\x01\x00\x00\x00"))
    return b"\x93NUMPY" + version + struct.pack("<H", length) + header + number * rng.choice((0, 1, 30, 240))


class _Place:
    """A good bundle, to be spoilt and mended."""

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="ralm-fuzz-")) / "bundle"
        rng, h, items = np.random.default_rng(0), 8, 12
        part = EncoderPart(rng.normal(size=(items, h)).astype("f4"), ProfileWeights.none(h), np.eye(h, dtype="f4")[0])
        histories = Histories.of_items([rng.integers(0, items, 4) for _ in range(30)])
        encoder = TableEncoder((part,))
        base = UserSums(
            encoder.sums(histories).astype("f4"),
            np.zeros((30, 0), "f4"),
            histories.items.astype("i4"),
            histories.start.astype("u8"),
        )
        content = BundleContent(
            "fuzzed",
            CountedForm(h),
            np.arange(1, 31, dtype=np.uint64) * 7,
            encoder.encode(histories, Profiles({}, {}, np.zeros((30, 0), "f4"))),
            histories.counts,
            item_keys=np.arange(items, dtype=np.uint64),
            titles=["a name"] * items,
            parts=(part,),
            sums=base,
        )
        write_bundle(self.path, content, {})
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
            opened.towers()
        except BundleError as error:
            said(error)
            return "refused"
        assert type(opened.version) is str
        keys = np.array([7, 8, 210], np.uint64)
        rows = opened.vectors.rows(keys)
        assert opened.vectors.gather(rows[rows >= 0]).shape[1] == opened.form.dim == opened.vectors.dim
        assert len(opened.items.titles_of(["a", "b"])) == 2
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
            manifest["version"] = version_of(manifest)
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
