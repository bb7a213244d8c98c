"""Whether what came of a test is what it expects, and how it differs.

Called by `unit_tests.running` with what the asset's own stage did.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow comes without types.

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from data_platform.errors import ConfigurationError, Problem
from data_platform.plan.checks.kinds import ConservationCheck
from data_platform.plan.naming import WHOLE
from data_platform.quality.gate import Passage
from data_platform.quality.outcomes import Outcome
from data_platform.spec.wording import hint
from data_platform.unit_tests.comparing import Cells, TableDifference, differences
from data_platform.unit_tests.database import connected
from data_platform.unit_tests.lake import TestLake
from data_platform.unit_tests.planning import REASONS, WRITTEN_REASONS, PlannedTest
from data_platform.unit_tests.rows import Table
from data_platform.unit_tests.tables import told_types, typed

MAX_REASONS = 3


@dataclass(frozen=True)
class Judgement:
    """What is wrong; nothing where a test passes.

    Attributes:
        messages: in words.
        tables: rows that differ.
        notes: where rows went, as far as the step counts them.
    """

    messages: tuple[str, ...] = ()
    tables: tuple[TableDifference, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all is as expected."""
        return not self.messages and not self.tables


def judge_error(test: PlannedTest, text: str) -> Judgement:
    """Judge a step that failed before anything could be judged."""
    wanted = test.spec.expect.error
    if wanted is None:
        return Judgement((text,))
    if wanted in text:
        return Judgement()
    return Judgement((f"it fails with another message than {wanted!r}: {text}",))


def judge(test: PlannedTest, passage: Passage, lake: TestLake) -> Judgement:
    """Judge what a step did."""
    expect = test.spec.expect
    if expect.error is not None:
        if not passage.failed:
            return Judgement((f"it should fail with {expect.error!r}, and nothing failed",))
        return judge_error(test, "; ".join(_reasons(passage.failed)))
    messages = list(_judge_checks(expect.checks, passage))
    rows = _published(lake, test)
    found = rows.num_rows if rows is not None else 0
    if expect.count is not None and found != expect.count:
        messages.append(f"{_rows(expect.count)} expected, {_rows(found)} published")
    tables: list[TableDifference] = []
    for about, table, there in (
        ("rows", test.rows, rows),
        ("quarantined", _with_own_names(test.quarantined), _held(lake, test)),
    ):
        if table is None:
            continue
        try:
            difference = _compared(test, about, table, there)
        except ConfigurationError as error:
            messages += [f"{about}: {problem.message}" for problem in error.problems]
            continue
        if difference is not None:
            tables.append(difference)
    notes = tuple(_where_rows_went(passage)) if messages or tables else ()
    return Judgement(tuple(messages), tuple(tables), notes)


def _where_rows_went(passage: Passage) -> Iterator[str]:
    """What the count of rows says: which steps left some out."""
    for outcome in passage.outcomes:
        if isinstance(outcome.check, ConservationCheck):
            for key, finding in list(outcome.findings.items())[:MAX_REASONS]:
                yield finding.detail or "" if key == WHOLE else f"{key}: {finding.detail}"


def _judge_checks(expected: Mapping[str, str], passage: Passage) -> Iterator[str]:
    outcomes = {outcome.check.name: outcome for outcome in passage.outcomes}
    for name, verdict in expected.items():
        outcome = outcomes.get(name)
        if outcome is None:
            yield f"check {name} should be {verdict!r}, and was never judged"
        elif outcome.verdict != verdict:
            yield f"check {name} should be {verdict!r} and is {outcome.verdict!r}{_about(outcome)}"
    for name, outcome in outcomes.items():
        if name not in expected and outcome.verdict == "fail":
            yield f"check {name} fails{_about(outcome)}"
    told = {
        key
        for outcome in outcomes.values()
        for key, finding in outcome.findings.items()
        if finding.verdict == "fail"
    }
    yield from _reasons({key: why for key, why in passage.failed.items() if key not in told})


def _about(outcome: Outcome) -> str:
    worst = outcome.worst(1)
    if not worst:
        return ""
    key, finding = worst[0]
    counts = f"{finding.offending:,} of {_rows(finding.rows)}"
    where = f" of {key}" if key != WHOLE else ""
    return f": {finding.detail or counts}{where}"


def _reasons(failed: Mapping[str, str]) -> list[str]:
    told = [why if key == WHOLE else f"{key}: {why}" for key, why in failed.items()]
    more = len(told) - MAX_REASONS
    return [*told[:MAX_REASONS], *([f"and {more} more partitions"] if more > 0 else [])]


def _published(lake: TestLake, test: PlannedTest) -> pa.Table | None:
    table = lake.published.get(test.node.key)
    return table.rows if table else None


def _held(lake: TestLake, test: PlannedTest) -> pa.Table | None:
    table = lake.published.get(test.node.quarantine_key)
    return table.rows if table else None


def _with_own_names(table: Table | None) -> Table | None:
    """`reasons` as quarantine names them; their order doesn't count."""
    if table is None:
        return None
    names = {WRITTEN_REASONS: REASONS} if REASONS not in table.columns else {}
    return replace(
        table,
        columns=tuple(names.get(name, name) for name in table.columns),
        rows=tuple(
            {names.get(name, name): value for name, value in row.items()} for row in table.rows
        ),
    )


def _compared(
    test: PlannedTest, about: str, table: Table, there: pa.Table | None
) -> TableDifference | None:
    """Expected rows against those that are there, by the columns that are named.

    Raises:
        ConfigurationError: values that no row can have, since the columns are of other types.
    """
    expect = test.spec.expect
    types = told_types(table)
    if there is not None:
        known = _types_of(there)
        unknown = [name for name in table.columns if name not in known]
        if unknown:
            near = hint(unknown[0], known) or f"; there are {', '.join(known)}"
            raise _refused(test, f"there is no column {unknown[0]!r}{near}")
        types = {name: known[name] for name in table.columns}
    wanted = _cells(typed(table, types), table.columns)
    found = _cells(there, table.columns) if there is not None else []
    wrong = differences(
        wanted,
        found,
        ordered=expect.ordered and about == "rows",
        tolerance=expect.tolerance,
    )
    if not wrong:
        return None
    return TableDifference(about, table.columns, tuple(wrong), len(wanted), len(found))


def _types_of(rows: pa.Table) -> dict[str, str]:
    with connected() as cursor:
        cursor.register("_there", rows)
        found = cursor.execute("DESCRIBE SELECT * FROM _there").fetchall()
    return {str(name): str(kind) for name, kind, *_ in found}


def _cells(rows: pa.Table, columns: tuple[str, ...]) -> list[Cells]:
    if not columns:
        return [()] * rows.num_rows
    values = [
        [sorted(v) if name == REASONS and v else v for v in rows.column(name).to_pylist()]
        for name in columns
    ]
    return list(zip(*values, strict=True))


def _refused(test: PlannedTest, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(test.location, message)])


def _rows(count: int) -> str:
    return f"{count:,} row{'s'[: count != 1]}"
