"""SQL of people, read: expressions and queries as syntax trees that may run, and texts of trees.

Called by `plan.staging.steps`, `plan.checks.row_checks`, `plan.checks.set_checks` and
`plan.sql.queries` for everything that a person wrote in SQL. What may be in it is decided by
`plan.sql.texts` (characters, nesting), `plan.sql.allow_list` (the tree) and `plan.sql.size_limits`
(how much it makes of nothing).
"""

import functools
import math
import re
from collections.abc import Collection

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError, TokenError
from sqlglot.tokens import TokenType  # pyright: ignore[reportPrivateImportUsage]

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.parameters import NO_PARAMETERS, RunParameters
from data_platform.plan.sql.allow_list import (
    refuse,
    require_allowed,
    require_expression,
    require_shallow,
    shortened,
)
from data_platform.plan.sql.allowed_functions import CLOCKS
from data_platform.plan.sql.size_limits import require_bounded
from data_platform.plan.sql.texts import place_in, require_readable

_MOMENTS = ("partition_key", "partition_start", "partition_end", "watermark")
"""Parameters that statements may have, and expressions not."""
VALUE_ENDS = frozenset(
    {
        TokenType.VAR,
        TokenType.IDENTIFIER,
        TokenType.NUMBER,
        TokenType.STRING,
        TokenType.R_PAREN,
        TokenType.R_BRACKET,
        TokenType.L_BRACKET,
        TokenType.PARAMETER,
    }
)
"""After these a colon belongs to a slice, a struct or an alias."""
_TOKEN = re.compile(r"<Token token_type: [^,]*, text: (.*?), line: \d+, .*?>")
"""How the parser writes a word that it stumbled over."""


def parse_expression(
    text: str, location: Location, parameters: RunParameters = NO_PARAMETERS
) -> exp.Expr:
    """An expression over columns, looked at; parameters in it are variables.

    Args:
        text: as written.
        location: where it stands.
        parameters: those that it may name.

    Raises:
        ConfigurationError: it doesn't parse, or holds something that isn't allowed.
    """
    tree = _parse(_with_dollars(text, parameters.names), location, what="expression")
    shown = shortened(text)
    if isinstance(tree, exp.Alias):
        refuse(location, f"{shown}: an expression has no alias; the key before it is its name")
    require_expression(tree, shown, lambda _: location)
    for node in tree.find_all(exp.Placeholder, exp.Parameter):
        if node.name in _MOMENTS:
            refuse(
                location,
                f"{shown}: :{node.name} belongs into SQL files and queries; an expression "
                "may name `parameters` of its asset",
            )
    require_allowed(tree, shown, lambda _: location)
    require_bounded(tree, text, lambda _: location)
    return parameters.bind(tree, lambda _: location)


def parse_query(text: str, location: Location) -> exp.Query:
    """One SELECT over assets, looked at. Which tables it may read is the caller's business.

    Raises:
        ConfigurationError: it doesn't parse, is no query, or holds something that isn't allowed.
    """
    return _looked_at(text, location).copy()


def place_of_parameter(text: str, name: str, location: Location) -> Location:
    """Where a query names a parameter first.

    Args:
        text: the query, which can be read.
        name: of the parameter.
        location: where the query begins.
    """
    for token in sqlglot.tokenize(text, dialect="duckdb"):
        if token.text == name and text[token.start - 1 : token.start] in {":", "$"}:
            return place_in(text, token.start - 1, location)
    return location


def place_of(node: exp.Expr, text: str, location: Location) -> Location:
    """Where a part of a query stands, or what it is part of.

    Args:
        node: of the query's tree.
        text: the query.
        location: where the query begins.
    """
    about: exp.Expr | None = node
    while about is not None:
        for part in (about, about.this):
            start = part.meta.get("start") if isinstance(part, exp.Expr) else None
            if start is not None:
                return place_in(text, start, location)
        about = about.parent
    return location


@functools.lru_cache(maxsize=8)
def _looked_at(text: str, location: Location) -> exp.Query:
    """The last ones are kept: who reads a query asks first what it names, then for its SQL."""
    tree = _parse(_with_dollars(text), location, what="query")
    if not isinstance(tree, exp.Query):
        refuse(location, f"expected one SELECT, found {type(tree).__name__.upper()}")

    def place(node: exp.Expr) -> Location:
        return place_of(node, text, location)

    require_allowed(tree, shortened(text), place)
    require_bounded(tree, text, place)
    return tree


def render(tree: exp.Expr, *, pretty: bool = False) -> str:
    """The SQL of a tree in DuckDB's dialect, without comments."""
    return tree.sql(dialect="duckdb", pretty=pretty, comments=False)


def reads_clock(tree: exp.Expr) -> bool:
    """Whether an expression gives something else at another time."""
    return any(
        isinstance(node, CLOCKS)
        or (isinstance(node, exp.Anonymous) and node.name.lower() in {"now", "today"})
        or (
            isinstance(node, exp.Anonymous)
            and node.name.lower() == "age"
            and len(node.expressions) == 1
        )
        for node in tree.walk()
    )


def quoted(name: str) -> str:
    """A name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A scalar as a literal of SQL."""
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case float() if not math.isfinite(value):
            return f"CAST('{value}' AS DOUBLE)"
        case int() | float():
            return str(value)
        case _:
            return render(exp.convert(value))


def _parse(text: str, location: Location, what: str) -> exp.Expr:
    require_readable(text, location, what)
    try:
        trees = [tree for tree in sqlglot.parse(text, dialect="duckdb") if tree is not None]
    except (ParseError, TokenError) as error:
        raise ConfigurationError([_syntax_problem(error, text, location, what)]) from None
    except RecursionError:
        refuse(location, f"{what} can't be read: it is nested too deep")
    except SqlglotError as error:
        refuse(location, f"{what} can't be read: {type(error).__name__}")
    if len(trees) != 1:
        refuse(location, f"expected one {what}, found {len(trees)}")
    require_shallow(trees[0], location)
    return trees[0]


def _with_dollars(text: str, names: Collection[str] | None = None) -> str:
    """`:name` as `$name`, of the same length: a colon after SELECT is an alias to DuckDB.

    Args:
        text: SQL.
        names: only these; None means all.
    """
    if names is not None and not names:
        return text
    try:
        tokens = sqlglot.tokenize(text, dialect="duckdb")
    except TokenError:
        return text  # reading it tells what is wrong
    characters = list(text)
    for before, colon, name in zip([None, *tokens], tokens, tokens[1:], strict=False):
        named = name.text in names if names is not None else name.token_type == TokenType.VAR
        named = named and colon.token_type == TokenType.COLON
        if (
            named
            and name.start == colon.end + 1
            and not (before and before.token_type in VALUE_ENDS)
        ):
            characters[colon.start] = "$"
    return "".join(characters)


def _syntax_problem(error: Exception, text: str, location: Location, what: str) -> Problem:
    details = getattr(error, "errors", None)
    if not details:
        return Problem(location, f"{what} can't be read: {shortened(text)}")
    first = details[0]
    line, column = first.get("line") or 1, first.get("col") or 1
    near = (first.get("highlight") or "").strip()
    place = location
    if what == "query":
        place = Location(
            location.file,
            location.line + line - 1,
            column if line > 1 else location.column + column - 1,
        )
    described = _TOKEN.sub(r"'\1'", str(first.get("description")))
    return Problem(place, f"{what} can't be read{f' near {near!r}' if near else ''}: {described}")
