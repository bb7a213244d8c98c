"""Relations made of others: the columns of `*`, those that a pattern chooses, unions.

Called by `plan.lineage.queries`.
"""

import re
from collections.abc import Iterable, Mapping

from sqlglot import exp

from data_platform.plan.lineage.expressions import Table
from data_platform.plan.lineage.relations import (
    NOTHING,
    Made,
    Relation,
    Rest,
    names_of,
    union_of,
)


def star_of(tables: Iterable[Table], merged: Mapping[str, Made] | None = None) -> Relation:
    """All columns of tables, those of USING once."""
    columns: list[tuple[str, Made]] = []
    rest: list[Rest] = []
    mixed: list[Made] = []
    for table in tables:
        columns += [
            (name, (merged or {}).get(name.lower(), made))
            for name, made in table.relation.columns
            if name.lower() not in table.merged
        ]
        told = frozenset(names_of(table.relation.columns)) | table.merged
        rest += [Rest(each.asset, each.without | told) for each in table.relation.rest]
        mixed.append(table.relation.mixed)
    return Relation(tuple(columns), tuple(rest), union_of(mixed))


def chosen(columns: exp.Columns, relation: Relation) -> Relation:
    """COLUMNS('pattern'), and COLUMNS(lambda c: LOWER(c) NOT IN (...)) of the platform's own."""
    match columns.this:
        case exp.Literal() as pattern:
            kept = [(name, made) for name, made in relation.columns if _matches(pattern, name)]
            return Relation(tuple(kept), relation.rest, relation.mixed)
        case exp.Lambda(this=exp.Not(this=exp.In(this=exp.Lower()) as listed)):
            gone = {item.name for item in listed.expressions}
            kept = [(name, made) for name, made in relation.columns if name.lower() not in gone]
            rest = tuple(Rest(each.asset, each.without | gone) for each in relation.rest)
            return Relation(tuple(kept), rest, relation.mixed)
        case _:
            return relation


def _matches(pattern: exp.Literal, name: str) -> bool:
    try:
        return re.search(pattern.name, name) is not None
    except re.error:
        return True


def by_place(left: Relation, right: Relation) -> Relation:
    """UNION: the first side's names, each column made of both sides' in its place."""
    known = left.closed and right.closed
    if not known or len(left.columns) != len(right.columns):
        # In which place a column stands isn't known.
        columns = tuple((name, made | right.whole) for name, made in left.columns)
        mixed = NOTHING if left.closed else left.mixed | right.whole
        return Relation(columns, left.rest, mixed)
    pairs = zip(left.columns, right.columns, strict=True)
    return Relation(tuple((name, made | other) for (name, made), (_, other) in pairs))


def by_name(left: Relation, right: Relation) -> Relation:
    """UNION BY NAME: a column is made of those of its name."""
    names: dict[str, str] = {}
    for name, _ in (*left.columns, *right.columns):
        names.setdefault(name.lower(), name)
    columns = tuple((names[lower], _or_nothing(left, right, lower)) for lower in names)
    rest = tuple(
        Rest(each.asset, each.without | frozenset(names)) for each in (*left.rest, *right.rest)
    )
    return Relation(columns, rest, left.mixed | right.mixed)


def _or_nothing(left: Relation, right: Relation, name: str) -> Made:
    return (left[name] or NOTHING) | (right[name] or NOTHING)
