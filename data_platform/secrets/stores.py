"""Values of secrets that a store keeps, asked for when something connects, kept for some minutes.

Called by whatever connects: `resources`, `loading`, `doctor`. A secret is in the memory of the
process that uses it and nowhere else; messages name its reference, never its value, and `masker` is
told each value that is looked up.

A run takes secrets when it first needs them and keeps them for `KEPT` seconds. One that was changed
meanwhile is refused by what it is for: `reporting.tries` then asks `changed`, and tries again with
the new one.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from pydantic import BaseModel

from data_platform.errors import PlatformError
from data_platform.secrets import aws, vault
from data_platform.secrets.masker import know, know_address, know_environment, know_texts
from data_platform.spec import variables
from data_platform.spec.references import Reference, VariableError

KEPT = 300.0
"""Seconds: so that a year of partitions asks once, and a step tomorrow anew."""

ModelT = TypeVar("ModelT", bound=BaseModel)
_Place = tuple[str, ...]


@dataclass(frozen=True)
class _Kept:
    """A secret as it was when it was asked for."""

    taken: float
    content: str = field(repr=False)
    reference: Reference
    environ: Mapping[str, str] = field(repr=False)


@dataclass
class Store:
    """Secrets that this process has asked for.

    Attributes:
        clock: rises, in seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _kept: dict[_Place, _Kept] = field(default_factory=dict[_Place, "_Kept"], repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def value(self, reference: Reference, environ: Mapping[str, str]) -> str:
        """The value of a secret, asked for at most every `KEPT` seconds.

        Raises:
            VariableError: there is none, or nobody may read it.
            SecretsUnavailable: its store can't be reached.
        """
        place = _place(reference, environ)
        with self._lock:
            kept = self._kept.get(place)
        if kept is None or self.clock() - kept.taken >= KEPT:
            kept = self._asked(place, reference, environ)
        return _part(reference, kept.content)

    def changed(self) -> list[str]:
        """Ask anew for all that is kept; gives the names of the secrets that are others now.

        A store that doesn't answer changes nothing.
        """
        with self._lock:
            all_kept = dict(self._kept)
        found: list[str] = []
        for place, before in all_kept.items():
            try:
                now = self._asked(place, before.reference, before.environ)
            except PlatformError:
                continue
            if now.content != before.content:
                found.append(f"{before.reference}")
        return found

    def _asked(self, place: _Place, reference: Reference, environ: Mapping[str, str]) -> _Kept:
        """All of a secret as its store has it: a text, or JSON of several."""
        if reference.kind == "aws-secret":
            content = aws.secret(reference, environ)
        else:
            content = json.dumps(vault.secret(reference, environ))
        kept = _Kept(self.clock(), content, reference, environ)
        with self._lock:
            self._kept[place] = kept
        return kept


_store = Store()


def expand(text: str, environ: Mapping[str, str]) -> str:
    """The text with the values of all that it refers to, secrets of stores too.

    Raises:
        VariableError: with what is missing. Its text holds no value.
        SecretsUnavailable: a store can't be reached.
    """
    expanded = variables.expand(text, environ, partial(_store.value, environ=environ), _known)
    know_texts(expanded)
    return expanded


def expand_address(text: str, environ: Mapping[str, str]) -> str:
    """As `expand`, an address that is a secret as a whole, such as that of a channel.

    Raises:
        as `expand` does.
    """
    expanded = expand(text, environ)
    know_address(expanded)
    return expanded


def expand_secret(text: str, environ: Mapping[str, str]) -> str:
    """As `expand`, what is a secret whatever it refers to, such as a key.

    Raises:
        as `expand` does.
    """
    expanded = expand(text, environ)
    know(expanded)
    return expanded


def expand_model(model: ModelT, environ: Mapping[str, str]) -> ModelT:
    """A model with the values in all its texts, also of those below it.

    Raises:
        as `expand` does.
    """
    ask = partial(_store.value, environ=environ)
    expanded = variables.expand_model(model, environ, ask, _known)
    know_texts(expanded.model_dump(by_alias=True))
    return expanded


def changed() -> list[str]:
    """Secrets that this process used and that are others now; from here on it uses the new ones."""
    return _store.changed()


def _known(reference: Reference, value: str) -> None:
    """Mask what was referred to where that is a secret: files and stores, and by its name."""
    if not reference.is_outside:
        know_environment({reference.name: value})
        return
    if "://" in value:
        know_address(value)
    else:
        know(value)
    with contextlib.suppress(ValueError):
        know_texts(json.loads(value))


def _place(reference: Reference, environ: Mapping[str, str]) -> _Place:
    """Where a secret is kept: its name alone may be in several stores."""
    names = aws.WHERE if reference.kind == "aws-secret" else vault.WHERE
    return (reference.kind, reference.name, *(environ.get(name, "") for name in names))


def _part(reference: Reference, content: str) -> str:
    if reference.key is None:
        return content
    try:
        values = json.loads(content)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise VariableError(
            f"{reference}: the secret is no JSON object, so it has no key {reference.key!r}: leave "
            f"#{reference.key} out for all of it"
        )
    if reference.key not in values:
        known = ", ".join(sorted(map(str, values))) or "none"
        raise VariableError(
            f"{reference}: the secret has no key {reference.key!r}; its keys are {known}"
        )
    value = values[reference.key]
    if isinstance(value, dict | list) or value is None:
        raise VariableError(f"{reference}: the value is no text")
    return value if isinstance(value, str) else json.dumps(value)
