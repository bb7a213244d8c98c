"""How a secret may stand in a text: as it is, and as others quote and encode it.

Called by `masker`. An encoding that isn't here, such as a hash or a cut text, isn't found.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from os.path import commonprefix
from urllib.parse import quote, quote_plus

SHORTEST = 6
"""Characters: shorter values stand in too many innocent texts to be looked for."""
_SHORTEST_LINE = 8
"""Of a value of several lines, such as a key in PEM."""
_SHORTEST_BASE64 = 8
"""Below it, what stands for a value in base64 says too little."""
_WORDS = frozenset(
    {"dagster", "data_platform", "default", "localhost", "password", "postgres", "postgresql"}
    | {"public", "secret", "username"}
)
"""Passwords of trials that are words of messages too: only their place in a URL tells them."""
_NO_SECRET = re.compile(
    r"[\d.,:/ T+-]{1,9}|\d{4}-\d\d(-\d\d)?|true|false|none|null|enabled|disabled"
)
"""Short numbers, times and switches: they count rows and name partitions as well."""


def can_be_found(value: str) -> bool:
    """Whether a value is looked for in texts."""
    plain = value.strip()
    return (
        len(plain) >= SHORTEST
        and plain.lower() not in _WORDS
        and not _NO_SECRET.fullmatch(plain.lower())
    )


def forms(value: str) -> set[str]:
    """The texts by which a value is recognized."""
    found: set[str] = set()
    for part in _parts(value):
        found |= {*_quoted(part)}
        if len(part) >= _SHORTEST_BASE64:
            found |= {*_in_base64(part.encode(errors="surrogatepass"))}
    return {form for form in found if len(form) >= SHORTEST}


def _parts(value: str) -> Iterator[str]:
    """A value, without what is around it, and its lines: logs are written line by line."""
    yield value
    yield value.strip()
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        yield from (
            line
            for line in lines
            if len(line) >= _SHORTEST_LINE and not line.startswith("-----") and can_be_found(line)
        )


def _quoted(value: str) -> Iterator[str]:
    yield value
    for quoted in (quote(value, safe="", errors="replace"), quote(value, errors="replace")):
        yield quoted
        yield re.sub(r"%[0-9A-F]{2}", lambda code: code[0].lower(), quoted)
    yield quote_plus(value, errors="replace")
    for ascii_only in (True, False):
        once = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]
    yield repr(value)[1:-1]
    yield html.escape(value)
    yield value.replace("'", "''")
    yield value.replace("'", "'\"'\"'")


def _in_base64(value: bytes) -> Iterator[str]:
    """What is the same wherever a value begins in what was encoded, such as `user:value`."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + value).decode()
        # Characters that also hold bits of what is around it are left out.
        first = -(-before * 4 // 3)
        whole = (before + len(value)) * 8 // 6
        for text in (encoded, encoded.translate(str.maketrans("+/", "-_"))):
            yield text[first:whole]


def shortest(forms: Iterable[str]) -> tuple[str, ...]:
    """Those of which no other is a part: a text without these is without all of them."""
    found: list[str] = []
    for form in sorted(forms, key=len):
        if not any(other in form for other in found):
            found.append(form)
    return tuple(found)


def alternation(words: Sequence[str]) -> str:
    """A pattern of any of the words, the longest first, in which no beginning is tried twice.

    Args:
        words: sorted, none twice.
    """
    if len(words) == 1:
        return re.escape(words[0])
    branches: list[str] = []
    for _, found in groupby((word for word in words if word), key=lambda word: word[0]):
        beginning = [*found]
        shared = commonprefix(beginning)  # noqa: RUF071 -- no paths
        rest = alternation([word[len(shared) :] for word in beginning])
        branches.append(re.escape(shared) + rest)
    return f"(?:{'|'.join(branches)}){'' if words[0] else '?'}"
