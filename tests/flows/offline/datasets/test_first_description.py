"""A first description of one's own data: what is guessed, what is flagged, and that it brings the data in one round."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from flows.cli.main import cli
from flows.offline.datasets.custom import describe
from flows.offline.datasets.first_description import describe_first
from flows.offline.datasets.layout import load
from flows.support.errors import ConfigError, RalmError

PEOPLE = "".join(
    f"c{n},{'gold' if n % 3 else 'basic'},{20 + n},{n % 2},mail{n}@example.org,{10_000 + n % 30},same\n"
    for n in range(60)
)


def shop(folder: Path) -> Path:
    """Tables as a shop exports them: other names, semicolons, days first, views among the purchases."""
    log = "".join(
        f"c{n % 60};p{n % 7};{1 + n % 28:02}/11/2024 08:{n % 60:02};{('view', 'purchase', 'refund')[n % 3]}\n"
        for n in range(300)
    )
    goods = "".join(f"p{n},Thing {n},tools|home\n" for n in range(7))
    (folder / "orders_2024.csv").write_text("CustomerNo;ProductId;Created At;Action\n" + log)
    (folder / "customers.csv").write_text("id,plan,age,newsletter,email,zip,land\n" + PEOPLE)
    (folder / "products.csv").write_text("id,name,tags\n" + goods)
    (folder / "readme.md").write_text("no table")
    return folder


def bring(folder: Path, *more: str) -> Result:
    out = str(folder / "out")
    return CliRunner().invoke(cli, ["data", "shop", "--from", str(folder), "--data-dir", out, *more])


def test_a_shops_export_is_brought_in_one_round(tmp_path: Path) -> None:
    done = bring(shop(tmp_path), "--init")
    assert done.exit_code == 0, (done.output, done.exception)
    assert "100 clicks of 20 users on 7 items" in done.output or "100 clicks of 60 users on 7 items" in done.output
    said = describe(tmp_path)
    assert said.files.events == "orders_2024.csv"
    assert said.columns.user_id == ["CustomerNo", "id"]
    assert said.columns.item_id == ["ProductId", "id"]
    assert said.time_format == "%d/%m/%Y %H:%M"
    assert said.filter == {"Action": ["purchase"]}
    assert said.kinds == {
        "plan": "categorical",
        "age": "continuous",
        "newsletter": "categorical",
        "email": "ignore",
        "zip": "categorical",
        "land": "ignore",
    }
    assert "email is left out: an identifier in disguise: 60 different values in 60 rows" in done.output
    data = load(tmp_path / "out" / "shop")
    assert data.titles is not None
    assert data.titles.tolist() == [f"Thing {n}" for n in range(7)]
    assert set(data.categories.tolist()) == {"tools|home"}
    rows = [line.split() for line in done.output.splitlines() if line.startswith("customers.csv")]
    assert ["customers.csv", "age", "whole", "number", "60", "0", "continuous"] in rows


def test_a_description_that_is_there_is_kept(tmp_path: Path) -> None:
    (shop(tmp_path) / "data.toml").write_text("timed = true\n")
    done = bring(tmp_path, "--init")
    assert isinstance(done.exception, ConfigError)
    assert "is there already" in str(done.exception)
    assert (tmp_path / "data.toml").read_text() == "timed = true\n"


def test_what_is_wrong_is_all_said_and_the_description_stays(tmp_path: Path) -> None:
    shop(tmp_path)
    with (tmp_path / "orders_2024.csv").open("a") as file:
        file.write("stranger;p1;01/11/2024 08:00;purchase\nc1;;01/11/2024 08:00;purchase\n")
    done = bring(tmp_path, "--init")
    assert isinstance(done.exception, RalmError)
    said = str(done.exception).splitlines()
    assert (
        "orders_2024.csv, line 302: CustomerNo names 'stranger', which is not among the users (customers.csv)" in said
    )
    assert "orders_2024.csv, line 303: ProductId is empty" in said
    assert (tmp_path / "data.toml").exists()


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("user_id,item_id,timestamp", "u,i,1732440000", {}),
        (
            "userId,movieId,rating,timestamp",
            "1,2,4.5,1732440000",
            {"columns.user_id": "userId", "columns.item_id": "movieId"},
        ),
        ("visitor,sku,when,score", "v,s,2024-11-24,9", {"least_rating": 8, "columns.timestamp": "when"}),
        ("member_id,article_id,ts", "m,a,1732440000123456", {"time_unit": "us"}),
        ("account;song;date", "m;a;11/24/2024", {"time_format": "%m/%d/%Y"}),
        ("user,item", "u,i", {"timed": False}),
        ("reader,book,time,liked_rating", "u,b,1732440000,true", {"columns.rating": "liked_rating"}),
    ],
)
def test_columns_are_known_by_their_names_and_values(
    tmp_path: Path, header: str, row: str, expected: dict[str, object]
) -> None:
    (tmp_path / "some.csv").write_text(f"{header}\n{row}\n{row}x\n".replace("x\n", "\n"))
    found = describe_first(tmp_path)
    assert found.problems == []
    (tmp_path / "data.toml").write_text(found.text)
    said = describe(tmp_path)
    for key, value in expected.items():
        group, _, name = key.rpartition(".")
        assert getattr(getattr(said, group) if group else said, name) == value, found.text
    assert said.time_unit == expected.get("time_unit")


def test_tables_of_parquet_and_what_cannot_be_read(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"user_id": ["u", "v"], "item_id": ["a", "b"], "tags": [["x"], []]}), tmp_path / "clicks.parquet"
    )
    (tmp_path / "users.csv").write_bytes(b"user_id\ncaf\xe9\n")
    found = describe_first(tmp_path)
    assert found.problems == ["users.csv, line 2: this is not UTF-8; save it as that"]
    assert [facts.type for facts, _ in found.columns] == ["text", "text", "list"]


def test_a_folder_without_tables_and_known_data_sets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no table"):
        describe_first(tmp_path)
    (tmp_path / "some.csv").write_text("a,b\n1,2\n")
    assert "no table has a column of users and one of items" in describe_first(tmp_path).problems[0]
    done = CliRunner().invoke(cli, ["data", "ml1m", "--from", str(tmp_path), "--init"])
    assert "--init is for data of your own" in str(done.exception)


def test_what_is_written_can_be_read_whatever_the_columns_are_called(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user_id,item_id,timestamp\nann,tea,1732440000\nbob,mug,1732440001\n")
    (tmp_path / "users.csv").write_text('user_id,"pl\x7fan","a""b\n\u202ec"\nann,x,1\nbob,y,2\n')
    (tmp_path / "data.toml").write_text(describe_first(tmp_path).text, encoding="utf-8")
    assert describe(tmp_path).kinds.keys() == {"pl\x7fan", 'a"b\n\u202ec'}
