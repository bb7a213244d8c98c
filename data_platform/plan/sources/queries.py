"""SQL that a person writes for a source's own database: held to one SELECT, its parameters found.

Called by `plan.sources.nodes`, and by `sources.database`, which puts values where parameters stand.
Where a parameter stands is told by the tokens of the database's dialect: what is within a string
or a comment is none.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokens import Token, TokenType  # pyright: ignore[reportPrivateImportUsage]

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.partitions import PARAMETERS, Partitions
from data_platform.plan.sql.expressions import VALUE_ENDS
from data_platform.spec.platform import DatabaseConnection

if TYPE_CHECKING:
    from data_platform.plan.declared import Declared

_DIALECTS = {
    "postgresql": "postgres",
    "postgres": "postgres",
    "embedded": "postgres",
    "sqlite": "sqlite",
    "duckdb": "duckdb",
    "mysql": "mysql",
    "mariadb": "mysql",
    "mssql": "tsql",
    "oracle": "oracle",
}
_SCHEME = re.compile(r"\b([a-z]+)(?:\+\w+)?://")
_KEY = "partition_key"
_WATERMARK = "watermark"
_BEGINNINGS = frozenset(
    {
        TokenType.SELECT,
        TokenType.WITH,
        TokenType.L_PAREN,
        TokenType.VALUES,
        TokenType.FROM,
        TokenType.TABLE,
    }
)
_WRITES = (
    exp.DDL,
    exp.DML,  # pyright: ignore[reportPrivateImportUsage]
    exp.Command,
    exp.Into,
    exp.Lock,
)


@dataclass(frozen=True)
class Placeholder:
    """A bind parameter in a query.

    Attributes:
        name: without the colon.
        start, end: where it stands; `query[start:end]` is `:name`.
    """

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Text:
    """A query as it stands in a file.

    Attributes:
        query: as YAML gives it.
        key: of the key that has it.
    """

    query: str
    key: Location

    def place(self, offset: int) -> Location:
        """Where a character of the query stands in the file."""
        before = self.query[:offset]
        line, column = before.count("\n"), offset - (before.rfind("\n") + 1) + 1
        file, first = self.key.file, self.key.line
        lines = file.read_text(encoding="utf-8").splitlines()[first - 1 :]
        name, _, value = lines[0][self.key.column - 1 :].partition(":")
        if value.strip()[:1] in {"|", ">", ""}:
            text = next((text for text in lines[1:] if text.strip()), "")
            return Location(file, first + 1 + line, column + len(text) - len(text.lstrip()))
        start = self.key.column + len(name) + 1 + len(value) - len(value.lstrip())
        start += value.strip()[0] in "'\""
        return Location(file, first + line, column if line else column + start - 1)


def source_parameters(
    query: str, asset: "Declared[Any]", partitions: Partitions | None
) -> tuple[str, ...]:
    """The bind parameters that a query names, each once.

    Raises:
        ConfigurationError: it isn't one SELECT, or names a parameter that it can't have.
    """
    text = Text(query, asset.at("query"))
    dialect = connection_dialect(asset)
    _require_one_select(text, dialect)
    found = placeholders(query, dialect)
    allowed = _allowed(asset, partitions)
    problems = [
        Problem(text.place(one.start), _unknown(one.name, allowed, partitions))
        for one in found
        if one.name not in allowed
    ]
    if problems:
        raise ConfigurationError(problems)
    names = tuple(dict.fromkeys(one.name for one in found))
    incremental = asset.spec.incremental
    if _WATERMARK in names and incremental is not None and incremental.start is None:
        message = (
            "the query names :watermark, which has no value on a first run: say where that begins "
            "with `start`, or leave the condition out: rows before the watermark aren't asked for"
        )
        raise ConfigurationError([Problem(asset.at("incremental"), message)])
    return names


def placeholders(query: str, dialect: str) -> Sequence[Placeholder]:
    """Where parameters stand in a query; none within strings, comments and quoted names.

    Args:
        query: in the database's own SQL.
        dialect: as `dialect_of` tells it.
    """
    return list(_placeholders(_tokens(query, dialect)))


def _placeholders(tokens: Sequence[Token]) -> Iterator[Placeholder]:
    for before, colon, name in zip([None, *tokens], tokens, tokens[1:], strict=False):
        if (
            colon.token_type == TokenType.COLON
            and name.start == colon.end + 1
            and name.token_type not in {TokenType.STRING, TokenType.IDENTIFIER, TokenType.NUMBER}
            and name.text.isidentifier()
            and not (before and before.token_type in VALUE_ENDS)
        ):
            yield Placeholder(name.text, colon.start, name.end + 1)


def filled(query: str, dialect: str, write: Callable[[str], str]) -> str:
    """A query with something else where its parameters stand.

    Args:
        query: in the database's own SQL.
        dialect: as `dialect_of` tells it.
        write: what stands for a parameter, by its name.
    """
    parts: list[str] = []
    end = 0
    for one in placeholders(query, dialect):
        parts += [query[end : one.start], write(one.name)]
        end = one.end
    return "".join([*parts, query[end:]])


def bare(query: str, dialect: str) -> str:
    """A query without the semicolon at its end."""
    tokens = _tokens(query, dialect)
    if tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        return query[: tokens[-1].start] + query[tokens[-1].end + 1 :]
    return query


def dialect_of(url: str) -> str:
    """SQLGlot's name of a database's dialect, by its URL; PostgreSQL's where it doesn't tell."""
    found = _SCHEME.search(url)
    return _DIALECTS.get(found[1] if found else "", "postgres" if not found else "")


def connection_dialect(asset: "Declared[Any]") -> str:
    """The dialect of the connection that an asset names, as far as its URL is written out."""
    connections = asset.platform.connections if asset.platform else {}
    connection = connections.get(asset.spec.connection)
    return dialect_of(connection.url) if isinstance(connection, DatabaseConnection) else "postgres"


def _tokens(query: str, dialect: str) -> list[Token]:
    return sqlglot.tokenize(query, dialect=dialect or None)


def _require_one_select(text: Text, dialect: str) -> None:
    location = text.place(0)
    try:
        first = next(iter(_tokens(text.query, dialect)), None)
        if first is not None and first.token_type not in _BEGINNINGS:
            raise ConfigurationError([Problem(location, _no_select(first.text.upper()))])
        read = sqlglot.parse(text.query, dialect=dialect or None)
    except SqlglotError as error:
        raise ConfigurationError([_unread(error, text)]) from None
    trees = [tree for tree in read if tree is not None]
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        kinds = ", ".join(_kind(tree) for tree in trees) or "nothing"
        raise ConfigurationError([Problem(location, _no_select(kinds))])
    for node in trees[0].walk():
        if isinstance(node, _WRITES) and not isinstance(node, exp.Query):
            message = f"a source's query only reads; {_kind(node)} isn't allowed in it"
            raise ConfigurationError([Problem(location, message)])


def _no_select(found: str) -> str:
    return f"a source's query is exactly one SELECT; found {found}"


def _kind(tree: exp.Expr) -> str:
    names = {"Into": "SELECT INTO", "Lock": "FOR UPDATE"}
    kind = type(tree).__name__
    return names.get(kind, kind).upper()


def _unread(error: SqlglotError, text: Text) -> Problem:
    first = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
    line, column = first.get("line") or 1, first.get("col") or 1
    near = str(first.get("highlight") or "").strip()
    lines = text.query.splitlines()
    offset = sum(len(before) + 1 for before in lines[: line - 1]) + (
        column - len(near) if near else 0
    )
    about = str(first.get("description") or "a string or a comment has no end")
    where = f" near {near!r}" if near else ""
    return Problem(
        text.place(offset),
        f"the query can't be read{where}: {about}; what only the database understands belongs "
        "into a view there",
    )


def _allowed(asset: "Declared[Any]", partitions: Partitions | None) -> list[str]:
    spec = asset.spec
    return [
        *(one for one in _binds(partitions) if spec.cursor is None or one != _KEY),
        *([_WATERMARK] if spec.incremental is not None else ()),
        *spec.parameters,
    ]


def _binds(partitions: Partitions | None) -> Sequence[str]:
    return list(partitions.binds) if partitions else []


def _unknown(name: str, allowed: Sequence[str], partitions: Partitions | None) -> str:
    if name in PARAMETERS and name not in _binds(partitions):
        kind = "" if partitions is None else " of time"
        return f"there is no :{name} here: this source has no partitions{kind}"
    if name == _KEY:
        return (
            f"there is no :{name} here: with a `cursor` the query is asked for a range of "
            "partitions at once, from :partition_start to :partition_end"
        )
    if name == _WATERMARK:
        return "there is no :watermark here: this source isn't `incremental`"
    near = difflib.get_close_matches(name, allowed, 1)
    known = ", ".join(f":{one}" for one in allowed) or "none"
    hint = f"did you mean :{near[0]}?" if near else f"there are: {known}"
    return f"unknown parameter :{name}; {hint}"
