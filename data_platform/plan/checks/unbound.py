"""What DuckDB refuses of the conditions and aggregates of checks, asked before anything runs.

Called by `plan.staging.compiling` and `plan.checks.own_checks`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from data_platform.errors import Problem
from data_platform.plan.checks.kinds import Check, ReconcileCheck, RowCheck
from data_platform.plan.checks.sql_checks import declare, misfit
from data_platform.plan.checks.value_kinds import SqlCheck
from data_platform.plan.columns import BindingError, Catalog, catalog
from data_platform.plan.schemas import Schema
from data_platform.plan.sql.expressions import quoted


def unbound(
    checks: Iterable[Check],
    schema: Schema,
    others: Mapping[str, Schema],
    hidden: Mapping[str, str],
) -> list[Problem]:
    """What DuckDB refuses of the conditions and aggregates of checks.

    Args:
        checks: of one asset.
        schema: of the asset; nothing is found where it isn't known to the end.
        others: the columns of the relations that checks read besides; open ones are left out.
        hidden: the platform's own columns, which are there too.
    """
    checks = list(checks)
    if not _is_known(schema):
        return []
    problems: list[Problem] = []
    known = {relation: other for relation, other in others.items() if _is_known(other)}
    with catalog() as relations:
        relations.declare("_candidate", schema, hidden)
        for relation, other in known.items():
            relations.declare(relation, other, hidden)
        asked = [
            (check, f"SELECT {selected} FROM {quoted(relation)}")
            for check in checks
            for selected, relation in _read_by(check, others.keys() - known.keys())
        ]
        problems += _unfit_sql(relations, checks, schema, others)
        if _binds(relations, [sql for _, sql in asked]):
            return problems
        for check, sql in asked:
            try:
                relations.describe(sql, names=schema.names)
            except BindingError as error:
                problems.append(Problem(check.location, error.message))
    return problems


def _unfit_sql(
    relations: Catalog, checks: Iterable[Check], schema: Schema, others: Mapping[str, Schema]
) -> list[Problem]:
    """What is wrong with rules in SQL whose assets are all known."""
    asked = [check for check in checks if isinstance(check, SqlCheck)]
    if asked:
        declare(relations, schema, others)
    return [
        Problem(check.location, message)
        for check in asked
        if all(relation in others and _is_known(others[relation]) for relation in check.reads)
        and (message := misfit(check, relations))
    ]


def _binds(relations: Catalog, statements: Sequence[str]) -> bool:
    """Whether DuckDB takes all of them, asked at once: that is nearly always so, and quick."""
    counts = [f"SELECT count(*) FROM ({sql})" for sql in statements]
    try:
        if counts:
            relations.describe(" UNION ALL ".join(counts))
    except BindingError:
        return False
    return True


def _is_known(schema: Schema) -> bool:
    return schema.closed and all(column.type for column in schema.columns)


def _read_by(check: Check, unknown: Collection[str]) -> list[tuple[str, str]]:
    """What a check selects, and from where."""
    match check:
        case RowCheck():
            hidden = any(quoted(relation) in check.offends for relation in unknown)
            return [] if hidden else [(f"*, {check.offends}", "_candidate")]
        case ReconcileCheck():
            other = [(check.other_expression, check.other_relation)]
            own = [(check.expression, "_candidate")]
            return own if check.other_relation in unknown else own + other
        case _:
            return []
