# ruff: noqa: E501 -- functions stand in the tests that are about them
"""A function between two steps of SQL: a partition at a time, in order, and never half."""

from collections.abc import Callable

import pyarrow as pa
import pytest
from factories import DAY, DAYS, NEXT_DAY, PIPELINE, Project, outcome

from data_platform.errors import ContractError, FunctionError
from data_platform.plan.naming import WHOLE
from data_platform.quality.gate import Passage

HEAD = "staging:\n  orders:\n    from: raw.orders\n"
THREE = [{"id": n, "text": f"é{n}"} for n in range(3)]
Declare = Callable[..., Project]


@pytest.fixture
def declare(project: Project) -> Declare:
    """Write a module `work` and a staging asset with a step of its function `f`."""

    def written(
        code: str,
        settings: str = "",
        *,
        before: str = "",
        after: str = "",
        more: str = "",
        daily: bool = False,
    ) -> Project:
        folder = project.pipelines / PIPELINE
        folder.mkdir(exist_ok=True)
        (folder / "work.py").write_text(code)
        step = f"      - python: {{function: 'work:f'{settings}}}\n"
        project.declare(f"{HEAD}    transformations:\n{before}{step}{after}{more}", daily=daily)
        return project

    return written


def add(name: str, expression: str) -> str:
    return f"      - add_columns:\n          {name}: {expression}\n"


def computed(project: Project, *keys: str) -> Passage:
    passage = project.compute("staging/orders", *keys)
    assert not passage.failed, passage.failed
    return passage


def test_rows_go_out_after_the_steps_before_and_come_back_for_those_after(declare: Declare) -> None:
    code = "def f(rows):\n  rows['z'] = rows['y'] * 10\n  return rows[rows['id'] > 0]"
    project = declare(code, before=add("y", "id + 1"), after=add("w", "z + 1"))
    project.land("raw/orders", THREE)
    passage = computed(project)
    assert project.rows("staging/orders") == [
        {"id": 1, "text": "é1", "y": 2, "z": 20, "w": 21},
        {"id": 2, "text": "é2", "y": 3, "z": 30, "w": 31},
    ]
    assert outcome(passage, "conservation").findings[WHOLE].detail == "3 in = 3 out + 0 quarantined"


def test_conservation_counts_up_to_the_function(declare: Declare) -> None:
    project = declare("def f(rows):\n  return rows[:1]", before="      - filter_rows: id > 0\n")
    project.land("raw/orders", THREE)
    detail = outcome(computed(project), "conservation").findings[WHOLE].detail
    assert detail == "3 in = 2 out + 0 quarantined + 1 by filter_rows"


def columns(project: Project, asset: str) -> dict[str, str]:
    snapshot = project.table(asset).snapshot()
    assert snapshot is not None
    return {field.name: str(field.type) for field in snapshot.schema}


@pytest.mark.parametrize("settings", ["", ", input: arrow", ", chunk_size: 2", ", num_workers: 1"])
def test_a_function_sees_its_own_columns_only(declare: Declare, settings: str) -> None:
    code = "import pyarrow as pa\ndef f(rows):\n  names = rows.column_names if isinstance(rows, pa.Table) else list(rows.columns)\n  return {'names': ', '.join(names), 'kind': type(rows).__name__}"
    before = "      - convert_types:\n          id: varchar\n"
    project = declare(code, settings, before=before)
    project.land("raw/orders", THREE[:1])
    computed(project)
    kind = "Table" if "arrow" in settings else "DataFrame"
    assert project.rows("staging/orders") == [{"names": "id, text", "kind": kind}]


