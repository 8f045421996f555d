"""A store as a crash leaves it: tables of several ages, a log with the last epochs, nothing closed."""

import pytest
from store_history import Crashed, Writer, crash_image


@pytest.fixture(scope="session")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Crashed:
    home = tmp_path_factory.mktemp("crashed")
    writer = Writer(home / "live", 1)
    writer.epochs(20)
    writer.reopen()
    writer.epochs(15)
    writer.store.compact()
    writer.reopen()
    writer.epochs(15)
    writer.reopen()
    writer.epochs(20)
    crash_image(home / "live", home / "crashed")
    writer.store.close()
    return Crashed(home / "crashed", writer.states)
