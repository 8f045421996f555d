"""A manifest is checked before anything else of the bundle is believed."""

import json
from pathlib import Path

import pytest
from toys import rewrite, toy_bundle

from state.bundle.bundle import Bundle
from state.bundle.manifest import SERVED, BundleError

IDS = [f"user-{number}" for number in range(30)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 1}, "bundle format 1, this version reads 2. Train again"),
        ({"format": 3}, "bundle format 3"),
        ({"alpha": 0.9}, "the version does not belong"),
        ({"dim": 9}, "shape"),
        ({"users": 31}, "shape"),
        ({"items": 2**39}, "shape"),
        ({"form": "none"}, "Invalid enum value"),
        ({"encoder": "a b"}, "regex"),
        ({"parts": [{"dim": 8, "power": 0.5, "weight": 1.0}]}, "does not name all files"),
        ({"files": {}}, "does not name all files"),
        ({"version": None, "files": None}, "Expected `object`"),
        ({"version": 7}, "Expected `str`"),
        ({"users": "many"}, "Expected `int`"),
        ({"users": -1}, "Expected `int` >= 0"),
        ({"dim": 2**62}, "Expected `int` <="),
        ({"alpha": float("nan")}, "version does not belong|alpha is nan"),
        ({"beta": 10**400}, "manifest.json cannot be read"),
        ({"files": dict.fromkeys(SERVED, 5)}, "Expected `object`"),
        ({"title_bytes": True}, "Expected `int`"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    toy_bundle(tmp_path / "b", IDS)
    manifest = tmp_path / "b" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **change}))
    with pytest.raises(BundleError, match=message):
        Bundle.open(tmp_path / "b")


@pytest.mark.parametrize("name", ["../secret", "../b/users.npy", "/etc/users.npy", "sums.npy"])
def test_a_manifest_cannot_lead_out_of_the_bundle(tmp_path: Path, name: str) -> None:
    toy_bundle(tmp_path / "b", IDS)
    manifest = tmp_path / "b" / "manifest.json"
    found = json.loads(manifest.read_text())
    found["files"][name] = found["files"]["users.npy"]
    manifest.write_text(json.dumps(found))
    with pytest.raises(BundleError, match="not part of a bundle"):
        Bundle.open(tmp_path / "b")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"alpha": -0.1}, "alpha is -0.1"),
        ({"beta": 1e9}, "beta is 1000000000"),
        ({"alpha": 0, "beta": 0.0}, "alpha and beta are both 0"),
        ({"local_temperature": 0}, "the least is 0.025"),
        ({"local_temperature": 1e30}, "the most is 1000"),
    ],
)
def test_absurd_weights_are_refused_whoever_wrote_them(tmp_path: Path, change: dict[str, object], message: str) -> None:
    toy_bundle(tmp_path / "b", IDS)
    rewrite(tmp_path / "b", **change)
    with pytest.raises(BundleError, match=message):
        Bundle.open(tmp_path / "b")


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "{}"])
def test_nonsense_instead_of_a_manifest_is_refused(tmp_path: Path, text: str) -> None:
    toy_bundle(tmp_path / "b", IDS)
    (tmp_path / "b" / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match="cannot be read"):
        Bundle.open(tmp_path / "b")


def test_no_bundle_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="ralm train"):
        Bundle.open(tmp_path / "nothing")
