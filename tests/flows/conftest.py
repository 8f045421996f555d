"""What several tests of the flows start from."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from operator_maker import make_pool
from state_maker import make_state

from flows.seed_sets.clustering import ClusteringPool


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound state directory, to be copied."""
    path = tmp_path_factory.mktemp("state") / "state"
    make_state(path)
    return path


@pytest.fixture
def state(sound: Path, tmp_path: Path) -> Path:
    """A sound state directory of the test's own."""
    return shutil.copytree(sound, tmp_path / "state")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusteringPool]:
    """A pool with a small bundle."""
    made = make_pool(tmp_path_factory.mktemp("bundle") / "b", 0)
    yield made
    made.close()
