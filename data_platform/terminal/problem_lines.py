"""Mistakes as lines that editors and terminals turn into links: `file:line:column: message`.

Called by `cli`. Needs nothing but the standard library, since `check` starts with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from data_platform.errors import ConfigurationError, PlatformError, Problem


def problem_line(problem: Problem, home: Path) -> str:
    """A mistake in a line, its file named from the working directory where it is below it."""
    file = problem.location.file
    if file.is_absolute() and file.is_relative_to(home):
        location = replace(problem.location, file=file.relative_to(home))
        problem = replace(problem, location=location)
    return " ".join(str(problem).splitlines())


def closing_line(pipelines: int, problems: Sequence[Problem]) -> str:
    """How many of what there are."""
    errors = sum(not problem.warning for problem in problems)
    parts = [_counted(pipelines, "pipeline"), _counted(errors, "problem")]
    if warnings := len(problems) - errors:
        parts.append(_counted(warnings, "warning"))
    return ", ".join(parts)


def error_lines(error: PlatformError, home: Path) -> Iterator[str]:
    """An error as the command tells it."""
    if isinstance(error, ConfigurationError):
        yield from (problem_line(problem, home) for problem in error.problems)
    else:
        yield f"Error: {error}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s'[: number != 1]}"
