"""What an expression is made of: its columns, resolved in the query in which it stands.

Called by `plan.lineage.queries`. Resolution follows DuckDB: the query's own tables, then aliases of
its select list, then the queries around it. Statements were bound before, so a name that is known
means one column; where tables are open, a name may mean several, and then it is all of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlglot import exp

from data_platform.plan.lineage.relations import NOTHING, Made, Origin, Relation, union_of
from data_platform.plan.sql.allowed_functions import AGGREGATES
from data_platform.plan.sql.masks import FUNCTIONS

_CLEARING = frozenset({*FUNCTIONS.values(), "approx_count_distinct", "count_star", "regr_count"})
"""Functions that sqlglot knows no class for, and whose result tells no value."""


@dataclass(frozen=True)
class Table:
    """A table in a FROM clause.

    Attributes:
        name: under which its columns are named, in lower case.
        relation: its columns.
        merged: names in lower case that USING took together with those of a table before it.
    """

    name: str
    relation: Relation
    merged: frozenset[str] = frozenset()


@dataclass
class Scope:
    """What names mean in one SELECT.

    Attributes:
        outer: the query around it, whose columns may be named too.
        tables: of its FROM clause, so far.
        merged: columns that USING made one, by name in lower case.
        aliases: of its select list, so far, in lower case.
        windows: by name in lower case.
    """

    outer: "Scope | None" = None
    tables: list[Table] = field(default_factory=list[Table])
    merged: dict[str, Made] = field(default_factory=dict[str, Made])
    aliases: dict[str, Made] = field(default_factory=dict[str, Made])
    windows: dict[str, exp.Window] = field(default_factory=dict[str, exp.Window])

    def table(self, name: str) -> Table | None:
        """A table by its name, here or around."""
        found = next((table for table in self.tables if table.name == name.lower()), None)
        return found or (self.outer.table(name) if self.outer else None)

    def resolve(self, column: exp.Column) -> Made:
        """What a column that is named here is made of; `a.b` may be a field of column `a`."""
        parts = [part.name for part in column.parts]
        for number, part in enumerate(parts[:-1]):
            if table := self.table(part):
                found = table.relation[parts[number + 1]]
                if found is not None:
                    return found
        return self._by_name(parts[0]) or NOTHING

    def _by_name(self, name: str) -> Made | None:
        lower = name.lower()
        if lower in self.merged:
            return self.merged[lower]
        known = [made for table in self.tables if (made := table.relation.known(lower)) is not None]
        if known:
            return union_of(known)
        if lower in self.aliases:
            return self.aliases[lower]
        if row := next((table for table in self.tables if table.name == lower), None):
            return row.relation.whole
        passing = [made for t in self.tables if (made := t.relation.passing(lower)) is not None]
        around = self.outer._by_name(name) if self.outer else None  # noqa: SLF001 -- its own kind
        if around is not None:
            passing.append(around)
        return union_of(passing) if passing else None


class Gathering:
    """Gathers what expressions are made of.

    Args:
        query: tells the columns of a query inside an expression.
    """

    def __init__(self, query: Callable[[exp.Expr, Scope], Relation]) -> None:
        self._query = query
        self.named: set[Origin] = set()
        """All that was named so far, wherever."""

    def made(self, expression: exp.Expr, scope: Scope) -> Made:
        """What an expression is made of."""
        found = _Found()
        self._walk(expression, scope, found, _Way())
        column = _passing(expression)
        passed = column is not None and scope.resolve(column).passed
        values = frozenset(found.values)
        made = Made(values, frozenset(found.windows), values - found.exposed, passed)
        self.named |= made.all
        return made

    def _walk(self, node: exp.Expr, scope: Scope, found: "_Found", way: "_Way") -> None:
        if _clears(node):
            way = way._replace(cleared=True)
        match node:
            case exp.Column():
                found.add(_named(node, scope), way)
            case exp.Star() | exp.Columns():
                if not isinstance(node.parent, exp.Count):
                    whole = union_of(table.relation.whole for table in scope.tables)
                    found.add(whole, way)
            case exp.Query():
                relation = self._query(node, scope)
                counts = not isinstance(node.parent, exp.Exists)
                found.add(relation.whole if counts else NOTHING, way)
            case exp.Window():
                self._walk(node.this, scope, found, way)
                for part in _parts_of(node, scope):
                    self._walk(part, scope, found, way._replace(in_window=True))
            case exp.Comprehension():
                self._comprehension(node, scope, found, way)
            case _:
                for child in node.iter_expressions():
                    self._walk(child, scope, found, way)

    def _comprehension(
        self, node: exp.Comprehension, scope: Scope, found: "_Found", way: "_Way"
    ) -> None:
        """`[f(x) for x in xs if g(x)]`: `x` is no column."""
        own = Scope(scope, aliases={node.expression.name.lower(): NOTHING})
        for child in node.iter_expressions():
            self._walk(child, own, found, way)


class _Way(NamedTuple):
    """Below what a column stands: a window's parts, or something that clears values."""

    in_window: bool = False
    cleared: bool = False


