"""SQL of people before it is parsed: its length, its characters, and how deep it nests.

Called by `plan.sql.expressions`. What is refused here would cost the parser its stack, or a reader
their trust: a character that can't be seen, or that turns the text around, means no good in SQL.
"""

import re
import unicodedata
from collections.abc import Iterator

import sqlglot
from sqlglot.errors import TokenError
from sqlglot.tokens import TokenType  # pyright: ignore[reportPrivateImportUsage]

from data_platform.errors import ConfigurationError, Location, Problem

MAX_LENGTH = 100_000
"""Characters of one expression or query."""
MAX_NESTING = 24
"""Brackets, CASEs and signs within one another. The parser needs some 25 frames of Python's stack
for each, and a step may call it with 300 on the stack: what passes on the command line must pass
there too."""
MAX_CHAIN = 200
"""Calls in a row, `s.upper().trim()`: SQLGlot copies what is before each."""
MAX_DIGITS = 100
"""Of a number."""
_QUOTED = re.compile(
    r"""'(?:[^']|'')*(?:'|\Z)|"(?:[^"]|"")*(?:"|\Z)|--[^\n]*|/\*(?:.*?\*/|.*)""", re.DOTALL
)
"""Texts, quoted names and comments, which may hold letters of any kind."""
_CHAINED = re.compile(r"[)\]]\s*\.")
_LONG_NUMBER = re.compile(rf"[0-9][0-9_.]{{{MAX_DIGITS},}}")
_NESTING = re.compile(r"[(\[{~+-]|\bcase\b|\bnot\b", re.IGNORECASE)
_TURNING = re.compile("[\u0000\u202a-\u202e\u2066-\u2069]")
"""NUL, and what makes a line read otherwise than it runs."""
_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END}
_SIGNS = {TokenType.NOT, TokenType.DASH, TokenType.PLUS, TokenType.TILDE}


def require_readable(text: str, location: Location, what: str) -> None:
    """Refuse a text that the parser shouldn't see.

    Args:
        text: as written.
        location: where it begins.
        what: it is, in words.

    Raises:
        ConfigurationError: it is too long, nests too deep, or has a character that nobody sees.
    """
    if len(text) > MAX_LENGTH:
        message = f"{what} of {len(text):,} characters; at most {MAX_LENGTH:,} are allowed"
        raise ConfigurationError([Problem(location, message)])
    for offset in _strange(text):
        message = (
            f"{_named(text[offset])} is not allowed outside of quotes"
            if not _TURNING.match(text[offset])
            else f"{_named(text[offset])} is not allowed: write it as chr({ord(text[offset])})"
        )
        raise ConfigurationError([Problem(place_in(text, offset, location, what), message)])
    outside = _unquoted(text)
    if len(_CHAINED.findall(outside)) > MAX_CHAIN:
        message = f"more than {MAX_CHAIN} calls in a row: make a step or a WITH of a part of it"
        raise ConfigurationError([Problem(location, message)])
    if number := _LONG_NUMBER.search(outside):
        message = f"a number of more than {MAX_DIGITS} digits"
        raise ConfigurationError([Problem(place_in(text, number.start(), location, what), message)])
    for offset in _too_deep(text):
        message = f"nested deeper than {MAX_NESTING} levels: make a step or a WITH of a part of it"
        raise ConfigurationError([Problem(place_in(text, offset, location, what), message)])


def place_in(text: str, offset: int, location: Location, what: str = "query") -> Location:
    """The place of a character of a query; an expression is told by where its value begins.

    Quotes and folds of YAML stand between an expression's characters and those of the file.
    """
    if what != "query":
        return location
    before = text[:offset]
    line = before.count("\n")
    column = len(before) - before.rfind("\n")
    shift = location.column - 1 if line == 0 else 0
    return Location(location.file, location.line + line, column + shift)


def _strange(text: str) -> Iterator[int]:
    """Where characters stand that nobody sees, or takes for others."""
    if text.isascii() and "\0" not in text and text.isprintable():
        return
    yield from (match.start() for match in _TURNING.finditer(text))
    for offset, letter in enumerate(_unquoted(text)):
        if letter in " \t\n\r" or "!" <= letter <= "~":
            continue
        hidden = unicodedata.category(letter)[0] in "CZ"
        if hidden or unicodedata.normalize("NFKC", letter) != letter:
            yield offset


def _unquoted(text: str) -> str:
    """The text with blanks for what stands in quotes and comments."""
    return _QUOTED.sub(lambda match: " " * len(match[0]), text)


def _named(letter: str) -> str:
    return f"U+{ord(letter):04X} {unicodedata.name(letter, 'control character')}"


def _too_deep(text: str) -> Iterator[int]:
    if len(_NESTING.findall(text)) <= MAX_NESTING:
        return
    try:
        tokens = sqlglot.tokenize(text, dialect="duckdb")
    except TokenError:
        return  # reading it tells what is wrong
    depth = signs = 0
    for token in tokens:
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        signs = signs + 1 if token.token_type in _SIGNS else 0
        if max(depth, signs) > MAX_NESTING:
            yield token.start
