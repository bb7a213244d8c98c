# ruff: noqa: E501 -- cases stand in tables, one a line
"""Conversions are exact, or a violation: a bad value never becomes a NULL in silence."""

import datetime as dt
import math
from decimal import Decimal

import pytest
from factories import DAY, Project, outcome, verdict

VIOLATION = object()
NAN = object()


CASES: list[tuple[str, str, object]] = [
    # double -> decimal: within 1e-9
    ("12.34::DOUBLE", "decimal(12,2)", Decimal("12.34")),
    ("(0.1 + 0.2)::DOUBLE", "decimal(12,2)", Decimal("0.30")),
    ("12.345::DOUBLE", "decimal(12,2)", VIOLATION),
    ("0.0000001::DOUBLE", "decimal(12,2)", VIOLATION),
    ("1.0000000001::DOUBLE", "decimal(12,2)", Decimal(1)),
    ("1e10::DOUBLE", "decimal(12,2)", VIOLATION),
    ("1.234::DOUBLE", "decimal(38,2)", VIOLATION),
    ("'nan'::DOUBLE", "decimal(12,2)", VIOLATION),
    ("'inf'::DOUBLE", "decimal(12,2)", VIOLATION),
    ("NULL::DOUBLE", "decimal(12,2)", None),
    # a float stands for its shortest decimal
    ("12.34::FLOAT", "decimal(12,2)", Decimal("12.34")),
    ("12.345::FLOAT", "decimal(12,2)", VIOLATION),
    # text -> decimal
    ("'12.34'", "decimal(12,2)", Decimal("12.34")),
    ("' 12.34 '", "decimal(12,2)", Decimal("12.34")),
    ("'12.3400'", "decimal(12,2)", Decimal("12.34")),
    ("'12.345'", "decimal(12,2)", VIOLATION),
    ("'1.2300000000000000001'", "decimal(12,2)", VIOLATION),
    ("'1.234'", "decimal(38,2)", VIOLATION),
    ("'1.5e2'", "decimal(12,2)", Decimal(150)),
    ("'1e-3'", "decimal(12,2)", VIOLATION),
    ("'-0.5'", "decimal(12,2)", Decimal("-0.5")),
    ("'12345678901.00'", "decimal(12,2)", VIOLATION),
    ("'abc'", "decimal(12,2)", VIOLATION),
    ("'١٢'", "decimal(12,2)", VIOLATION),
    ("''", "decimal(12,2)", VIOLATION),
    ("'1,5'", "decimal(12,2)", VIOLATION),
    ("'nan'", "decimal(12,2)", VIOLATION),
    # between decimals
    ("1.25::DECIMAL(9,4)", "decimal(12,2)", Decimal("1.25")),
    ("1.255::DECIMAL(9,4)", "decimal(12,2)", VIOLATION),
    ("1.001::DECIMAL(38,10)", "decimal(38,2)", VIOLATION),
    # whole numbers
    ("2147483647::BIGINT", "integer", 2147483647),
    ("2147483648::BIGINT", "integer", VIOLATION),
    ("255", "utinyint", 255),
    ("256", "utinyint", VIOLATION),
    ("-1", "utinyint", VIOLATION),
    ("65535", "usmallint", 65535),
    ("65536", "usmallint", VIOLATION),
    ("1.0::DOUBLE", "bigint", 1),
    ("1.5::DOUBLE", "bigint", VIOLATION),
    ("1e19::DOUBLE", "bigint", VIOLATION),
    ("'nan'::DOUBLE", "bigint", VIOLATION),
    ("'12'", "bigint", 12),
    ("'1.5'", "bigint", VIOLATION),
    ("'1.0'", "bigint", 1),
    ("'100000000000000000000000000000.5'", "hugeint", VIOLATION),
    ("1.5::DECIMAL(4,1)", "bigint", VIOLATION),
    ("true", "bigint", 1),
    ("DATE '2024-01-01'", "bigint", VIOLATION),
    # doubles
    ("9007199254740992::BIGINT", "double", 2.0**53),
    ("9007199254740993::BIGINT", "double", VIOLATION),
    ("9223372036854775807::BIGINT", "double", VIOLATION),
    ("0.1::DECIMAL(3,1)", "double", 0.1),
    ("123456789012345678.12::DECIMAL(20,2)", "double", VIOLATION),
    ("'0.1'", "double", 0.1),
    ("'12345678.123456788'", "double", 12345678.123456788),
    ("'9007199254740993'", "double", VIOLATION),
    ("'1e300'", "double", 1e300),
    ("'Infinity'", "double", float("inf")),
    ("'nan'::DOUBLE", "double", NAN),
    ("0.1::FLOAT", "double", 0.10000000149011612),
    ("0.1::DOUBLE", "real", VIOLATION),
    ("0.5::DOUBLE", "real", 0.5),
    ("'abc'", "numeric", VIOLATION),
    # booleans
    ("'true'", "boolean", True),
    ("'no'", "boolean", False),
    ("'maybe'", "boolean", VIOLATION),
    ("1", "boolean", True),
    ("2", "boolean", VIOLATION),
    ("0.5::DOUBLE", "boolean", VIOLATION),
    # times
    ("TIMESTAMP '2024-01-01 00:00:00'", "date", dt.date(2024, 1, 1)),
    ("TIMESTAMP '2024-01-01 10:00:00'", "date", VIOLATION),
    ("'2024-01-01'", "date", dt.date(2024, 1, 1)),
    ("'2024-01-01 10:00:00'", "date", VIOLATION),
    ("'2024-02-30'", "date", VIOLATION),
    ("DATE '2024-01-01'", "timestamp", dt.datetime(2024, 1, 1)),  # noqa: DTZ001
    ("'2024-01-01T10:00:00.123456'", "datetime", dt.datetime(2024, 1, 1, 10, 0, 0, 123456)),  # noqa: DTZ001
    ("'2024-01-01T10:00:00.1234567'", "datetime", VIOLATION),
    ("'2024-01-01T10:00:00+02:00'", "timestamp", dt.datetime(2024, 1, 1, 8)),  # noqa: DTZ001
    ("1704067200::BIGINT", "timestamp", VIOLATION),
    ("'yesterday'", "timestamp", VIOLATION),
    # text
    ("'größe 😀'", "varchar", "größe 😀"),
    ("12.50::DECIMAL(4,2)", "string", "12.50"),
    ("uuid '0B0E9A1E-0000-4000-8000-000000000001'", "varchar", "0b0e9a1e-0000-4000-8000-000000000001"),
    ("'0b0e9a1e-0000-4000-8000-000000000001'", "uuid", "0b0e9a1e-0000-4000-8000-000000000001"),
    ("'no-uuid'", "uuid", VIOLATION),
    ("'25:00'", "time", VIOLATION),
    ("['1', '2']", "bigint[]", [1, 2]),
    ("['1', 'x']", "bigint[]", VIOLATION),
    # formats
    (
        "'31.12.2024'",
        "{type: date, format: '%d.%m.%Y'}",
        dt.date(2024, 12, 31),
    ),
    ("'12/31/2024'", "{type: date, format: '%d.%m.%Y'}", VIOLATION),
    ("'31.12.2024 10:30'", "{type: date, format: '%d.%m.%Y %H:%M'}", VIOLATION),
    (
        "'31.12.2024 10:30'",
        "{type: timestamp, format: '%d.%m.%Y %H:%M'}",
        dt.datetime(2024, 12, 31, 10, 30),  # noqa: DTZ001
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], set[str]]:
    """The values of all cases as columns of one row, and the columns that are violations."""
    project = Project(tmp_path_factory.mktemp("conversions"))
    values = ", ".join(f"{value} AS v{number}" for number, (value, _, _) in enumerate(CASES))
    project.land("raw/orders", f"SELECT {values}")
    steps = "".join(f"          v{number}: {how}\n" for number, (_, how, _) in enumerate(CASES))
    asset = "    from: raw.orders\n    transformations:\n      - convert_types:\n" + steps
    project.declare(
        f"staging:\n  lax:\n    on_violation: warn\n{asset}"
        f"  strict:\n    on_violation: quarantine\n{asset}"
    )
    project.compute("staging/lax")
    project.compute("staging/strict")
    held = project.rows("quarantine/strict")[0]
    reasons = held["_reasons"]
    assert isinstance(reasons, list)
    return project.rows("staging/lax")[0], {reason.partition(": ")[2] for reason in reasons}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        pytest.param(number, expected, id=f"{value} to {how}")
        for number, (value, how, expected) in enumerate(CASES)
    ],
)
def test_a_value_converts_exactly_or_is_a_violation(
    converted: tuple[dict[str, object], set[str]], number: int, expected: object
) -> None:
    values, violations = converted
    found = VIOLATION if f"v{number}" in violations else values[f"v{number}"]
    if expected is NAN:
        assert isinstance(found, float)
        assert math.isnan(found)
    else:
        assert found == expected


