"""One small module for each public data set, all read into one common layout."""

from collections.abc import Callable
from pathlib import Path

from flows.datasets import ml100k
from flows.datasets.layout import Dataset

SOURCES: dict[str, Callable[[Path], Dataset]] = {"ml100k": ml100k.bring}
"""By name, how a data set is brought; the argument is a folder for what is fetched."""
