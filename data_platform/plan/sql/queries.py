"""SQL of people: which assets it reads, and the statement that runs.

Called by `plan.building` for analytics. Tables are references (`staging.orders`,
`sales.staging.orders`); every other name must be a CTE of the statement itself.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.nodes import Input
from data_platform.plan.parameters import NO_PARAMETERS, RunParameters
from data_platform.plan.partitions import PARAMETERS, Partitions
from data_platform.plan.relations import relation_of
from data_platform.plan.sql.expressions import (
    parse_query,
    place_of_parameter,
    reads_clock,
    render,
)
from data_platform.plan.sql.ranges import range_statement


@dataclass(frozen=True)
class Query:
    """A statement of a person's, ready to run.

    Attributes:
        sql: over the relations of its inputs, with `$name` for bind parameters.
        inputs: what it reads, each once.
        parameters: bind parameters that it names.
        range_sql: the same for many partitions at once, where there is such a form.
        momentary: names of columns that read the clock, somewhere in the statement.
    """

    sql: str
    inputs: tuple[Input, ...]
    parameters: tuple[str, ...]
    range_sql: str | None
    momentary: tuple[str, ...]


def compile_query(
    text: str,
    location: Location,
    reads: Callable[[str, Location], Input],
    run_parameters: RunParameters = NO_PARAMETERS,
    partitions: Partitions | None = None,
) -> Query:
    """Compile a statement.

    Args:
        text: one SELECT.
        location: where it begins.
        reads: makes the input of a reference, or raises.
        run_parameters: that it may name besides bind parameters.
        partitions: of the asset, which tell the bind parameters.

    Raises:
        ConfigurationError: it isn't allowed, or names what there isn't.
    """
    binds = binds_of(partitions)
    tree, inputs, parameters = _resolved(text, location, reads, run_parameters, binds)
    if partitions is not None:
        _require_values(text, location, parameters, partitions)
    at_once = range_statement(tree, inputs, partitions)
    sql = render(tree, pretty=True)
    return Query(sql, tuple(inputs.values()), parameters, at_once, _momentary(tree))


def look_at(
    text: str,
    location: Location,
    reads: Callable[[str, Location], Input],
    run_parameters: RunParameters,
    partitions: Partitions | None,
) -> None:
    """Tell `reads` all that a statement reads, before the partitions of its asset are known.

    Args:
        text: one SELECT.
        location: where it begins.
        reads: as `compile_query`.
        run_parameters: that it may name besides bind parameters.
        partitions: that the asset may have.

    Raises:
        ConfigurationError: as `compile_query`.
    """
    _resolved(text, location, reads, run_parameters, binds_of(partitions))


def binds_of(partitions: Partitions | None) -> dict[str, str]:
    """The names that a statement may ask for, and their types; some may have no value."""
    return {**PARAMETERS, **(partitions.binds if partitions else {})}


def _require_values(
    text: str, location: Location, parameters: Sequence[str], partitions: Partitions
) -> None:
    for name in parameters:
        if name not in partitions.binds:
            kind = "partitions of time" if name in PARAMETERS else f"partitions by {name}"
            message = f":{name} has no value: the asset has no {kind}"
            raise ConfigurationError([Problem(place_of_parameter(text, name, location), message)])


def _resolved(
    text: str,
    location: Location,
    reads: Callable[[str, Location], Input],
    run_parameters: RunParameters,
    binds: Mapping[str, str],
) -> tuple[exp.Query, dict[str, Input], tuple[str, ...]]:
    """The statement over relations, what it reads by relation, and its parameters."""
    tree = parse_query(text, location)
    inputs: dict[str, Input] = {}
    problems: list[Problem] = []
    for table in list(tree.find_all(exp.Table)):
        if isinstance(table.this, exp.Func) or _is_local(table):
            continue
        parts = [part.name for part in table.parts]
        try:
            given = reads(".".join(parts), place_of(table, location))
        except ConfigurationError as error:
            problems += error.problems
            continue
        inputs[relation_of(given)] = given
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(parts[-1]))
        table.replace(
            exp.Table(
                this=exp.to_identifier(relation_of(given), quoted=True),
                alias=alias,
                joins=table.args.get("joins"),
            )
        )
    try:
        tree = run_parameters.bind(
            tree, lambda name: place_of_parameter(text, name, location), binds
        )
    except ConfigurationError as error:
        problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    parameters = list(tree.find_all(exp.Placeholder, exp.Parameter))
    for node in parameters:
        if isinstance(node.parent, exp.Select) and node.arg_key == "expressions":
            # DuckDB would call it `$name`.
            node.replace(exp.alias_(node.copy(), node.name))
    return tree, inputs, tuple(dict.fromkeys(node.name for node in parameters))


def _momentary(tree: exp.Expr) -> tuple[str, ...]:
    """By name: a CTE's column counts for all columns of its name, and for what is made of them."""
    aliases = [(alias.alias, alias.this) for alias in tree.find_all(exp.Alias)]
    found = {name for name, expression in aliases if reads_clock(expression)}
    while more := {
        name
        for name, expression in aliases
        if name not in found and any(c.name in found for c in expression.find_all(exp.Column))
    }:
        found |= more
    return tuple(sorted(found))


def _is_local(table: exp.Table) -> bool:
    """Whether a table is a CTE that is in sight where it stands; anything else is an asset.

    A name that is a CTE's somewhere else must not pass: DuckDB would take it for a file.
    """
    if len(table.parts) > 1:
        return False
    inside: exp.Expr | None = table
    while inside is not None:
        with_ = inside.args.get("with_")
        if isinstance(with_, exp.With) and _names(with_, table):
            return True
        inside = inside.parent
    return False


def _names(with_: exp.With, table: exp.Table) -> bool:
    """Whether a CTE in sight has the table's name: one of those before, or any from the query."""
    seen: list[exp.CTE] = []
    for cte in with_.expressions:
        own = table.find_ancestor(exp.CTE)
        while own is not None and own is not cte:
            own = own.find_ancestor(exp.CTE)
        if own is cte:
            seen += [cte] if with_.recursive else []
            break
        seen.append(cte)
    return any(_folded(cte.alias) == _folded(table.name) for cte in seen)


def _folded(name: str) -> str:
    """A name as DuckDB compares it: to Python the Kelvin sign's small letter is a `k` too."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def culprit(text: str, location: Location, message: str) -> Location:
    """Where in a person's statement the name stands over which DuckDB complains.

    Args:
        text: the statement, which compiled.
        location: where it begins.
        message: DuckDB's, with names in double quotes and calls as `name(types)`.
    """
    tree = parse_query(text, location)
    quoted_names = re.findall(r'"([^"]+)"', message)
    columns = list(tree.find_all(exp.Column))
    for name in reversed(quoted_names[:2]):
        for column in columns:
            if column.name.lower() == name.lower():
                return place_of(column, location)
    called = re.search(r"'(\w+)\(", message)
    for function in tree.find_all(exp.Func) if called else ():
        if render(function).lower().startswith(f"{called[1].lower()}(") if called else False:
            inner = function.find(exp.Column)
            return place_of(inner, location) if inner else location
    return location


def place_of(named: exp.Expr, location: Location) -> Location:
    """Where a name of a person's statement stands."""
    meta = named.this.meta
    line, column = meta.get("line"), meta.get("col")
    if line is None or column is None:
        return location
    shift = location.column - 1 if line == 1 else 0
    return Location(
        location.file, location.line + line - 1, max(1, column - len(named.name) + 1 + shift)
    )
