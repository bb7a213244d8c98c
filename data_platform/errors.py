"""The exception tree: what went wrong, for whom, and whether trying again can help.

Every module raises from here. The stages turn `TransientError` into a retry and everything else
into a plain failure; the command prints `ConfigurationError` problem by problem.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, order=True)
class Location:
    """A place in a file that a person wrote. Lines and columns count from 1."""

    file: Path
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a pipeline: where it is, and what to do about it."""

    location: Location
    message: str
    warning: bool = False

    def __str__(self) -> str:
        label = "warning: " if self.warning else ""
        return f"{self.location}: {label}{self.message}"


UNSAID = "what it says is left out, since it may name a person"
"""In place of somebody's words, where rows tell of persons."""


class PlatformError(Exception):
    """Anything that the platform itself reports. Its text is meant for a person.

    Attributes:
        discreet: whether it is known to name no value of a row, whatever it is about.
    """

    discreet: bool = False


class PermanentError(PlatformError):
    """Trying again gives the same result: somebody has to change something."""


class TransientError(PlatformError):
    """The outside world failed in a way that passes: a retry may succeed."""


class ConfigurationError(PermanentError):
    """Mistakes in what a person wrote, all of them at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SourceError(PermanentError):
    """A source answered with something that can't be read as the pipeline says."""


class SourceUnavailable(TransientError):
    """A source could not be reached, or broke off."""


class SecretsUnavailable(TransientError):
    """A store of secrets could not be reached, or is sealed."""


class TimedOut(TransientError):
    """A step worked longer than its `timeout`: what it waited for may answer next time."""


class FunctionError(PermanentError):
    """A person's function raised, or gave something that can't be used."""


class ContractError(PermanentError):
    """The columns or types that came out are not those of the contract."""


class StorageError(PermanentError):
    """The lake or a destination can't hold what was to be written."""


class StorageUnavailable(TransientError):
    """The lake or a destination could not be reached, or others kept writing to it."""
