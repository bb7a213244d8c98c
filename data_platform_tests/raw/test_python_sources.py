# ruff: noqa: E501 -- cases stand in tables, one a line
"""A function as a source: asked once a partition, landed as it came."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from factories import DAY, NEXT_DAY, PIPELINE, Project, outcome, verdict

from data_platform.errors import SourceError, SourceUnavailable
from data_platform.plan.naming import WHOLE

Source = Callable[..., Project]


@pytest.fixture
def source(project: Project) -> Source:
    """Write the function `fetch` of a source `rates`, with more keys of it."""

    def written(code: str, more: str = "", *, daily: bool = True) -> Project:
        folder = project.pipelines / PIPELINE
        folder.mkdir(exist_ok=True)
        (folder / "rates.py").write_text(code)
        body = f"sources:\n  rates:\n    type: python\n    function: rates:fetch\n{more}"
        project.declare(body, daily=daily)
        return project

    return written


def test_a_function_without_partitions_gives_everything(source: Source) -> None:
    project = source("def fetch():\n  return [{'a': 1}, {'a': None, 'b': 'x'}]", daily=False)
    project.land_source("rates")
    assert project.rows("raw/rates") == [{"a": 1, "b": None}, {"a": None, "b": "x"}]


def test_a_function_is_asked_once_a_partition_for_its_own(source: Source) -> None:
    code = (
        "asked = []\ndef fetch(partition):\n  yield {'key': partition.key, 'at': partition.start}"
    )
    project = source(code)
    passage = project.land_source("rates", DAY, NEXT_DAY)
    assert not passage.failed
    assert project.column("raw/rates", "key", NEXT_DAY) == [NEXT_DAY]
    assert project.column("raw/rates", "at", DAY) == [dt.datetime(2024, 1, 1, tzinfo=dt.UTC)]


def test_a_partition_starts_in_the_zone_of_the_partitions(source: Source) -> None:
    zone = "    partitions: {every: day, start: 2024-01-01, timezone: Europe/Berlin}\n"
    code = "def fetch(partition):\n  yield {'start': partition.start.isoformat(), 'end': partition.end.isoformat()}"
    project = source(code, zone)
    project.land_source("rates", "2024-03-31")
    assert project.rows("raw/rates") == [
        {"start": "2024-03-31T00:00:00+01:00", "end": "2024-04-01T00:00:00+02:00"}
    ]


def test_a_range_lands_what_single_runs_land(source: Source, project: Project) -> None:
    code = "def fetch(partition):\n  return [{'a': n, 'day': partition.key} for n in range(3)]"
    source(code)
    ranged = project.land_source("rates", DAY, NEXT_DAY)
    assert ranged.publication is not None
    for key in (DAY, NEXT_DAY):
        single = project.land_source("rates", key).publication
        assert single is not None
        assert single.versions[key].data_version == ranged.publication.versions[key].data_version
        assert not single.changed


def test_columns_of_the_days_of_a_range_are_matched_by_name(source: Source) -> None:
    code = "def fetch(partition):\n  return {'a': 1} if partition.start.day == 1 else {'b': 'x', 'a': 2.5}"
    project = source(code)
    project.land_source("rates", DAY, NEXT_DAY)
    assert project.rows("raw/rates") == [{"a": 1.0, "b": None}, {"a": 2.5, "b": "x"}]


def test_a_column_of_nulls_has_the_type_that_it_is_known_by(source: Source) -> None:
    project = source("def fetch(partition):\n  return {'a': 7}")
    project.land_source("rates", DAY)
    source("def fetch(partition):\n  return {'a': None}")
    passage = project.land_source("rates", NEXT_DAY)
    assert verdict(passage, "new_columns") == "pass"
    assert project.rows("raw/rates") == [{"a": 7}, {"a": None}]


def test_a_column_of_nulls_that_nobody_knows_is_text(source: Source) -> None:
    project = source("def fetch(partition):\n  return {'a': None}")
    project.land_source("rates", DAY)
    snapshot = project.table("raw/rates").snapshot()
    assert snapshot is not None
    assert str(snapshot.schema.field("a").type) == "string"


@pytest.mark.parametrize("code", ["return []", "yield from ()", "return iter(())"])
def test_no_rows_have_the_columns_that_are_known(source: Source, code: str) -> None:
    project = source("def fetch(partition):\n  return {'a': 7}")
    project.land_source("rates", DAY)
    source(f"def fetch(partition):\n  {code}")
    passage = project.land_source("rates", NEXT_DAY)
    assert not passage.failed
    assert passage.rows_in == {NEXT_DAY: 0}


def test_no_rows_have_the_columns_of_the_contract(source: Source) -> None:
    contract = "    columns:\n      a:\n        type: decimal(9,2)\n"
    project = source("def fetch(partition):\n  return []", contract)
    assert project.land_source("rates", DAY).rows_in == {DAY: 0}
    source(
        "import decimal\ndef fetch(partition):\n  return {'a': decimal.Decimal('1234567.25')}",
        contract,
    )
    project.land_source("rates", NEXT_DAY)
    assert len(project.rows("raw/rates")) == 1


def test_no_rows_of_unknown_columns_are_an_error_that_helps(source: Source) -> None:
    project = source("def fetch(partition):\n  return []")
    message = "raw/shop/rates: the function gave no rows, and nothing says which columns there are: return an empty"
    with pytest.raises(SourceError, match=message):
        project.land_source("rates", DAY)


def test_a_day_without_rows_is_empty_beside_others(source: Source) -> None:
    project = source(
        "def fetch(partition):\n  return [{'a': 1}] if partition.start.day == 1 else []"
    )
    passage = project.land_source("rates", DAY, NEXT_DAY)
    assert passage.rows_in == {DAY: 1, NEXT_DAY: 0}


def test_a_day_that_raises_leaves_the_others(source: Source) -> None:
    code = "def fetch(partition):\n  if partition.start.day == 1:\n    raise ValueError('no\\nway')\n  return {'a': 1}"
    project = source(code)
    passage = project.land_source("rates", DAY, NEXT_DAY)
    place = f"{project.pipelines}/shop/rates.py:3"
    assert passage.failed == {DAY: f"rates:fetch raised ValueError: no way at {place}"}
    assert passage.publication is not None
    assert list(passage.publication.versions) == [NEXT_DAY]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("return 7", "rates:fetch returned int: pandas, pyarrow or dicts, or an iterator of these is needed"),
        ("pass", r"rates:fetch returned nothing \(None\)"),
        ("yield {'a': 1}\n  yield 7", "rates:fetch gave int in an iterator"),
        ("yield {'a': 1}\n  raise ValueError('later')", "rates:fetch raised ValueError: later at .*rates.py:3"),
        ("import sys; sys.exit(2)", "rates:fetch raised SystemExit: 2 at "),
        ("import json; json.loads('{')", r"rates:fetch raised JSONDecodeError: .* at .*rates.py:2"),
        ("return {'_file': 1}", "rates:fetch has a column _file, a name that the platform needs"),
    ],
)  # fmt: skip
def test_what_goes_wrong_names_the_function(source: Source, code: str, message: str) -> None:
    project = source(f"def fetch(partition):\n  {code}")
    with pytest.raises(SourceError, match=message):
        project.land_source("rates", DAY)
    assert project.rows("raw/rates") == []


@pytest.mark.parametrize(
    "code",
    [
        "raise ConnectionResetError('gone')",
        "raise TimeoutError('slow')",
        "from data_platform.errors import SourceUnavailable\n  raise SourceUnavailable('later')",
        "class Timeout(OSError): pass\n  raise Timeout('read')",
    ],
)
def test_what_passes_by_itself_may_be_tried_again(source: Source, code: str) -> None:
    project = source(f"def fetch(partition):\n  {code}")
    with pytest.raises(SourceUnavailable):
        project.land_source("rates", DAY)


def test_the_traceback_in_the_log_is_the_persons_own(
    source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    project = source("def deep():\n  return 1 / 0\ndef fetch(partition):\n  return deep()")
    with pytest.raises(SourceError, match=r"rates.py:2$"):
        project.land_source("rates", DAY)
    (record,) = [record for record in caplog.records if record.name.startswith("data_platform")]
    lines = record.getMessage().splitlines()
    assert lines[0] == "ZeroDivisionError: division by zero"
    files = [line for line in lines if "File" in line]
    assert len(files) == 2
    assert all("rates.py" in line for line in files)


def test_many_rows_of_a_generator_land_without_being_held(source: Source) -> None:
    project = source(
        "def fetch():\n  for n in range(70_000):\n    yield {'n': n, 'half': n / 2}", daily=False
    )
    passage = project.land_source("rates")
    assert passage.rows_in == {WHOLE: 70_000}


def test_rules_judge_what_a_function_gave(source: Source) -> None:
    project = source(
        "def fetch(partition):\n  return {'a': -1}",
        "    quality:\n      - range: {column: a, min: 0}\n",
    )
    passage = project.land_source("rates", DAY)
    assert verdict(passage, "range_a") == "fail"
    assert project.rows("raw/rates") == []


def test_a_contract_that_is_not_kept_is_told(source: Source) -> None:
    project = source(
        "def fetch(partition):\n  return {'a': 'x'}", "    columns:\n      a: {type: bigint}\n"
    )
    with pytest.raises(Exception, match="the contract promises a BIGINT; it comes as VARCHAR"):
        project.land_source("rates", DAY)


def test_new_columns_are_told(source: Source) -> None:
    project = source("def fetch(partition):\n  return {'a': 1}")
    project.land_source("rates", DAY)
    source("def fetch(partition):\n  return {'a': 1, 'b': {'c': [1, None]}}")
    passage = project.land_source("rates", DAY)
    assert outcome(passage, "new_columns").findings[DAY].detail == "columns new: b"
    found: list[dict[str, Any]] = project.rows("raw/rates")
    assert found == [{"a": 1, "b": '{"c": [1, null]}'}]
