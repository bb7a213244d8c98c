"""`data-platform quarantine export|replay|discard|restore`: mend rows, take them in, or give up."""

import csv
import io
import json
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest
from factories import DAY, NEXT_DAY, Project

from data_platform.settings import Settings

STAGING = """staging:
  orders:
    from: raw.orders
    columns:
      id: {type: bigint, nullable: false}
      price: {type: integer, min: 0}
    extra_columns: keep
    on_violation: quarantine
analytics:
  revenue: {query: "SELECT sum(price) AS total FROM staging.orders"}
"""
FINANCE = """analytics:
  months: {query: "SELECT sum(price) AS total FROM shop.staging.orders"}
"""
THIRD_DAY = "2024-01-03"
GONE = "row 0123456789abcdef0123-1 isn't in quarantine of staging/shop/orders (any more)"
ROWS = """SELECT * FROM (VALUES
    (1, 5, 'a', NULL), (2, -7, 'é, "b"', ''), (3, -1, '007', 'line
two')) t(id, price, note, "more, words")"""


@pytest.fixture(autouse=True)
def shop(project: Project, environ: dict[str, str], dagster_url: str) -> Project:
    """Three days, two rows of each held back, with a pipeline of others below."""
    environ["DATA_PLATFORM_STORAGE_URL"] = dagster_url
    project.declare(STAGING, daily=True)
    days = (DAY, NEXT_DAY, THIRD_DAY)
    project.land_all("raw/orders", dict.fromkeys(days, ROWS))
    project.compute("staging/orders", *days)
    project.compute("analytics/revenue", *days)
    return project


def exported(command, *options: str) -> list[dict[str, str]]:
    result = command("quarantine", "export", "shop.orders", *options)
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def written(path: Path, rows: list[dict[str, str]], **options: str) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), **options)  # type: ignore[arg-type]
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def observations(settings_url: str, folder: Path) -> list[dict[str, object]]:
    from data_platform.instance.storage import open_instance

    settings = Settings(folder, folder / ".data", (), storage_url=settings_url)
    with open_instance(settings) as instance:
        found = instance.fetch_observations(dg.AssetKey(["quarantine", "shop", "orders"]), limit=20)
    return [
        {name: value.value for name, value in record.asset_observation.metadata.items()}
        for record in found.records
        if record.asset_observation
    ]


def test_a_file_survives_a_spreadsheet(command):
    rows = exported(command, "--partition", DAY)
    assert list(rows[0]) == [
        "_row_id",
        "partition",
        "_reasons",
        "id",
        "price",
        "note",
        "more, words",
    ]
    by_id = {row["id"]: row for row in rows}
    assert by_id["2"]["note"] == 'é, "b"'
    assert by_id["3"]["note"] == "'007"
    assert (by_id["2"]["more, words"], by_id["3"]["more, words"]) == ("", "line\ntwo")
    assert by_id["2"]["_reasons"] == "range_price"
    assert by_id["2"]["partition"] == f"'{DAY}"


