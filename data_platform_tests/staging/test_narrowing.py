"""Numbers at the edges of integer types: exact, or a violation, never off by one."""

from collections.abc import Mapping

import pytest
from factories import Project

BOUNDS: Mapping[str, tuple[int, int]] = {
    "tinyint": (-(2**7), 2**7 - 1),
    "utinyint": (0, 2**8 - 1),
    "smallint": (-(2**15), 2**15 - 1),
    "usmallint": (0, 2**16 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "uinteger": (0, 2**32 - 1),
    "bigint": (-(2**63), 2**63 - 1),
    "ubigint": (0, 2**64 - 1),
}
SOURCES: Mapping[str, str] = {
    "text": "'{}'",
    "text with a point": "'{}.0'",
    "decimal": "{}::DECIMAL(38,0)",
    "decimal with a scale": "{}.00::DECIMAL(38,2)",
    "wider": "{}::HUGEINT",
    "double": "{}::DOUBLE",
}
CASES = [
    (kind, source, number)
    for kind, (low, high) in BOUNDS.items()
    for source in SOURCES
    for number in (low - 1, low, high, high + 1)
    # A double of more than 53 bits is another number already.
    if source != "double" or int(float(number)) == number
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], set[str]]:
    """The values of all cases as columns of one row, and the columns that are violations."""
    project = Project(tmp_path_factory.mktemp("narrowing"))
    values = ", ".join(
        f"{SOURCES[source].format(number)} AS v{n}" for n, (_, source, number) in enumerate(CASES)
    )
    project.land("raw/orders", f"SELECT {values}")
    steps = "".join(f"          v{n}: {kind}\n" for n, (kind, _, _) in enumerate(CASES))
    asset = "    from: raw.orders\n    transformations:\n      - convert_types:\n" + steps
    project.declare(
        f"staging:\n  lax:\n    on_violation: warn\n{asset}"
        f"  strict:\n    on_violation: quarantine\n{asset}"
    )
    project.compute("staging/lax")
    project.compute("staging/strict")
    reasons = project.rows("quarantine/strict")[0]["_reasons"]
    assert isinstance(reasons, list)
    return project.rows("staging/lax")[0], {reason.partition(": ")[2] for reason in reasons}


def test_a_number_fits_exactly_or_is_a_violation(
    found: tuple[dict[str, object], set[str]],
) -> None:
    values, violations = found
    wrong = [
        (kind, source, number, values[f"v{n}"])
        for n, (kind, source, number) in enumerate(CASES)
        if (
            (f"v{n}" in violations or values[f"v{n}"] != number)
            if BOUNDS[kind][0] <= number <= BOUNDS[kind][1]
            else f"v{n}" not in violations
        )
    ]
    assert wrong == []


def test_nothing_is_narrowed_by_itself(project: Project) -> None:
    project.land("raw/orders", "SELECT 1::BIGINT AS n, 0.5::DOUBLE AS d, 1::SMALLINT AS s")
    project.declare("staging:\n  orders:\n    from: raw.orders\n")
    assert not project.compute("staging/orders").failed
    snapshot = project.table("staging/orders").snapshot()
    assert snapshot is not None
    assert [str(field.type) for field in snapshot.schema] == ["int64", "double", "int16"]
