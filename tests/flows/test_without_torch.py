"""Serving, the closed form and the demo run where there is no torch: each is imported and used with torch blocked."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_ABSENT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "implicit", "matplotlib", "filelock"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""
_TRAIN = """
from pathlib import Path
import numpy as np
from flows.config.settings import Settings
from flows.offline.datasets.layout import Dataset
from flows.offline.training import Split, fit_options, train_bundle
rng = np.random.default_rng(0)
users, items = np.array([f"u{n:02d}" for n in range(30)]), np.array([f"i{n:02d}" for n in range(12)])
data = Dataset("d", rng.choice(users, 400), rng.choice(items, 400), np.arange(400) * 1000, users, {}, items, items)
options = fit_options(Settings(encoder="spectral"))
train_bundle(data, split=Split(before=300_000), path=Path(sys.argv[1]), options=options)
from state.bundle.bundle import Bundle
print(Bundle.open(Path(sys.argv[1])).encoder.dim)
"""


def without_torch(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", _ABSENT + code, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )


@pytest.mark.parametrize(
    "module",
    [
        "flows.look_alike",
        "flows.seeds",
        "flows.scores",
        "flows.run",
        "flows.demo.run",
        "flows.cli.commands.ask",
        "flows.offline.training",
        "flows.offline.datasets.movielens",
        "ralm.encoders.sized_spectral",
        "state.bundle.bundle",
        "state.bundle.write",
    ],
)
def test_it_is_imported(module: str) -> None:
    done = without_torch(f"import {module}")
    assert done.returncode == 0, done.stderr


def test_the_closed_form_is_trained_into_a_bundle(tmp_path: Path) -> None:
    done = without_torch(_TRAIN, str(tmp_path / "b"))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


def test_an_encoder_that_needs_torch_says_which_extra_brings_it(tmp_path: Path) -> None:
    code = (
        "sys.argv = ['ralm', 'train', 'd', '--data-dir', sys.argv[1]]\n"
        "from flows.offline import fitting\n"
        "from flows.cli.main import main\n"
        "import flows.offline.datasets.layout as layout, flows.offline.training as training\n"
        "layout.load = lambda _: type('Data', (), {'timed': False})()\n"
        "training.train_bundle = lambda *_, **__: fitting._both()\n"
        "main()"
    )
    (tmp_path / "d").mkdir()
    done = without_torch(code, str(tmp_path))
    assert done.returncode == 2
    assert (
        "this command needs torch: pip install '.[train]' in the project's folder; --encoder spectral needs none"
        in done.stderr
    )