@pytest.mark.parametrize(
    "settings", ["", ", input: arrow", ", chunk_size: 1", ", chunk_size: 2, num_workers: 2"]
)
def test_values_come_through_as_they_are(declare: Declare, settings: str) -> None:
    project = declare("def f(rows):\n  return rows", settings)
    select = (
        "SELECT * FROM (VALUES (1, 9007199254740993, 'NaN'::DOUBLE, 1.10::DECIMAL(9,2), TIMESTAMPTZ '2024-07-01 12:00+02', "
        "TIMESTAMP '2024-07-01 12:00:00.123456', DATE '2024-02-29', '', [1, NULL], true, 'ab'::BLOB), "
        "(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)) t(id, big, num, exact, moment, local, day, txt, list, yes, raw)"
    )
    project.land("raw/orders", select)
    computed(project)
    assert [str(row) for row in project.rows("staging/orders")] == [
        str(row) for row in project.rows("raw/orders")
    ]
    assert columns(project, "raw/orders") == columns(project, "staging/orders")


@pytest.mark.parametrize("settings", ["", ", chunk_size: 3", ", num_workers: 2"])
def test_no_rows_are_an_empty_frame_with_columns(declare: Declare, settings: str) -> None:
    code = "def f(rows):\n  assert len(rows) == 0\n  rows['z'] = rows['id'] + 1\n  return rows"
    project = declare(code, settings)
    project.land("raw/orders", pa.table({"id": pa.array([], pa.int64())}))
    computed(project)
    assert list(columns(project, "staging/orders")) == ["id", "z"]
    assert project.rows("staging/orders") == []


def test_a_day_without_rows_is_empty_beside_others(declare: Declare) -> None:
    project = declare("def f(rows):\n  for n in rows['id']:\n    yield {'n': n}", daily=True)
    project.land_all(
        "raw/orders", {DAY: THREE, NEXT_DAY: pa.table({"id": pa.array([], pa.int64())})}
    )
    assert computed(project, DAY, NEXT_DAY).rows_in == {DAY: 3, NEXT_DAY: 0}
    assert project.column("staging/orders", "n", DAY) == [0, 1, 2]
    assert project.rows("staging/orders", NEXT_DAY) == []


def test_a_generator_that_yields_nothing_has_the_columns_of_the_contract(declare: Declare) -> None:
    code = "def f(rows):\n  yield from ()"
    project = declare(code, more="    columns:\n      total:\n        type: decimal(9,2)\n")
    project.land("raw/orders", THREE)
    computed(project)
    assert columns(project, "staging/orders") == {"total": "decimal128(9, 2)"}


def test_a_generator_that_yields_nothing_without_a_contract_is_told(declare: Declare) -> None:
    project = declare("def f(rows):\n  yield from ()")
    project.land("raw/orders", THREE)
    with pytest.raises(
        FunctionError,
        match=r"staging/shop/orders: work:f gave no rows, and nothing says which columns",
    ):
        project.compute("staging/orders")


NUMBERED = """
import os
def f(rows):
    rows["seen"] = range(len(rows))
    rows["size"] = len(rows)
    return rows
"""


@pytest.mark.parametrize("workers", ["", ", num_workers: 2"])
def test_chunks_are_of_the_asked_size_in_the_order_of_the_source(
    declare: Declare, workers: str
) -> None:
    project = declare(NUMBERED, f", chunk_size: 4{workers}")
    project.land("raw/orders", [{"id": n} for n in range(10)])
    computed(project)
    rows = project.rows("staging/orders")
    assert [row["size"] for row in rows] == [4] * 8 + [2] * 2
    assert [row["seen"] for row in rows] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


def test_rows_that_come_out_in_order_go_on_in_order(declare: Declare) -> None:
    after = "      - add_columns:\n          twice: id * 2\n      - python: {function: 'work:g'}\n"
    code = "def f(rows):\n  return rows.iloc[::-1]\ndef g(rows):\n  rows['place'] = range(len(rows))\n  return rows"
    project = declare(code, ", chunk_size: 5, num_workers: 2", after=after)
    project.land("raw/orders", [{"id": n} for n in range(12)])
    computed(project)
    places = {row["place"]: row["id"] for row in project.rows("staging/orders")}
    assert [places[n] for n in range(12)] == [4, 3, 2, 1, 0, 9, 8, 7, 6, 5, 11, 10]