@pytest.mark.parametrize("bad", ["'abc'", "'1.5'", "1.5::DOUBLE"])
def test_set_null_makes_a_value_that_does_not_convert_exactly_null(
    project: Project, bad: str
) -> None:
    project.land("raw/orders", f"SELECT {bad} AS v, 1 AS id")
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    transformations:\n"
        "      - convert_types:\n          v: {type: bigint, on_error: set_null}\n"
    )
    assert not project.compute("staging/orders").failed
    assert project.rows("staging/orders") == [{"v": None, "id": 1}]


def test_on_error_fail_fails_the_partition(project: Project) -> None:
    project.land("raw/orders", "SELECT 'abc' AS v")
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    on_violation: quarantine\n"
        "    transformations:\n      - convert_types:\n          v: {type: bigint, on_error: fail}\n"
    )
    passage = project.compute("staging/orders")
    assert "types_strict: 1 of 1 rows" in passage.failed[""]
    assert project.rows("staging/orders") == []


def test_a_bad_value_fails_the_partition_by_default(project: Project) -> None:
    project.land("raw/orders", "SELECT 'abc' AS v")
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n"
        "    transformations:\n      - convert_types: {v: bigint}\n"
    )
    passage = project.compute("staging/orders")
    assert "types: 1 of 1 rows" in passage.failed[""]


