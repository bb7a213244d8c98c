"""What the columns of a query are made of, and which columns decide about its rows.

Called by `plan.lineage.nodes`. A walk over the syntax tree, scope by scope: sqlglot's own lineage
wants every column of every table and qualifies the statement anew for each column, and assets may
be open. Tables are relations of assets, or CTEs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlglot import exp

from data_platform.plan.lineage.combining import by_name, by_place, chosen, star_of
from data_platform.plan.lineage.expressions import Gathering, Scope, Table, has_aggregate
from data_platform.plan.lineage.relations import (
    NOTHING,
    Made,
    Origin,
    Relation,
    Rest,
    Use,
    names_of,
    union_of,
)
from data_platform.plan.staging.steps import CONTENT

Tables = Mapping[str, Relation]
_ROUNDS = 20
"""A recursive CTE settles when no column gets a new origin: after a round for each of a few."""


class QueryLineage:
    """Follows queries of one asset, and gathers which columns they use in which way.

    Args:
        base: the relation of an asset by its name in the statement; None for one that isn't known.
    """

    def __init__(self, base: Callable[[str], Relation | None]) -> None:
        self.base = base
        self._gathering = Gathering(lambda query, scope: self._query(query, scope, self._tables))
        self._tables: Tables = {}
        self.rows: dict[Origin, set[Use]] = {}

    @property
    def named(self) -> set[Origin]:
        """All columns that were named so far."""
        return self._gathering.named

    def follow(self, query: exp.Expr, tables: Tables | None = None) -> Relation:
        """The columns of a query.

        Args:
            query: a statement, its tables relations of assets.
            tables: further ones in sight, by name in lower case.
        """
        return self._query(query, None, tables or {})

    def follow_expression(self, expression: exp.Expr, relation: Relation) -> Made:
        """What an expression over a relation is made of."""
        return self._made(expression, Scope(tables=[Table("", relation)]))

    def use(self, made: Made, use: Use) -> None:
        """Note that the columns of which something is made decide about rows."""
        for origin in made.all:
            self.rows.setdefault(origin, set()).add(use)

    # Queries ----------------------------------------------------------------------------------

    def _query(self, query: exp.Expr, outer: Scope | None, tables: Tables) -> Relation:
        before, self._tables = self._tables, self._with_ctes(query, outer, tables)
        try:
            match query:
                case exp.Select():
                    return self._select(query, outer)
                case exp.SetOperation():
                    return self._ordered(query, self._set_operation(query, outer), outer)
                case exp.Subquery() if isinstance(query.this, exp.Query):
                    relation = self._query(query.this, outer, self._tables)
                    return self._ordered(query, relation, outer)
                case _:
                    scope = Scope(outer)
                    self._source(query, scope)
                    return star_of(scope.tables)
        finally:
            self._tables = before

    def _with_ctes(self, query: exp.Expr, outer: Scope | None, tables: Tables) -> Tables:
        with_ = query.args.get("with_")
        if not isinstance(with_, exp.With):
            return tables
        found = dict(tables)
        for cte in with_.expressions:
            name, columns = cte.alias.lower(), _alias_columns(cte)
            inner = cte.this
            if with_.recursive and isinstance(inner, exp.SetOperation):
                found[name] = self._named(self._query(inner.this, outer, found), columns)
                for _ in range(_ROUNDS):
                    relation = self._named(self._query(inner, outer, found), columns)
                    settled, found[name] = found[name] == relation, relation
                    if settled:
                        break
            else:
                found[name] = self._named(self._query(inner, outer, found), columns)
        return found

    def _select(self, select: exp.Select, outer: Scope | None) -> Relation:
        scope = Scope(outer)
        if (from_ := select.args.get("from_")) is not None:
            self._source(from_.this, scope)
        for join in select.args.get("joins") or ():
            self._join(join, scope)
        for lateral in select.args.get("laterals") or ():
            self._source(lateral, scope)
        for window in select.args.get("windows") or ():
            scope.windows[window.name.lower()] = window
        relation, projections = self._select_list(select, scope)
        self._choose_rows(select, scope, relation, projections)
        return relation

    def _select_list(
        self, select: exp.Select, scope: Scope
    ) -> tuple[Relation, list[tuple[exp.Expr, Made]]]:
        columns: list[tuple[str, Made]] = []
        projections: list[tuple[exp.Expr, Made]] = []
        rest: list[Rest] = []
        mixed: list[Made] = []
        for item in select.expressions:
            if (starred := self._starred(item, scope)) is not None:
                columns += starred.columns
                rest += starred.rest
                mixed.append(starred.mixed)
                projections.append((item, starred.whole))
                continue
            name = item.alias_or_name or item.sql(dialect="duckdb")
            # Ties of copies go by all that a row holds, which says nothing about any column.
            made = NOTHING if name == CONTENT else self._made(item, scope)
            columns.append((name, made))
            projections.append((item, made))
            scope.aliases.setdefault(name.lower(), made)
        told = frozenset(names_of(columns))
        rest = [Rest(each.asset, each.without | told) for each in rest]
        return Relation(tuple(columns), tuple(rest), union_of(mixed)), projections

    def _choose_rows(
        self,
        select: exp.Select,
        scope: Scope,
        relation: Relation,
        projections: Sequence[tuple[exp.Expr, Made]],
    ) -> None:
        """Which columns decide which rows there are."""
        for clause in ("where", "having", "qualify"):
            if (condition := select.args.get(clause)) is not None and not _holds(condition.this):
                self.use(self._made(condition, scope), Use.FILTER)
            elif condition is not None:
                self._made(condition, scope)
        group = select.args.get("group")
        if group is not None:
            keys = [made for item, made in projections if not has_aggregate(item)]
            if not group.args.get("all"):
                keys = [self._ordinal(key, projections, scope) for key in group.iter_expressions()]
            self.use(union_of(keys), Use.GROUP)
        distinct = select.args.get("distinct")
        if distinct is not None:
            on = distinct.args.get("on")
            self.use(self._made(on, scope) if on else relation.whole, Use.DISTINCT)
        self._order(select, projections, scope, decides=distinct is not None)

    def _order(
        self,
        query: exp.Expr,
        projections: Sequence[tuple[exp.Expr, Made]],
        scope: Scope,
        *,
        decides: bool = False,
    ) -> None:
        """An order decides about rows where not all of them are taken."""
        order = query.args.get("order")
        if order is None:
            return
        keys = [self._ordinal(key.this, projections, scope) for key in order.expressions]
        if decides or any(query.args.get(cut) for cut in ("limit", "offset")):
            self.use(union_of(keys), Use.ORDER)

    def _ordinal(
        self, key: exp.Expr, projections: Sequence[tuple[exp.Expr, Made]], scope: Scope
    ) -> Made:
        """A key of GROUP BY or ORDER BY: `2` is the second column of the select list."""
        number = int(key.name) if isinstance(key, exp.Literal) and key.is_int else 0
        if 0 < number <= len(projections):
            return projections[number - 1][1]
        return self._made(key, scope)

    def _set_operation(self, query: exp.SetOperation, outer: Scope | None) -> Relation:
        left = self._query(query.this, outer, self._tables)
        right = self._query(query.expression, outer, self._tables)
        if not isinstance(query, exp.Union):
            # What the other side holds decides which rows stay; no value comes from there.
            self.use(left.whole | right.whole, Use.FILTER)
            return left
        united = by_name(left, right) if query.args.get("by_name") else by_place(left, right)
        if query.args.get("distinct"):
            self.use(united.whole, Use.DISTINCT)
        return united

    def _ordered(self, query: exp.Expr, relation: Relation, outer: Scope | None) -> Relation:
        scope = Scope(outer, [Table("", relation)])
        projections = [(exp.column(name), made) for name, made in relation.columns]
        self._order(query, projections, scope)
        return relation

    # Tables -----------------------------------------------------------------------------------

    def _source(self, source: exp.Expr, scope: Scope) -> None:
        """Bring what stands in a FROM clause into sight."""
        alias = source.alias
        match source:
            case exp.Table() if isinstance(source.this, exp.Identifier):
                relation = self._table(source)
                alias = alias or source.name
            case exp.Subquery() if not isinstance(source.this, exp.Query):
                inner = Scope(scope)
                self._source(source.this, inner)
                relation = star_of(inner.tables)
                if not alias:
                    scope.tables += inner.tables
                    scope.merged |= inner.merged
            case exp.Subquery():
                relation = self._query(source, scope, self._tables)
            case exp.Lateral() if isinstance(source.this, exp.Subquery):
                relation = self._query(source.this, scope, self._tables)
            case _:
                # VALUES, unnest(...), range(...): rows that are made of what they name.
                made = union_of(self._made(item, scope) for item in _contents(source))
                named = _alias_columns(source) or [alias or "unnest"]
                relation = Relation(tuple((name, made) for name in named))
        if alias or not isinstance(source, exp.Subquery) or isinstance(source.this, exp.Query):
            named = self._named(relation, _alias_columns(source))
            scope.tables.append(Table(alias.lower(), named))
        for join in source.args.get("joins") or ():
            self._join(join, scope)

    def _table(self, table: exp.Table) -> Relation:
        local = self._tables.get(table.name.lower()) if len(table.parts) == 1 else None
        return local or self.base(".".join(part.name for part in table.parts)) or Relation()

    def _join(self, join: exp.Join, scope: Scope) -> None:
        before = len(scope.tables)
        self._source(join.this, scope)
        left, right = scope.tables[:before], scope.tables[before:]
        if (condition := join.args.get("on")) is not None:
            self.use(self._made(condition, scope), Use.JOIN)
        using = [name.name.lower() for name in join.args.get("using") or ()]
        if (join.method or "").upper() == "NATURAL":
            there = [set(names_of(star_of(side).columns)) for side in (left, right)]
            using = sorted(there[0] & there[1])
        self._merge(using, join, scope, before)
        if (join.kind or "").upper() in {"SEMI", "ANTI"}:
            del scope.tables[before:]

    def _merge(self, using: Sequence[str], join: exp.Join, scope: Scope, before: int) -> None:
        """Columns of USING are one column: the side's that surely has it, or both sides'."""
        left, right = scope.tables[:before], scope.tables[before:]
        side = (join.side or "").upper()
        for name in using:
            own, other = (
                union_of(made for t in tables if (made := t.relation[name]) is not None)
                for tables in (left, right)
            )
            own = scope.merged.get(name, own)
            self.use(own | other, Use.JOIN)
            self._gathering.named |= (own | other).all
            merged = {"FULL": own | other, "RIGHT": other}.get(side, own)
            scope.merged[name] = merged
        if using:
            names = frozenset(using)
            scope.tables[before:] = [Table(t.name, t.relation, t.merged | names) for t in right]

    # Columns ----------------------------------------------------------------------------------

    def _made(self, expression: exp.Expr, scope: Scope) -> Made:
        return self._gathering.made(expression, scope)

    @staticmethod
    def _named(relation: Relation, names: Sequence[str]) -> Relation:
        return relation.renamed(names) if names else relation

    def _starred(self, item: exp.Expr, scope: Scope) -> Relation | None:
        """The columns of `*`, `t.*` or COLUMNS(...); None for any other item."""
        star = item.this if isinstance(item, exp.Column) else item
        if isinstance(star, exp.Columns):
            return chosen(star, star_of(scope.tables))
        if not isinstance(star, exp.Star):
            return None
        tables = scope.tables
        if isinstance(item, exp.Column):
            table = scope.table(item.table)
            tables = [table] if table else []
        return self._changed(star, star_of(tables, scope.merged), scope)

    def _changed(self, star: exp.Star, relation: Relation, scope: Scope) -> Relation:
        """`* EXCLUDE (...) REPLACE (...) RENAME (...)`."""
        left_out = {item.name.lower() for item in star.args.get("except_") or ()}
        replaced = {
            item.alias.lower(): (item.alias, self._made(item.this, scope))
            for item in star.args.get("replace") or ()
        }
        renamed = {
            item.this.name.lower(): (item.alias, self._made(item.this, scope))
            for item in star.args.get("rename") or ()
        }
        changed = renamed | replaced
        columns = [
            changed.get(name.lower(), (name, made))
            for name, made in relation.columns
            if name.lower() not in left_out
        ]
        there = set(names_of(relation.columns))
        # Of an open table, a column may be changed that is known by this alone.
        columns += [column for name, column in changed.items() if name not in there]
        gone = left_out | set(changed)
        rest = tuple(Rest(each.asset, each.without | gone) for each in relation.rest)
        return Relation(tuple(columns), rest, relation.mixed)


def _holds(condition: exp.Expr) -> bool:
    """Whether a condition is true whatever the row: `TRUE OR ...`."""
    if isinstance(condition, exp.Or):
        return _holds(condition.this) or _holds(condition.expression)
    return isinstance(condition, exp.Boolean) and bool(condition.this)


def _alias_columns(source: exp.Expr) -> list[str]:
    alias = source.args.get("alias")
    columns: Iterable[exp.Expr] = alias.args.get("columns") or () if alias else ()
    return [column.name for column in columns]


def _contents(source: exp.Expr) -> Iterable[exp.Expr]:
    return (child for child in source.iter_expressions() if not isinstance(child, exp.TableAlias))