@pytest.mark.parametrize("chunk", [1, 7, 1_000_000])
def test_a_huge_or_tiny_number_of_chunks_gives_the_same(declare: Declare, chunk: int) -> None:
    project = declare("def f(rows):\n  return rows", f", chunk_size: {chunk}, input: arrow")
    project.land("raw/orders", "SELECT range AS id FROM range(500)")
    computed(project)
    assert sorted(map(int, project.column("staging/orders", "id"))) == list(range(500))  # type: ignore[arg-type]


def test_rows_without_an_origin_are_ordered_by_what_they_hold(declare: Declare) -> None:
    before = (
        "      - aggregate:\n          group_by: [k]\n          columns:\n            n: COUNT(*)\n"
    )
    code = "def f(rows):\n  rows['place'] = range(len(rows))\n  return rows"
    project = declare(code, before=before)
    project.land("raw/orders", [{"k": k} for k in "cabac"])
    computed(project)
    assert project.rows("staging/orders") == [
        {"k": "a", "n": 2, "place": 0},
        {"k": "b", "n": 1, "place": 1},
        {"k": "c", "n": 2, "place": 2},
    ]


@pytest.mark.parametrize("settings", ["", ", chunk_size: 2", ", chunk_size: 2, num_workers: 2"])
def test_a_range_gives_what_single_runs_give(declare: Declare, settings: str) -> None:
    code = "def f(rows, partition):\n  rows['day'] = partition.key\n  rows['total'] = rows['id'].sum()\n  return rows"
    project = declare(code, settings, daily=True)
    keys = DAYS[:3]
    project.land_all(
        "raw/orders", {key: [{"id": n + day} for n in range(5)] for day, key in enumerate(keys)}
    )
    ranged = computed(project, *keys).publication
    assert ranged is not None
    assert project.column("staging/orders", "day", NEXT_DAY) == [NEXT_DAY] * 5
    for key in keys:
        single = computed(project, key).publication
        assert single is not None
        assert single.versions[key].data_version == ranged.versions[key].data_version


BAD_DAY = """
def f(rows):
    if 1 in set(rows["id"]):
        {what}
    return rows
"""


@pytest.mark.parametrize("settings", ["", ", chunk_size: 1, num_workers: 2"])
def test_a_day_whose_call_raises_leaves_the_others(declare: Declare, settings: str) -> None:
    project = declare(BAD_DAY.format(what='raise KeyError("one")'), settings, daily=True)
    project.land_all("raw/orders", {DAY: [{"id": 0}, {"id": 1}], NEXT_DAY: [{"id": 2}]})
    passage = project.compute("staging/orders", DAY, NEXT_DAY)
    chunk = " at chunk 2 (rows 2 to 2)" if settings else ""
    assert passage.failed == {
        DAY: f"work:f raised KeyError: 'one' at {project.pipelines}/shop/work.py:4{chunk}"
    }
    assert project.column("staging/orders", "id") == [2]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("import os; os._exit(3)", "ended by itself with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL, as when memory runs out,"),
    ],
)
def test_a_day_whose_process_dies_leaves_the_others(
    declare: Declare, what: str, words: str
) -> None:
    project = declare(BAD_DAY.format(what=what), ", num_workers: 2", daily=True)
    project.land_all("raw/orders", {DAY: [{"id": 0}, {"id": 1}], NEXT_DAY: [{"id": 2}]})
    passage = project.compute("staging/orders", DAY, NEXT_DAY)
    assert passage.failed == {DAY: f"the process of work:f {words} at chunk 1 (rows 1 to 2)"}
    assert project.column("staging/orders", "id") == [2]