@dataclass
class _Found:
    values: set[Origin] = field(default_factory=set[Origin])
    windows: set[Origin] = field(default_factory=set[Origin])
    exposed: set[Origin] = field(default_factory=set[Origin])

    def add(self, made: Made, way: _Way) -> None:
        self.windows |= made.windows
        if way.in_window:
            self.windows |= made.values
            return
        self.values |= made.values
        if not way.cleared:
            self.exposed |= made.exposed


def _named(column: exp.Column, scope: Scope) -> Made:
    """What a column is made of, or `t.*`."""
    if not isinstance(column.this, exp.Star):
        return scope.resolve(column)
    table = scope.table(column.table)
    return table.relation.whole if table else NOTHING


def _clears(node: exp.Expr) -> bool:
    """Whether something tells no value of what stands below it: counts, tests for NULL, masks."""
    match node:
        case exp.Count() | exp.CountIf() | exp.ApproxDistinct():
            return True
        case exp.Filter():
            return _clears(node.this)
        case exp.Is():
            return isinstance(node.expression, exp.Null)
        case exp.Anonymous():
            return node.name.lower() in _CLEARING
        case _:
            return False


def _passing(expression: exp.Expr) -> exp.Column | None:
    """The column whose values an expression gives as they are, of another type, or masked."""
    match expression:
        case exp.Column() if not isinstance(expression.this, exp.Star):
            return expression
        case exp.Alias() | exp.Paren() | exp.Cast() | exp.Coalesce() | exp.Round():
            return _passing(expression.this)
        case exp.Anonymous() if expression.name.lower() in FUNCTIONS.values():
            return _passing(expression.expressions[0])
        case _:
            return None


def _parts_of(window: exp.Window, scope: Scope) -> Iterable[exp.Expr]:
    """What parts, orders and frames a window, also where it has a name."""
    for child in window.iter_expressions():
        if child is not window.this and not isinstance(child, exp.Identifier):
            yield child
    named = scope.windows.get(str(window.alias).lower()) if window.alias else None
    if named is not None and named is not window:
        yield from _parts_of(named, scope)


def has_aggregate(expression: exp.Expr) -> bool:
    """Whether it merges rows, other than over a window or in a query of its own."""
    if isinstance(expression, exp.Query):
        return False
    if isinstance(expression, exp.Window):
        # `sum(sum(a)) over ()` is a window over groups.
        return any(has_aggregate(child) for child in expression.this.iter_expressions())
    if isinstance(expression, exp.AggFunc):
        return True
    if isinstance(expression, exp.Anonymous) and expression.name.lower() in AGGREGATES:
        return True
    return any(has_aggregate(child) for child in expression.iter_expressions())