def test_corrected_rows_are_taken_in_and_what_is_below_runs_again(
    command, shop: Project, tmp_path: Path, dagster_url: str
):
    shop.declare(
        f"partitions: {{every: day, start: 2024-01-01, end: 2024-02-01}}\nsources: {{}}\n{FINANCE}",
        name="finance",
    )
    rows = exported(command, "--partition", DAY)
    for row in rows:
        row["price"] = {"2": "70", "3": "-2"}[row["id"]]
    file = written(tmp_path / "held.csv", rows, delimiter=";")
    dry = command("quarantine", "replay", "shop.orders", file, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "2 rows, 2 of them corrected" in dry.stdout
    assert sorted(line.split()[0] for line in dry.stdout.splitlines()[2:]) == [
        "analytics/finance/months",
        "analytics/shop/revenue",
        "staging/shop/orders",
    ]
    assert shop.column("staging/orders", "price", DAY) == [5]
    done = command("quarantine", "replay", "shop.orders", file, "--yes", "--by", "ada")
    assert done.exit_code == 0, done.output
    assert "1 row taken back in" in done.stdout
    assert "1 row still held back\n  range_price 1" in done.stdout
    assert shop.column("staging/orders", "price", DAY) == [5, 70]
    assert shop.column("staging/orders", "price", NEXT_DAY) == [5]
    assert shop.column("analytics/revenue", "total", DAY) == [75]
    assert shop.column("analytics/finance/months", "total", DAY) == [75]
    told = observations(dagster_url, tmp_path)
    assert [(one["data_platform/by"], one["rows_decided"], one["rows_open"]) for one in told] == [
        ("ada", 2, 2)
    ]
    again = command("quarantine", "replay", "shop.orders", file, "--yes")
    assert "1 row taken back in before" in again.stdout
    assert "0 rows taken back in" in again.stdout
    assert shop.column("staging/orders", "price", DAY) == [5, 70]
    only_done = written(tmp_path / "done.csv", [row for row in rows if row["id"] == "2"])
    nothing = command("quarantine", "replay", "shop.orders", only_done, "--yes")
    assert nothing.stdout == "1 row taken back in before\nnothing to take back in\n"


def test_rows_go_in_as_they_are_after_a_rule_has_changed(command, shop: Project):
    shop.declare(STAGING.replace("min: 0", "min: -5"), daily=True)
    asked = command("quarantine", "replay", "shop.orders", "--partition", DAY)
    assert asked.exit_code == 1, "nobody is there to answer"
    assert shop.column("staging/orders", "price", DAY) == [5]
    done = command("quarantine", "replay", "shop.orders", "--yes")
    assert done.exit_code == 0, done.output
    assert "3 rows taken back in" in done.stdout
    assert "3 rows still held back" in done.stdout
    assert shop.column("analytics/revenue", "total") == [4, 4, 4]


def test_only_partitions_with_rows_of_the_file_run(command, shop: Project, tmp_path: Path):
    rows = [
        row for row in exported(command) if row["id"] == "2" and NEXT_DAY not in row["partition"]
    ]
    for row in rows:
        row["price"] = "7"
    before = [*shop.table("staging/orders").history()]
    file = written(tmp_path / "held.csv", rows)
    done = command("quarantine", "replay", "shop.orders", file, "--yes")
    assert done.exit_code == 0, done.output
    assert len([*shop.table("staging/orders").history()]) == len(before) + 2, "two ranges"
    assert shop.column("staging/orders", "price", NEXT_DAY) == [5]


def test_every_mistake_of_a_file_is_told_at_once(command, shop: Project, tmp_path: Path):
    rows = exported(command, "--partition", DAY)
    rows[0]["price"], rows[0]["id"] = "seven", "1.5"
    strange = {**rows[1], "_row_id": "0123456789abcdef0123-1"}
    file = tmp_path / "held.csv"
    written(file, [rows[0], rows[1], rows[1], strange, {**strange, "_row_id": "x"}])
    text = file.read_text().replace("more, words", "mehr", 1)
    file.write_text(text)
    result = command("quarantine", "replay", "shop.orders", str(file), "--yes")
    assert result.exit_code == 1
    told = [line.partition(f"{file.name}:")[2] for line in result.stderr.splitlines()]
    assert [line.split(" ", 1)[1] for line in told if line] == [
        "no column 'mehr'; the row has id, price, note, more, words",
        "id: '1.5' isn't a value of INTEGER",
        "price: 'seven' isn't a value of INTEGER",
        f"row {rows[1]['_row_id']} is there twice: in line 3 too",
        f"{GONE}: it was published, or its source has other rows now; export anew",
        "'x' is no _row_id, such as `quarantine export` writes them",
    ]
    assert [line.split(":")[0] for line in told if line] == ["1", "2", "2", "5", "7", "9"]
    assert shop.table("corrections/orders").snapshot() is None


BROKEN = {
    "empty": ("", "1:1: the file is empty"),
    "no rows": ("_row_id,price\n", "the file has no rows"),
    "no identity": ("id,price\n1,2\n", "1:1: no column _row_id"),
    "twice": ("_row_id,price,price\na,1,2\n", "1:15: column 'price' is there twice"),
    "open quote": ('_row_id,note\nx,"abc\n', "2:3: a quote opens here and is never closed"),
    "behind a quote": ('_row_id,note\nx,"a"b\n', "2:3: 'b' stands behind the closing quote"),
    "too many": ("_row_id,note\nx,a,b\n", "2:1: 3 cells, and the header has 2"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_told_with_its_place(command, tmp_path: Path, name: str):
    text, message = BROKEN[name]
    file = tmp_path / "held.csv"
    file.write_text(text)
    result = command("quarantine", "replay", "shop.orders", str(file), "--yes")
    assert result.exit_code == 1
    assert message in result.stderr


def test_json_lines_and_parquet_go_the_same_way(command, shop: Project, tmp_path: Path):
    held = ("quarantine", "export", "shop.orders")
    lines = tmp_path / "held.jsonl"
    assert command(*held, "--partition", DAY, "-o", str(lines)).exit_code == 0
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert {row["id"]: row["more, words"] for row in rows} == {2: "", 3: "line\ntwo"}
    for row in rows:
        row["price"] = 10 * row["id"]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = command("quarantine", "replay", "shop.orders", str(lines), "--yes")
    assert done.exit_code == 0, done.output
    assert shop.column("staging/orders", "price", DAY) == [5, 20, 30]
    table = tmp_path / "held.parquet"
    assert command(*held, "-o", str(table)).exit_code == 0
    frame = pq.read_table(table)
    price = frame.schema.get_field_index("price")
    frame = frame.set_column(price, "price", [[8.0] * frame.num_rows])
    pq.write_table(frame, table)
    done = command(
        "quarantine", "replay", "shop.orders", str(table), "--partition", NEXT_DAY, "--yes"
    )
    assert done.exit_code == 0, done.output
    assert "2 rows of other partitions left alone" in done.stdout
    assert shop.column("staging/orders", "price", NEXT_DAY) == [5, 8, 8]


def test_an_unedited_file_takes_nothing_in(command, shop: Project, tmp_path: Path):
    for ending in ("csv", "jsonl", "parquet"):
        file = str(tmp_path / f"held.{ending}")
        assert command("quarantine", "export", "shop.orders", "-o", file).exit_code == 0
        result = command("quarantine", "replay", "shop.orders", file, "--yes")
        assert result.stdout == (
            "6 rows as they were: no cell is edited\nnothing to take back in\n"
        )
    assert shop.table("corrections/orders").snapshot() is None


def test_discarded_rows_are_given_up_and_can_be_restored(
    command, shop: Project, tmp_path: Path, dagster_url: str
):
    rows = exported(command, "--partition", DAY)
    one = rows[0]["_row_id"]
    assert command("quarantine", "discard", "shop.orders", "--all").exit_code == 2
    assert command("quarantine", "discard", "shop.orders", "--because", "x").exit_code == 2
    done = command(
        "quarantine", "discard", "shop.orders", "--id", one, "--because", "a test", "--yes",
        "--by", "ada",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "1 row discarded by ada" in done.stdout
    assert [row["_row_id"] for row in exported(command, "--partition", DAY)] == [rows[1]["_row_id"]]
    listed = command("quarantine", "list").stdout
    assert "5 rows held back\n1 row discarded: --discarded shows them" in listed
    shown = command(
        "quarantine", "show", "staging.orders", "--discarded", "--format", "json"
    ).stdout
    assert [(row["_discarded"], row["_decided_by"]) for row in json.loads(shown)] == [
        ("a test", "ada")
    ]
    assert [
        (one["data_platform/by"], one["data_platform/because"], one["rows_discarded"])
        for one in observations(dagster_url, tmp_path)
    ] == [("ada", "a test", 1)]
    shop.compute("staging/orders", DAY)
    assert "5 rows held back" in command("quarantine", "list").stdout
    back = command("quarantine", "restore", "shop.orders", "--id", one, "--yes")
    assert back.exit_code == 0, back.output
    assert len(exported(command, "--partition", DAY)) == 2
    assert command("quarantine", "restore", "shop.orders", "--all", "--yes").stdout == (
        "nothing to take back\n"
    )


def test_a_correction_that_is_taken_back_runs_its_partition(command, shop: Project, tmp_path: Path):
    rows = exported(command, "--partition", DAY)[:1]
    rows[0]["price"] = "70"
    file = written(tmp_path / "held.csv", rows)
    assert command("quarantine", "replay", "shop.orders", file, "--yes").exit_code == 0
    assert shop.column("analytics/revenue", "total", DAY) == [75]
    back = command("quarantine", "restore", "shop.orders", "--all", "--yes")
    assert back.exit_code == 0, back.output
    assert shop.column("analytics/revenue", "total", DAY) == [5]
    assert len(exported(command, "--partition", DAY)) == 2


def test_interrupted_between_decision_and_run_it_is_run_again(
    command, shop: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rows = exported(command, "--partition", DAY)
    for row in rows:
        row["price"] = "70"
    file = written(tmp_path / "held.csv", rows)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("data_platform.running.run_pipeline", killed)
        assert command("quarantine", "replay", "shop.orders", file, "--yes").exit_code == 130
    assert shop.column("staging/orders", "price", DAY) == [5]
    done = command("quarantine", "replay", "shop.orders", file, "--yes")
    assert "2 rows taken back in" in done.stdout
    assert shop.column("staging/orders", "price", DAY) == [5, 70, 70]
    assert len([*shop.table("corrections/orders").history()]) == 1


def test_nothing_held_back_is_nothing_to_do(command, project: Project):
    project.declare(STAGING, name="empty", daily=True)
    assert exported_text(command) == ""
    assert command("quarantine", "replay", "empty.orders", "--yes").stdout == (
        "nothing to take back in\n"
    )
    result = command("quarantine", "discard", "empty.orders", "--all", "--because", "x", "--yes")
    assert result.stdout == "nothing to discard\n"
    assert command("quarantine", "replay", "raw/shop/orders").exit_code == 2


def exported_text(command) -> str:
    lines = command("quarantine", "export", "empty.orders").stdout.splitlines()
    return "\n".join(lines[1:])
