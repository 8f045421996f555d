"""The conditions that the tests run under."""

import sklearn.cluster  # noqa: F401 (it loads BLAS and OpenMP)
from threadpoolctl import threadpool_info


def test_every_numeric_library_has_one_thread() -> None:
    pools = threadpool_info()
    assert {pool["user_api"] for pool in pools} >= {"blas", "openmp"}
    assert {pool["num_threads"] for pool in pools} == {1}
