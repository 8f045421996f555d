"""How many threads the numeric libraries start, decided before any of them is loaded: one.

Small tensors gain nothing from more. OpenMP's threads wait for each other by spinning, so that two of them beside a
busy neighbour spend their time in the wait, and every process has other work for the other cores.
"""

import os

ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"),
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "0",
}
"""Environment variables that OpenMP, OpenBLAS and MKL read when they are loaded, and never again."""


def default_to_one_thread() -> None:
    """Give this process and its children one numeric thread, unless the environment already says how many."""
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
