"""MovieLens-100k as recbole has it, and what is wrong with bad tables; the source's own files: test_source_files."""

from pathlib import Path

import pytest

from flows.offline.datasets.layout import load, save
from flows.offline.datasets.movielens import read_recbole
from flows.support.errors import RalmError

INTER = """user_id:token\titem_id:token\trating:float\ttimestamp:float
2\t10\t5\t100
1\t10\t4\t100
1\t11\t3\t101
1\t12\t4\t99
"""
USER = """user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token
1\t20\tF\twriter\t90210
2\t40\tM\t\tT8H1N
"""
ITEM = """item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq
10\tOne\t1990\tComedy Drama
11\tTwo\t1991\tDrama
12\tThree\t1992\t
"""


def test_movielens_is_read(tmp_path: Path) -> None:
    data = read_recbole(INTER, USER, ITEM)
    assert list(zip(data.event_times.tolist(), data.event_users.tolist(), data.event_items.tolist(), strict=True)) == [
        (99_000, "1", "12"),
        (100_000, "1", "10"),
        (100_000, "2", "10"),
    ]
    numbers = data.interactions()
    assert numbers.users == 2
    assert numbers.items == 3
    assert numbers.continuous.ravel().tolist() == [0.0, 1.0]
    assert numbers.categorical["occupation"][0].tolist() == [1, 0]  # an empty value is unknown
    assert numbers.item_categories.tolist() == [[1, 2], [2, 0], [0, 0]]
    assert numbers.clicks_user.tolist() == [0, 0, 1]
    save(data, tmp_path / "d")
    again = load(tmp_path / "d")
    assert again.fingerprint() == data.fingerprint()
    assert again.name == "ml100k"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ((INTER + "1\t10\n", USER, ITEM), r"ml-100k.inter, line 6: 2 fields instead of 4"),
        ((INTER + "1\t10\tgood\t5\n", USER, ITEM), r"ml-100k.inter, line 6: rating is 'good'"),
        ((INTER + "9\t10\t5\t100\n", USER, ITEM), r"names '9', which is not among the users"),
        ((INTER + "1\t99\t5\t100\n", USER, ITEM), r"names '99', which is not among the items"),
        ((INTER, USER.replace("\t40\t", "\tnan\t"), ITEM), r"field 'age' of user '2' is nan"),
        ((INTER, "", ITEM), r"ml-100k.user has no rows"),
        ((INTER.replace("\t5\t", "\t1\t").replace("\t4\t", "\t1\t"), USER, ITEM), "there are no clicks"),
    ],
)
def test_bad_data_is_refused_by_file_row_and_field(texts: tuple[str, str, str], message: str) -> None:
    with pytest.raises(RalmError, match=message):
        read_recbole(*texts)
