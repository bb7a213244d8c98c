"""The allow-list: which SQL of people may run, decided on its syntax tree.

Called by `plan.sql.expressions` for every expression and statement. What passes reads the columns
and assets that it names, and computes; nothing reaches files, network, environment, settings,
variables or other tables. What runs is generated from the tree that was looked at.
"""

import difflib
import re
from collections.abc import Callable
from typing import NoReturn

from sqlglot import exp

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.naming import HIDDEN_TYPES
from data_platform.plan.sql.allowed_functions import (
    ALLOWED_FUNCTIONS,
    ALWAYS_REFUSED,
    OPEN_TYPES,
    OPERATORS,
    QUERIES,
    REFUSED_BECAUSE,
    RUNNING,
    SERIES,
)

MAX_DEPTH = 200
"""Of a tree: a chain of operators is as deep as it is long."""
_NEAR = 0.75
"""How much a name must be like another to be taken for it."""
_CALL = re.compile(r'"?([A-Za-z_]\w*)"?\(')
_OWN = re.compile(rf"({'|'.join(HIDDEN_TYPES)}|_content|_(converts|breaks)_.*)", re.IGNORECASE)
"""Columns of the platform's own while rows are computed."""
_OWN_RELATIONS = re.compile(
    r"_(candidate|others|staged|held|kept|windows|quarantine)", re.IGNORECASE
)
"""What holds rows while they are computed and judged."""
_OF_SESSION = re.compile(r"current_\w+|session_user|rowid", re.IGNORECASE)
"""What DuckDB takes for something of its own where no column has the name."""

Place = Callable[[exp.Expr], Location]
"""Tells where a part of a tree stands."""


def require_shallow(tree: exp.Expr, location: Location) -> None:
    """Refuse a tree that costs whoever walks it the stack; it is asked before anything else.

    Raises:
        ConfigurationError: it is deeper than `MAX_DEPTH`.
    """
    level = [tree]
    for _ in range(MAX_DEPTH + 1):
        level = [child for node in level for child in node.iter_expressions()]
        if not level:
            return
    refuse(location, f"nested deeper than {MAX_DEPTH} levels")


def require_allowed(tree: exp.Expr, shown: str, place: Place) -> None:
    """Refuse what isn't on the list.

    Args:
        tree: of SQL.
        shown: the text in short, for messages.
        place: of its parts.

    Raises:
        ConfigurationError: with the first part that isn't allowed.
    """
    for node in tree.walk():
        location = place(node)
        if isinstance(node, ALWAYS_REFUSED):
            refuse(location, f"{shown}: {type(node).__name__.upper()} is not allowed")
        if isinstance(node, exp.Func) and not isinstance(node, QUERIES):
            _require_known_function(node, shown, location)
        elif isinstance(node, (*OPERATORS, *QUERIES)):
            _require_known_type(node, shown, location)
            _require_usable_name(node, location)
        else:
            refuse(location, f"{shown}: {_kind(node)} is not allowed")
        if isinstance(node, exp.Table) and not _is_named_table(node):
            name = node.sql("duckdb")
            refuse(location, f"{name}: table functions are not allowed; name an asset")


def require_expression(tree: exp.Expr, shown: str, place: Place) -> None:
    """Refuse what belongs into a query only.

    Args:
        tree: of an expression.
        shown: the text in short, for messages.
        place: of its parts.

    Raises:
        ConfigurationError: with the first part that no expression has.
    """
    for node in tree.walk():
        location = place(node)
        if isinstance(node, (*QUERIES, exp.Star)) and not _belongs_to_aggregate(node):
            refuse(
                location,
                f"{shown}: an expression reads columns of its own asset; "
                "a query or * is not allowed",
            )
        if isinstance(node, exp.Unnest | exp.Explode):
            refuse(location, f"{shown}: unnest multiplies rows, which an expression must not")
        if isinstance(node, exp.PropertyEQ) and node.parent is None:
            refuse(location, f"{shown}: := names an argument of a function")
        if isinstance(node, exp.Column) and (node.args.get("db") or node.args.get("catalog")):
            refuse(location, f"{shown}: columns of other tables are not allowed in an expression")


def refuse(location: Location, message: str) -> NoReturn:
    """Raise a problem at a place."""
    raise ConfigurationError([Problem(location, message)])


def shortened(text: str) -> str:
    """A text in quotes that fits a terminal's line."""
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else f"{line[:57]}...")  # noqa: PLR2004


def _require_known_type(node: exp.Expr, shown: str, location: Location) -> None:
    if isinstance(node, OPEN_TYPES) or (
        isinstance(node, exp.DataType) and node.this == exp.DType.USERDEFINED
    ):
        refuse(location, f"{shown}: {node.sql('duckdb')} is no type that is known")


def _require_usable_name(node: exp.Expr, location: Location) -> None:
    if not isinstance(node, exp.Column):
        return
    if _OWN.fullmatch(node.name):
        refuse(location, f"{node.name} is a column of the platform's own, which SQL doesn't see")
    if not node.this.args.get("quoted") and _OF_SESSION.fullmatch(node.name):
        message = f"{node.name} is not allowed, unless it is a column: quote it then"
        refuse(location, message)
    if _OWN_RELATIONS.fullmatch(node.table):
        refuse(location, f"{node.table} is a table of the platform's own, which SQL doesn't see")


def _require_known_function(node: exp.Func, shown: str, location: Location) -> None:
    """What runs is what DuckDB will call it, which isn't always what a person wrote."""
    if isinstance(node, exp.Anonymous):
        name = running = node.name.lower()
    else:
        name = node.sql_name().lower()
        call = _CALL.match(node.sql("duckdb", comments=False))
        running = call[1].lower() if call else ""
    known = isinstance(node, OPERATORS) or name in ALLOWED_FUNCTIONS or running in RUNNING
    if known and (not running or running in ALLOWED_FUNCTIONS):
        return
    written = running or name
    why = next(
        (f": {why}" for why, names in REFUSED_BECAUSE.items() if re.fullmatch(names, written)), ""
    )
    near = [] if why else difflib.get_close_matches(written, ALLOWED_FUNCTIONS, 1, _NEAR)
    hint = f"; did you mean {near[0]}?" if near else ""
    refuse(location, f"function {written!r} is not allowed{why}{hint} (in {shown})")


def _is_named_table(table: exp.Table) -> bool:
    this = table.this
    if isinstance(this, exp.Identifier):
        return True
    name = this.name if isinstance(this, exp.Anonymous) else getattr(this, "sql_name", str)()
    return name.lower() in SERIES


def _belongs_to_aggregate(node: exp.Expr) -> bool:
    """No query: `count(*)`, `sum(a) filter (where b)`, `string_agg(a order by b)`, `a = any(b)`."""
    inner = exp.Star | exp.Distinct | exp.Order | exp.Where
    return isinstance(node, exp.Any | exp.All) or (
        isinstance(node, inner)
        and isinstance(node.parent, exp.AggFunc | exp.Window | exp.Filter | exp.WithinGroup)
    )


def _kind(node: exp.Expr) -> str:
    """What a part is, in words: the name of its class, taken apart."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).lower()
