"""What pyproject.toml cannot say: the compiled k-means, built where there is a C compiler.

Without one the installation goes on, and clustering is slower (docs/adr/0021-compiled-clustering.md).
"""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "ralm.clustering._kmeans",
            ["ralm/clustering/kmeans.c"],
            depends=["ralm/clustering/kmeans_kernel.h"],
            # No contraction: the same bits on every processor. Vectors never cross the library's border, so that no
            # calling convention for them matters.
            extra_compile_args=["-O3", "-ffp-contract=off", "-Wno-psabi"],
            optional=True,
        )
    ]
)
