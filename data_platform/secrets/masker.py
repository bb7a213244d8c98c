"""What must not be seen: the secrets that this process knows, and what masks them in texts.

Told by `stores`, by whoever reads the environment and by sources that are given tokens; asked by
all that leaves the process: logs, events, printed lines, messages, metrics, lineage. A process that
is forked knows what the other knew. What was told once stays known, since a secret that was changed
still stands in old texts.
"""

import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any, cast

from data_platform.secrets.forms import SHORTEST, alternation, can_be_found, forms, shortest
from data_platform.secrets.shapes import (
    MASK,
    masked_shapes,
    names_secret,
    secrets_in_environment,
    secrets_in_url,
)

_WITH_HOST = frozenset(
    {"form", "forms", "http", "https", "json", "jsons", "mailto", "mailtos", "xml", "xmls"}
)
"""Schemes after which a host is named; others of Apprise have a token there."""
_KEY = re.compile(r"(?=.*\d|.*[a-z].*[A-Z]|.*[A-Z].*[a-z])[^.]{8,}")
"""A part of an address that isn't a word."""
_AUTHORIZED = re.compile(r"(?:Bearer|Basic|Token|token|ApiKey) \S+$")
_FEW = 150
"""Forms up to which it is faster to look for each than to try a pattern at each character."""
_LookedFor = tuple[tuple[str, ...] | None, re.Pattern[str]]
"""Of what a text must hold one, where these are few, and a pattern of all."""


class Masker:
    """Secrets, and texts without them; safe to use from several threads."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._forms: set[str] = set()
        self._looked_for: _LookedFor | None = None
        self._lock = threading.Lock()

    def know(self, *values: str | None) -> None:
        """Mask values from now on, in all forms, unless they are too short to be looked for."""
        new = {value for value in values if value and can_be_found(value)} - self._values
        if not new:
            return
        with self._lock:
            self._values |= new
            self._forms = self._forms.union(*(forms(value) for value in new))
            self._looked_for = None

    def mask(self, text: str) -> str:
        """A text without secrets; the same where there are none."""
        if len(text) < SHORTEST:
            return text
        if self._forms:
            parts, pattern = self._looked_for or self._compiled()
            if parts is None or any(part in text for part in parts):
                text = pattern.sub(MASK, text)
        return masked_shapes(text)

    def _compiled(self) -> _LookedFor:
        with self._lock:
            if self._looked_for is None:
                pattern = re.compile(alternation(sorted(self._forms)))
                parts = shortest(self._forms)
                self._looked_for = (parts if len(parts) <= _FEW else None, pattern)
            return self._looked_for


_masker = Masker()
"""Of this process."""


def mask(text: str) -> str:
    """A text without the secrets that this process knows, nor what looks like one."""
    return _masker.mask(text)


def know(*values: str | None) -> None:
    """Mask values from now on, wherever they stand."""
    _masker.know(*values)


def know_address(url: str | None) -> None:
    """Mask what tells in an address of a channel: who asks, and parts of its path that are keys."""
    if not url:
        return
    know(*secrets_in_url(url), url)
    scheme, _, rest = url.partition("://")
    place, _, path = rest.partition("?")[0].partition("/")
    parts = re.split(r"[/@:]", path if scheme.lower() in _WITH_HOST else f"{place}/{path}")
    know(*(part for part in parts if _KEY.fullmatch(part)))


def know_environment(environ: Mapping[str, str]) -> None:
    """Mask values of variables that are secrets by their names, and passwords in all URLs."""
    know(*secrets_in_environment(environ))


def know_texts(content: object, name: str = "") -> None:
    """Mask the secrets in what was resolved: by the keys they stand under, and within URLs.

    Args:
        content: texts, in dicts and lists.
        name: of the key that it stands under.
    """
    match content:
        case str():
            know(*secrets_in_url(content), content if names_secret(name) else None)
            if _AUTHORIZED.match(content):
                know(content.partition(" ")[2])
        case dict():
            for key, below in cast("dict[str, Any]", content).items():
                know_texts(below, _below(name, str(key)))
        case list() | tuple():
            for below in cast("Iterable[Any]", content):
                know_texts(below, name)
        case _:
            pass


def _below(name: str, key: str) -> str:
    """The name of a key: what is called `value` below `auth` is what is shown of who asks."""
    return "token" if name == "auth" and key == "value" else key
