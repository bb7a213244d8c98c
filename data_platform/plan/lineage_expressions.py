"""What an expression is made of: its columns, resolved in the query in which it stands.

Called by `plan.lineage_queries`. Resolution follows DuckDB: the query's own tables, then aliases of
its select list, then the queries around it. Statements were bound before, so a name that is known
means one column; where tables are open, a name may mean several, and then it is all of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sqlglot import exp

from data_platform.plan.expressions import AGGREGATES
from data_platform.plan.lineage_relations import NOTHING, Made, Origin, Relation, union_of


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
        self._walk(expression, scope, found, in_window=False)
        made = Made(frozenset(found.values), frozenset(found.windows))
        self.named |= made.all
        return made

    def _walk(self, node: exp.Expr, scope: Scope, found: "_Found", *, in_window: bool) -> None:
        match node:
            case exp.Column() if not isinstance(node.this, exp.Star):
                found.add(scope.resolve(node), in_window=in_window)
            case exp.Column():
                table = scope.table(node.table)
                found.add(table.relation.whole if table else NOTHING, in_window=in_window)
            case exp.Star() | exp.Columns():
                if not isinstance(node.parent, exp.Count):
                    whole = union_of(table.relation.whole for table in scope.tables)
                    found.add(whole, in_window=in_window)
            case exp.Query():
                relation = self._query(node, scope)
                counts = not isinstance(node.parent, exp.Exists)
                found.add(relation.whole if counts else NOTHING, in_window=in_window)
            case exp.Window():
                self._walk(node.this, scope, found, in_window=in_window)
                for part in _parts_of(node, scope):
                    self._walk(part, scope, found, in_window=True)
            case exp.Comprehension():
                self._comprehension(node, scope, found, in_window=in_window)
            case _:
                for child in node.iter_expressions():
                    self._walk(child, scope, found, in_window=in_window)

    def _comprehension(
        self, node: exp.Comprehension, scope: Scope, found: "_Found", *, in_window: bool
    ) -> None:
        """`[f(x) for x in xs if g(x)]`: `x` is no column."""
        own = Scope(scope, aliases={node.expression.name.lower(): NOTHING})
        for child in node.iter_expressions():
            self._walk(child, own, found, in_window=in_window)


@dataclass
class _Found:
    values: set[Origin] = field(default_factory=set[Origin])
    windows: set[Origin] = field(default_factory=set[Origin])

    def add(self, made: Made, *, in_window: bool) -> None:
        self.windows |= made.windows
        if in_window:
            self.windows |= made.values
        else:
            self.values |= made.values


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