def test_where_every_day_fails_nothing_is_published(declare: Declare) -> None:
    project = declare("def f(rows):\n  return 7", daily=True)
    project.land_all("raw/orders", {DAY: THREE, NEXT_DAY: THREE})
    passage = project.compute("staging/orders", DAY, NEXT_DAY)
    assert passage.publication is None
    assert set(passage.failed) == {DAY, NEXT_DAY}
    assert "work:f returned int: pandas, pyarrow or dicts" in passage.failed[DAY]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("return None", r"work:f returned nothing (None): "),
        ("return rows['id']", "work:f returned a pandas Series: return a DataFrame"),
        ("return rows.rename(columns={'id': 'TEXT'})", "work:f has two columns text: names differ"),
        ("return rows.rename(columns={'id': 7})", "work:f has a column named 7 (int)"),
        (
            "rows['_row'] = 1\n  return rows",
            "work:f has a column _row, a name that the platform needs",
        ),
        ("yield rows\n  raise ValueError('late')", "work:f raised ValueError: late at "),
    ],
)
def test_what_can_not_be_used_is_told(declare: Declare, code: str, message: str) -> None:
    project = declare(f"def f(rows):\n  {code}")
    project.land("raw/orders", THREE)
    assert message in project.compute("staging/orders").failed[WHOLE]


def test_a_column_that_the_contract_needs_and_does_not_come_is_told(declare: Declare) -> None:
    project = declare(
        "def f(rows):\n  return rows", more="    columns:\n      total:\n        type: double\n"
    )
    project.land("raw/orders", THREE)
    with pytest.raises(ContractError, match="total"):
        project.compute("staging/orders")


def test_the_contract_converts_what_comes(declare: Declare) -> None:
    more = "    columns:\n      id:\n        type: varchar\n    extra_columns: drop\n"
    project = declare("def f(rows):\n  return rows", more=more)
    project.land("raw/orders", THREE)
    computed(project)
    assert project.column("staging/orders", "id") == ["0", "1", "2"]


def test_a_value_that_does_not_convert_before_the_function_fails_its_day(declare: Declare) -> None:
    before = "      - convert_types:\n          text: bigint\n"
    project = declare("def f(rows):\n  return rows[:0]", before=before, daily=True)
    project.land_all("raw/orders", {DAY: [{"text": "x"}, {"text": "y"}], NEXT_DAY: [{"text": "7"}]})
    passage = project.compute("staging/orders", DAY, NEXT_DAY)
    assert passage.failed == {DAY: "types: 2 values of text can't be converted, before work:f"}


def test_where_the_rule_only_warns_its_day_goes_on_with_a_warning(declare: Declare) -> None:
    before = "      - convert_types:\n          text: bigint\n"
    project = declare(
        "def f(rows):\n  return rows", before=before, more="    on_violation: warn\n", daily=True
    )
    project.land_all("raw/orders", {DAY: [{"text": "x"}, {"text": "7"}], NEXT_DAY: [{"text": "7"}]})
    found = outcome(computed(project, DAY, NEXT_DAY), "types")
    assert {key: finding.verdict for key, finding in found.findings.items()} == {
        DAY: "warn",
        NEXT_DAY: "pass",
    }


def test_a_mistake_in_the_sql_before_is_told(declare: Declare) -> None:
    project = declare("def f(rows):\n  return rows", before=add("y", "CAST(text AS INTEGER)"))
    project.land("raw/orders", THREE)
    with pytest.raises(
        ContractError, match=r"staging/shop/orders: .*Could not convert string 'é0'"
    ):
        project.compute("staging/orders")


def test_other_inputs_are_read_for_the_days_that_came_through(declare: Declare) -> None:
    after = "      - union: raw.others\n"
    project = declare(BAD_DAY.format(what="raise KeyError"), after=after, daily=True)
    text = (project.pipelines / "shop" / "pipeline.yaml").read_text()
    others = "sources:\n  others: {type: database, connection: shop, table: others, cursor: at}\n"
    (project.pipelines / "shop" / "pipeline.yaml").write_text(text.replace("sources:\n", others))
    rows = {DAY: [{"id": 1}], NEXT_DAY: [{"id": 2}]}
    for name in ("orders", "others"):
        project.land_all(f"raw/{name}", rows)
    passage = project.compute("staging/orders", DAY, NEXT_DAY)
    assert list(passage.failed) == [DAY]
    assert project.column("staging/orders", "id") == [2, 2]
