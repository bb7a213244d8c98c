"""The references in a text: to a variable, a file, a secret of AWS or of Vault.

Owns how they are written. Called by `spec.variables`, which puts values in their place, and by
whoever needs to know what a text refers to. Nothing is looked up here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_platform.errors import PermanentError
from data_platform.spec.wording import show

Kind = Literal["variable", "file", "aws-secret", "vault"]

PATTERN = re.compile(r"\$(?P<literal>\$)?\{(?P<body>[^{}]*)(?P<end>\})?")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-.*)?", re.DOTALL)
_AWS_SECRET = re.compile(r"(?P<name>[A-Za-z0-9/_+=.@:-]+)(#(?P<key>[^#]+))?")
_VAULT = re.compile(r"(?P<name>[^\s#/]+(/[^\s#/]+)+)#(?P<key>[^#]+)")
_FORMS = (
    "${NAME}, ${NAME:-default}, ${file:/a/path}, ${aws-secret:name#key} or "
    "${vault:mount/path#key}, and $${ for a literal ${"
)


class VariableError(PermanentError):
    """A text refers to a variable, file or secret that isn't there, or not as it should."""


@dataclass(frozen=True)
class Reference:
    """What a text refers to.

    Attributes:
        kind: of what.
        name: of the variable or of AWS's secret, or a file's path, or Vault's `mount/path`.
        key: within a secret of several values; None means all of it.
        default: of a variable.
    """

    kind: Kind
    name: str
    key: str | None = None
    default: str | None = None

    def __str__(self) -> str:
        if self.kind == "variable":
            return f"${{{self.name}}}"
        return f"${{{self.kind}:{self.name}{f'#{self.key}' if self.key is not None else ''}}}"

    @property
    def is_outside(self) -> bool:
        """Whether its value is anywhere but in the environment, and so only a run's to know."""
        return self.kind != "variable"


def references(text: str) -> list[str]:
    """The references in a text, each as written: what stands for them may be secret."""
    return [match[0] for match in PATTERN.finditer(text) if not match["literal"]]


def referred(text: str) -> Iterator[Reference]:
    """What a text refers to.

    Raises:
        VariableError: a reference isn't written as it should be.
    """
    for match in PATTERN.finditer(text):
        if not match["literal"]:
            yield parsed(match)


def parsed(match: re.Match[str]) -> Reference:
    """A reference, by its match of `PATTERN`.

    Raises:
        VariableError: it isn't written as it should be.
    """
    kind, colon, rest = match["body"].partition(":")
    if match["end"] and colon:
        match kind:
            case "file":
                return Reference("file", _path(rest))
            case "aws-secret":
                return _secret("aws-secret", _AWS_SECRET, rest, "name#key")
            case "vault":
                return _secret("vault", _VAULT, rest, "mount/path#key")
            case _:
                pass
    found = _VARIABLE.fullmatch(match["body"]) if match["end"] else None
    if found is None:
        raise VariableError(f"{show(match[0])} is no variable: {_FORMS}")
    default = found["default"]
    return Reference("variable", found["name"], default=default[2:] if default else None)


def _path(path: str) -> str:
    if not Path(path).is_absolute() or "\0" in path:
        raise VariableError(
            f"{show(f'${{file:{path}}}')} names no file: the path must be absolute, such as "
            "${file:/run/secrets/token}"
        )
    return path


def _secret(
    kind: Literal["aws-secret", "vault"], form: re.Pattern[str], body: str, example: str
) -> Reference:
    found = form.fullmatch(body)
    if found is None:
        raise VariableError(
            f"{show(f'${{{kind}:{body}}}')} names no secret: it is ${{{kind}:{example}}}"
        )
    return Reference(kind, found["name"], found["key"])
