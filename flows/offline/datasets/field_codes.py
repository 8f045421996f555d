"""The values that the codes of profile fields stand for, so that a profile of later on can be coded as in training."""

from typing import Any

import numpy as np

from flows.offline.datasets.layout import Dataset
from ralm.encoders.profiles import SEPARATOR


def field_codes(data: Dataset) -> dict[str, dict[str, list[Any]]]:
    """The values of each field, by its kind, in the order of their codes, from code 1 on.

    Of a continuous field the least and the greatest number, which are coded as 0 and 1.
    """
    codes: dict[str, dict[str, list[Any]]] = {"categorical": {}, "multivalent": {}, "continuous": {}}
    for name, (kind, column) in data.fields.items():
        if kind == "continuous":
            codes[kind][name] = [float(column.min()), float(column.max())] if len(column) else [0.0, 0.0]
            continue
        values = column if kind == "categorical" else np.array(SEPARATOR.join(column.tolist()).split(SEPARATOR))
        codes[kind][name] = np.unique(values[values != ""]).tolist()
    return codes