def test_warn_lets_the_row_through_with_a_warning(project: Project) -> None:
    project.land("raw/orders", "SELECT 'abc' AS v")
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    on_violation: warn\n"
        "    transformations:\n      - convert_types: {v: bigint}\n"
    )
    passage = project.compute("staging/orders")
    assert verdict(passage, "types") == "warn"
    assert project.column("staging/orders", "v") == [None]


def test_the_contract_converts_what_is_not_known_at_load(project: Project) -> None:
    project.land("raw/orders", "SELECT * FROM (VALUES ('1'), ('x')) t(v)")
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    on_violation: quarantine\n"
        "    columns: {v: {type: bigint}}\n"
    )
    passage = project.compute("staging/orders")
    assert project.column("staging/orders", "v") == [1]
    assert passage.quarantined == {"": 1}


def test_the_contracts_type_holds_after_another_conversion(project: Project) -> None:
    project.land("raw/orders", "SELECT * FROM (VALUES ('1.50'), ('1.505'), ('x')) t(v)")
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    on_violation: quarantine\n"
        "    transformations:\n      - convert_types: {v: double}\n"
        "    columns: {v: {type: 'decimal(9,2)'}}\n"
    )
    passage = project.compute("staging/orders")
    assert project.column("staging/orders", "v") == [Decimal("1.50")]
    assert passage.quarantined == {"": 2}


