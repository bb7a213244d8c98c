"""Rules that a person writes as SQL, compiled to statements for one partition and for many.

Called by `plan.checks.set_checks` and, for what DuckDB says of them, by `plan.checks.unbound`. The
statement is held to the same allow-list as all SQL, and reads `{table}` and assets by reference.
"""

from collections.abc import Callable, Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import TokenError

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.analytics import start_of_block
from data_platform.plan.checks.comparisons import Incomparable, compares, in_words, sample_of
from data_platform.plan.checks.rule_context import RuleContext
from data_platform.plan.checks.value_kinds import SqlCheck
from data_platform.plan.columns import BindingError, Catalog
from data_platform.plan.keys import Key
from data_platform.plan.nodes import Input
from data_platform.plan.partitions import Partitions
from data_platform.plan.relations import relation_of
from data_platform.plan.schemas import Schema
from data_platform.plan.sql.expressions import render
from data_platform.plan.sql.queries import Query, binds_of, compile_query
from data_platform.plan.sql.ranges import range_statement
from data_platform.spec.sql_rule import SqlRule

TABLE = "{table}"
"""The relation of what would be published: of one partition, or of all with `_partition`."""
_MARK = "__own__"
"""In a text that is read, for `{table}`; it is as long, so that all else keeps its place."""
_OWN = Key("rule", "own", "table")


def as_read_by_rule(relation: str) -> str:
    """The name of another asset's rows as one partition reads them, without hidden columns."""
    return f"{relation} (read by a rule)"


def compile_sql(rule: SqlRule, context: RuleContext) -> SqlCheck:
    """The check of a rule.

    Args:
        rule: as written.
        context: that it is compiled with.

    Raises:
        ConfigurationError: what is wrong with it.
    """
    location = start_of_block(context.at("sql"))
    inputs: dict[str, Input] = {}

    def reads(reference: str, place: Location) -> Input:
        if reference == _MARK:
            return Input(_OWN, "same" if context.partitions else "whole")
        given = context.reads(reference, place, whole=False)
        inputs[relation_of(given)] = given
        return given

    query = compile_query(
        _marked(rule.sql, location), location, reads, context.parameters, context.partitions
    )
    if query.parameters and context.partitions is None:
        message = f":{query.parameters[0]} has no value: the asset has no partitions"
        raise ConfigurationError([Problem(location, message)])
    expected = rule.expected_result if isinstance(rule.expected_result, list) else None
    wanted = tuple(expected) if expected is not None else (rule.expected_result,)
    names = {_OWN.relation: TABLE}
    at_once = query.range_sql or _totals(query, context.partitions)
    by_itself = names | {relation: as_read_by_rule(relation) for relation in inputs}
    return SqlCheck(
        name=rule.name or "sql",
        effect=context.effect,
        sql=_renamed(query.sql, by_itself),
        range_sql=None if at_once is None else _renamed(at_once, names),
        total=query.range_sql is None and not query.parameters,
        reads={relation: given.by_partition for relation, given in inputs.items()},
        sources=tuple(dict.fromkeys(given.key for given in inputs.values())),
        parameters=query.parameters,
        operator=rule.operator,
        expected=wanted,  # pyright: ignore[reportArgumentType] -- a list has no lists in it
        partitions=context.partitions,
        location=context.location,
        description=rule.description,
    )


def misfit(check: SqlCheck, relations: Catalog) -> str | None:
    """What is wrong with a statement over columns that are known: none, or one problem.

    Args:
        check: of an asset.
        relations: empty tables for all that it reads.
    """
    try:
        described = relations.describe(check.sql, binds_of(check.partitions))
    except BindingError as error:
        return error.message
    if len(described) != 1:
        names = ", ".join(name for name, _ in described)
        return f"a rule gives one value, this SQL gives {len(described)} columns: {names}"
    sample = sample_of(described[0][1])
    try:
        if sample is not None:
            compares(sample, check.operator, check.expected)
    except Incomparable as error:
        return f"{error} (wanted {in_words(check.operator, check.expected)})"
    return None


def declare(relations: Catalog, schema: Schema, others: Mapping[str, Schema]) -> None:
    """Make empty tables of what SQL rules read.

    Args:
        relations: where.
        schema: of the asset.
        others: the columns of other relations.
    """
    relations.declare(TABLE, schema)
    for relation, other in others.items():
        relations.declare(as_read_by_rule(relation), other)


def _marked(text: str, location: Location) -> str:
    """The text with a plain name for `{table}`, which isn't touched in strings and comments."""
    try:
        tokens = sqlglot.tokenize(text, dialect="duckdb")
    except TokenError:
        return text  # reading it tells what is wrong
    marked, end = "", 0
    for opening, name, closing in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if (opening.text, closing.text) != ("{", "}"):
            continue
        if name.text.lower() != "table":
            message = f"{{{name.text}}} has no meaning here: {{table}} is what would be published"
            raise ConfigurationError([Problem(location, message)])
        marked += text[end : opening.start] + _MARK
        end = closing.end + 1
    return marked + text[end:]


def _totals(query: Query, partitions: Partitions | None) -> str | None:
    """A total as the totals of many partitions, where it can be.

    In an asset it can't: a partition without rows would have no row then.
    """
    tree = sqlglot.parse_one(query.sql, dialect="duckdb")
    if not isinstance(tree, exp.Select) or tree.args.get("group"):
        return None
    if not all(column.find(exp.AggFunc) for column in tree.expressions):
        return None
    tree.set("group", exp.Group(expressions=[]))
    return range_statement(tree, {relation_of(given): given for given in query.inputs}, partitions)


def _renamed(sql: str, names: Mapping[str, str]) -> str:
    tree = sqlglot.parse_one(sql, dialect="duckdb")
    for table in tree.find_all(exp.Table):
        if table.name in names and len(table.parts) == 1:
            table.set("this", exp.to_identifier(names[table.name], quoted=True))
    return render(tree, pretty=True)


def tells(check: SqlCheck, hides: Callable[[str], bool]) -> tuple[bool, bool]:
    """Whether a statement's value tells of a person, and whether anything that it reads does.

    What is counted or only tested for NULL tells nothing; a column that has another name further
    inside may be any.

    Args:
        check: the rule.
        hides: whether a column of this name, of any asset that it reads, tells of a person.
    """
    tree = sqlglot.parse_one(check.sql, dialect="duckdb")
    columns = [column for column in tree.find_all(exp.Column) if hides(column.name)]
    stars = any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star))
    nested = stars or len(list(tree.find_all(exp.Select))) > 1
    open_ = [column for column in columns if not _cleared(column)]
    values = tree.expressions if isinstance(tree, exp.Select) and not nested else [tree]
    given = {id(column) for value in values for column in value.find_all(exp.Column)}
    return any(id(column) in given for column in open_), bool(columns) or stars


def _cleared(column: exp.Column) -> bool:
    counted = column.find_ancestor(exp.Count) is not None
    return counted or (
        isinstance(column.parent, exp.Is) and isinstance(column.parent.expression, exp.Null)
    )
