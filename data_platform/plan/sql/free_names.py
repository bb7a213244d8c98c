"""Names that a step gives: each is new, and none the platform's own.

Used by `plan.staging.steps` and `plan.staging.joins`.
"""

from collections.abc import Callable, Iterable

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.naming import RESERVED_COLUMNS


def require_free(new: Iterable[str], taken: Iterable[str], at: Callable[[str], Location]) -> None:
    """See to it that each name is new, and no other column's.

    Args:
        new: names that columns get.
        taken: names of columns that stay.
        at: the location of a new name.

    Raises:
        ConfigurationError: some are taken, or the platform's own.
    """
    seen = {name.lower() for name in taken}
    problems: list[Problem] = []
    for name in new:
        if name.lower() in RESERVED_COLUMNS:
            message = f"{name!r} is a name that the platform needs: choose another"
            problems.append(Problem(at(name), message))
        elif name.lower() in seen:
            message = f"there is a column {name!r} already: choose another name"
            problems.append(Problem(at(name), message))
        seen.add(name.lower())
    if problems:
        raise ConfigurationError(problems)
