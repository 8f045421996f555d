"""What messages about a bundle say to do, done to the letter with the console's own commands."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flows.cli.main import cli
from state.bundle.bundle import Bundle, BundleError

OWN_DATA = Path(__file__).parents[3] / "examples" / "own_data"


def ralm(folder: Path, said: str) -> Result:
    """Run what a message says, with the encoder that needs no torch."""
    arguments = shlex.split(said.removeprefix("ralm "))
    settings = {
        "RALM_DATA_DIR": str(folder / "data"),
        "RALM_BUNDLE": str(folder / "bundle"),
        "RALM_ENCODER": "spectral",
    }
    return CliRunner().invoke(cli, arguments, env=settings, catch_exceptions=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set and a bundle of it."""
    folder = tmp_path_factory.mktemp("trained")
    for said in (f"ralm data own --from {OWN_DATA}", "ralm train own"):
        done = ralm(folder, said)
        assert done.exit_code == 0, (done.output, done.exception)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """The same, for a test to damage."""
    return shutil.copytree(trained, tmp_path / "own")


def of_format(number: int) -> Callable[[Path], None]:
    """Has a manifest say another format."""

    def change(bundle: Path) -> None:
        manifest = json.loads((bundle / "manifest.json").read_text())
        (bundle / "manifest.json").write_text(json.dumps({**manifest, "format": number}))

    return change


def refusal(bundle: Path) -> str:
    with pytest.raises(BundleError) as refused:
        Bundle.open(bundle)
    return str(refused.value)


@pytest.mark.parametrize(
    "damage",
    [
        shutil.rmtree,
        lambda bundle: (bundle / "manifest.json").unlink(),
        lambda bundle: (bundle / "vectors.npy").write_bytes(b"cut off"),
        of_format(1),
    ],
    ids=["no bundle", "no manifest", "a damaged file", "of an older version"],
)
def test_a_bundle_that_cannot_be_used_is_trained_again_as_the_message_says(
    folder: Path, damage: Callable[[Path], Any]
) -> None:
    version = Bundle.open(folder / "bundle").version
    damage(folder / "bundle")
    said = re.search(r"`(ralm train NAME)`", refusal(folder / "bundle"))
    assert said is not None
    wrong = ralm(folder, said[1])
    assert "there is no data set NAME in" in str(wrong.exception)
    assert "(there: own)" in str(wrong.exception), "so that the name need not be guessed"
    done = ralm(folder, said[1].replace("NAME", "own"))
    assert done.exit_code == 0, (done.output, done.exception)
    assert Bundle.open(folder / "bundle").version == version


def test_a_bundle_of_a_newer_version_stays_where_one_is_trained_beside_it(folder: Path) -> None:
    of_format(99)(folder / "bundle")
    before = {file.name: file.read_bytes() for file in (folder / "bundle").iterdir()}
    said = re.search(r"`(ralm train NAME --bundle FOLDER)`", refusal(folder / "bundle"))
    assert said is not None
    done = ralm(folder, said[1].replace("NAME", "own").replace("FOLDER", str(folder / "other")))
    assert done.exit_code == 0, (done.output, done.exception)
    Bundle.open(folder / "other")
    assert {file.name: file.read_bytes() for file in (folder / "bundle").iterdir()} == before


@pytest.mark.parametrize("said", ["ralm train NAME", "ralm data NAME"])
def test_a_name_that_is_not_there_is_said_with_what_to_do(tmp_path: Path, said: str) -> None:
    done = ralm(tmp_path, said)
    assert "--from FOLDER" in str(done.exception)