@pytest.mark.parametrize(
    ("step", "others"),
    [
        ("filter_rows: v > 0", ""),
        ("filter_rows: v * 2 > 0", ""),
        ("deduplicate: {by: [v], order_by: [id]}", ""),
        ("deduplicate: {by: [id], order_by: [v]}", ""),
        ("join: {with: raw.shops, on: [v], how: inner, columns: [region]}", "shops"),
        ("join: {with: raw.shops, on: [v], how: semi}", "shops"),
    ],
)
@pytest.mark.parametrize("effect", ["quarantine", "warn"])
def test_a_step_does_not_swallow_rows_whose_value_did_not_convert(
    project: Project, step: str, others: str, effect: str
) -> None:
    project.land("raw/orders", "SELECT * FROM (VALUES ('1', 1), ('x', 2), ('y', 2)) t(v, id)")
    project.land("raw/shops", "SELECT 1::BIGINT AS v, 'North' AS region")
    shops = (
        "  shops: {type: file, path: s.parquet, partitions: none, columns: {v: {unique: true}}}\n"
    )
    project.declare(
        "sources:\n  orders: {type: file, path: orders.parquet, partitions: none}\n"
        f"{shops if others else ''}staging:\n  orders:\n    from: raw.orders\n"
        f"    on_violation: {effect}\n    transformations:\n"
        f"      - convert_types: {{v: bigint}}\n      - {step}\n"
    )
    passage = project.compute("staging/orders")
    assert not passage.failed
    assert outcome(passage, "types").offending == 2
    assert len(project.rows("staging/orders")) == (1 if effect == "quarantine" else 3)


def test_a_filter_that_is_surely_false_leaves_a_bad_row_out(project: Project) -> None:
    project.land("raw/orders", "SELECT 'x' AS v, 'test' AS kind")
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    on_violation: quarantine\n"
        "    transformations:\n      - convert_types: {v: bigint}\n"
        "      - filter_rows: kind <> 'test' and v > 0\n"
    )
    passage = project.compute("staging/orders")
    assert passage.quarantined == {}


def test_an_aggregate_over_a_bad_value_is_a_violation(project: Project) -> None:
    project.land("raw/orders", "SELECT * FROM (VALUES ('1', 1), ('x', 1), ('3', 2)) t(v, id)")
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    transformations:\n"
        "      - convert_types: {v: bigint}\n"
        "      - aggregate: {group_by: [id], columns: {s: sum(v)}}\n"
    )
    assert "types: 1 of 2 rows" in project.compute("staging/orders").failed[""]


@pytest.mark.parametrize(
    "after", ["drop_columns: [v]", "rename_columns: {v: w}", "select_columns: [id]"]
)
def test_a_violation_is_told_even_if_its_column_is_gone(project: Project, after: str) -> None:
    project.land("raw/orders", "SELECT 'x' AS v, 1 AS id")
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    transformations:\n"
        f"      - convert_types: {{v: bigint}}\n      - {after}\n"
    )
    assert "types: 1 of 1 rows" in project.compute("staging/orders").failed[""]


def test_nanoseconds_are_kept_where_nothing_is_lost(project: Project) -> None:
    project.land("raw/orders", "SELECT '2024-01-01 10:00:00.123456000'::TIMESTAMP_NS AS t")
    found = project.column("raw/orders", "t")
    assert found == [dt.datetime(2024, 1, 1, 10, 0, 0, 123456)]  # noqa: DTZ001


def test_nanoseconds_that_would_be_lost_are_an_error(project: Project) -> None:
    with pytest.raises(Exception, match="column t has nanoseconds"):
        project.land("raw/orders", "SELECT '2024-01-01 10:00:00.123456789'::TIMESTAMP_NS AS t")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("money", "'money' is no type; such as bigint"),
        ("int); drop table x", "no type of SQL"),
        ("decimal(50,2)", "is no type"),
        ("{type: bigint, format: '%Y'}", "a format belongs to a date or timestamp"),
        ("struct(a int)", "no type of SQL"),
    ],
)
def test_a_type_that_there_is_not_is_refused_at_its_place(
    project: Project, how: str, message: str
) -> None:
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    transformations:\n"
        f"      - convert_types:\n          v: {how}\n"
    )
    problems = project.problems()
    assert len(problems) == 1
    assert problems[0].startswith("shop/pipeline.yaml:11:")
    assert message in problems[0]


def test_days_of_the_same_range_do_not_mix(project: Project) -> None:
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    on_violation: quarantine\n"
        "    transformations:\n      - convert_types: {v: bigint}\n",
        daily=True,
    )
    project.land_all("raw/orders", {DAY: "SELECT '1' AS v", "2024-01-02": "SELECT 'x' AS v"})
    passage = project.compute("staging/orders", DAY, "2024-01-02")
    assert passage.quarantined == {"2024-01-02": 1}
