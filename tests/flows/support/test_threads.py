"""The numeric libraries start one thread, unless the environment says otherwise."""

import os
import subprocess
import sys

import pytest

from flows.support.threads import ONE_THREAD

PROBE = """
from flows.support.threads import default_to_one_thread
default_to_one_thread()
import numpy, threadpoolctl
print({library["num_threads"] for library in threadpoolctl.threadpool_info()})
"""


@pytest.mark.parametrize(("given", "threads"), [({}, "{1}"), ({"OPENBLAS_NUM_THREADS": "2"}, "{2}")])
def test_what_is_loaded_afterwards_has_one_thread_or_what_was_asked_for(given: dict[str, str], threads: str) -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one core has one thread in any case")
    env = {name: value for name, value in os.environ.items() if name not in ONE_THREAD} | given
    said = subprocess.run([sys.executable, "-c", PROBE], env=env, capture_output=True, text=True, check=True).stdout
    assert said.strip() == threads
