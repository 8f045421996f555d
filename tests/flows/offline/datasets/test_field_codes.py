"""Values stand in the order of the codes that training gave them."""

import numpy as np

from flows.offline.datasets.field_codes import field_codes
from flows.offline.datasets.layout import Dataset


def test_each_code_leads_back_to_its_value() -> None:
    users, items = np.array(["a", "b", "c"]), np.array(["x", "y"])
    fields = {
        "town": ("categorical", np.array(["Oslo", "", "Kyiv"])),
        "likes": ("multivalent", np.array(["tea|jazz", "", "jazz|art"])),
        "age": ("continuous", np.array([30, 50, 41], "f4")),
    }
    data = Dataset("d", users, items[[0, 1, 0]], np.arange(3), users, fields, items, np.array(["", ""]))
    codes, coded = field_codes(data), data.interactions()
    assert codes["continuous"] == {"age": [30.0, 50.0]}
    for user, value in enumerate(fields["town"][1].tolist()):
        code = int(coded.categorical["town"][0][user])
        assert (codes["categorical"]["town"][code - 1] if code else "") == value
    for user, values in enumerate(fields["likes"][1].tolist()):
        found = [codes["multivalent"]["likes"][code - 1] for code in coded.multivalent["likes"][0][user] if code]
        assert sorted(found) == sorted(filter(None, values.split("|")))
