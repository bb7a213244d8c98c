"""Rules in Python: a person's function gets what would be published, and says what it thinks.

Called by `quality.audit`, once a partition, which is in memory as a whole meanwhile. Several
results of one function are one check in Dagster; what failed is named in it.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, cast

import numpy as np

from data_platform.engine.calls import as_input, call, translated
from data_platform.engine.session import Session
from data_platform.errors import UNSAID, FunctionError, PlatformError
from data_platform.plan.checks.kinds import PythonCheck
from data_platform.plan.naming import FILE, HIDDEN_TYPES, PARTITION, ROW
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.quality.outcomes import Finding, Outcome
from data_platform.quality.results import Result

ALLOWED = "true or false, {name: true, false or {passed, rows, offending, detail}}, or Results"
MOST_TOLD = 5
"""Results that didn't pass, of those that a message names."""
_KEYS = frozenset(field.name for field in fields(Result))


def judge(session: Session, check: PythonCheck, good: str, rows: Mapping[str, int]) -> Outcome:
    """What a function says of each partition.

    Args:
        session: in which the rows are.
        check: the rule.
        good: the rows that would be published, as a relation in parentheses.
        rows: by partition, how many there are.
    """
    findings = {
        key: _found(session, check, good, key, count) if count else Finding(0, 0, check.on_empty)
        for key, count in rows.items()
    }
    return Outcome(check, findings)


def results_of(given: object, name: str) -> list[Result]:
    """What a function returned, as results.

    Args:
        given: by the function.
        name: of a result that has none of its own.

    Raises:
        FunctionError: it is no result, or there is none.
    """
    match given:
        case Result():
            found = [given]
        case bool() | np.bool_():
            found = [Result(name, bool(given))]
        case Mapping():
            found = _from_mapping(cast("Mapping[Any, Any]", given), name)
        case str() | bytes() | None:
            raise _unusable(given)
        case Iterable():
            items = cast("Iterable[object]", given)
            found = [one for item in items for one in results_of(item, name)]
        case _:
            raise _unusable(given)
    if not found:
        raise FunctionError("returned no result at all: a rule that looks at nothing can't pass")
    return found


def _found(session: Session, check: PythonCheck, good: str, key: str, count: int) -> Finding:
    function = check.function.given(session.parameters)
    columns = session.columns(f"SELECT * FROM {good}")
    own = [name for name in columns if name not in HIDDEN_TYPES and not _is_flag(name)]
    order = ", ".join(quoted(name) for name in (FILE, ROW) if name in columns)
    rows = session.connection.sql(
        f"SELECT {', '.join(map(quoted, own))} FROM {good} WHERE {PARTITION} = {literal(key)}"
        f"{f' ORDER BY {order}' if order else ''}"
    ).to_arrow_table()
    try:
        given = call(function, key, as_input(rows, "arrow" if function.takes_arrow else "pandas"))
        with translated(function):
            results = results_of(given, function.written.rpartition(":")[2])
    except PlatformError as error:
        return Finding(count, 0, check.effect, str(error))
    broken = [result for result in results if not result.passed]
    offending = sum(result.offending or 0 for result in broken)
    words = _words(broken, results, discreet=function.discreet)
    return Finding(count, offending, check.effect if broken else "pass", words)


def _from_mapping(given: Mapping[Any, Any], name: str) -> list[Result]:
    if "passed" in given:
        return [_from_fields(given, name)]
    found: list[Result] = []
    for key, value in given.items():
        if isinstance(value, Mapping):
            found.append(_from_fields(cast("Mapping[Any, Any]", value), str(key)))
        else:
            found += results_of(value, str(key))
    return found


def _from_fields(given: Mapping[Any, Any], name: str) -> Result:
    unknown = [str(key) for key in given if key not in _KEYS]
    passed = given.get("passed")
    if unknown or not isinstance(passed, bool | np.bool_):
        about = f"has {unknown[0]!r}" if unknown else "doesn't say `passed: true` or `false`"
        raise FunctionError(f"returned a result {name!r} that {about}; it takes {_listed()}")
    counts = {key: given.get(key) for key in ("rows", "offending")}
    wrong = [key for key, count in counts.items() if not isinstance(count, int | np.integer | None)]
    if wrong:
        raise FunctionError(f"returned a result {name!r} whose {wrong[0]} is no whole number")
    numbers = {key: None if count is None else int(count) for key, count in counts.items()}
    detail = given.get("detail")
    text = None if detail is None else str(detail)
    return Result(str(given.get("name", name)), bool(passed), **numbers, detail=text)


def _words(broken: list[Result], results: list[Result], *, discreet: bool) -> str | None:
    """What failed, by the function's own words where they can't name a person."""
    if not broken:
        return None
    if discreet:
        return f"{len(broken)} of {len(results)} failed: {UNSAID}"
    told = [_about(result) for result in broken[:MOST_TOLD]]
    more = f" and {len(broken) - MOST_TOLD} more" if len(broken) > MOST_TOLD else ""
    return f"{len(broken)} of {len(results)} failed: {'; '.join(told)}{more}"


def _about(result: Result) -> str:
    if result.detail:
        return f"{result.name}: {result.detail}"
    if result.offending is None:
        return result.name
    of = f" of {result.rows:,}" if result.rows is not None else ""
    return f"{result.name}: {result.offending:,}{of} rows"


def _is_flag(name: str) -> bool:
    return name.startswith(("_breaks_", "_converts_"))


def _listed() -> str:
    return ", ".join(field.name for field in fields(Result))


def _unusable(given: object) -> FunctionError:
    return FunctionError(f"returned {type(given).__name__}: {ALLOWED} is needed")
