"""Numbers by which checks judge, some of which a run may give: the bounds of ranges, tolerances.

Called by `plan.checks.row_checks`, `plan.checks.set_checks` and `plan.staging.nodes`. A check holds
the default and, in `tuned`, which of its numbers is which parameter; `quality` puts the values of
the run in their place.
"""

from collections.abc import Callable

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.parameters import RunParameters
from data_platform.plan.schemas import Schema
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.spec.thresholds import out_of_range


class Bounds:
    """The ends of a range, as SQL.

    Args:
        low: a scalar, `:name` or None.
        high: the same.
        parameters: of the asset.
        location: of the rule.
    """

    def __init__(
        self, low: object, high: object, parameters: RunParameters, location: Location
    ) -> None:
        written = (low, high)
        self.low, self.high = (
            None if end is None else parameters.bound_value(end, location) or literal(end)
            for end in written
        )
        self.number = next(
            (
                end
                for end in written
                if isinstance(end, int | float) or parameters.type_of(end) in {"int", "float"}
            ),
            None,
        )

    def require_comparable(self, column: str, schema: Schema, location: Location) -> None:
        """A number is no bound of text: `'9' > '10'`."""
        if self.number is not None and column in schema and schema[column].type == "VARCHAR":
            message = f"{column} is text, {self.number} a number: convert it by convert_types first"
            raise ConfigurationError([Problem(location, message)])

    def offended_by(self, column: str, schema: Schema) -> str:
        """NULL is inside, NaN outside of every range; DuckDB holds NaN for the greatest number."""
        name = quoted(column)
        parts = [f"{name} < {self.low}"] if self.low is not None else []
        parts += [f"{name} > {self.high}"] if self.high is not None else []
        kind = schema[column].type if column in schema else None
        if self.high is None and kind in {None, "FLOAT", "DOUBLE"}:
            parts.append(
                f"CASE WHEN TYPEOF({name}) IN ('FLOAT', 'DOUBLE') "
                f"THEN ISNAN(TRY_CAST({name} AS DOUBLE)) END"
            )
        return f"COALESCE({' OR '.join(parts)}, FALSE)"


class Tuning:
    """The numbers of one check.

    Args:
        parameters: of the asset.
        location: of the check.
    """

    def __init__(self, parameters: RunParameters, location: Location) -> None:
        self._parameters = parameters
        self._location = location
        self.tuned: dict[str, str] = {}
        """The parameter of each number that is one."""

    def share(self, field: str, written: float | str) -> float:
        """A percentage."""
        return self._number(field, written, float, 100)

    def fraction(self, field: str, written: float | str) -> float:
        """A share, from 0 to 1."""
        return self._number(field, written, float, 1)

    def distance(self, field: str, written: float | str) -> float:
        """A difference."""
        return self._number(field, written, float, None)

    def count(self, field: str, written: int | str | None) -> int | None:
        """A number of rows; None where there is no bound."""
        return None if written is None else int(self._number(field, written, int, None))

    def _number(
        self, field: str, written: float | str, kind: Callable[[float], float], high: float | None
    ) -> float:
        if not isinstance(written, str):
            return kind(written)
        name = written.removeprefix(":")
        self._parameters.bound_value(written, self._location)
        one = self._parameters.declared[name]
        wanted = {"int"} if kind is int else {"int", "float"}
        if one.type not in wanted or not isinstance(one.value, int | float):
            self._refuse(
                f"{written} is of type {one.type}; {' or '.join(sorted(wanted))} is needed"
            )
        default = kind(float(one.default) if kind is float else int(one.default))
        if wrong := out_of_range(default, 0, high):
            self._refuse(f"the default of {written} is {one.default}: {wrong}")
        self.tuned[field] = name
        return default

    def _refuse(self, message: str) -> None:
        raise ConfigurationError([Problem(self._location, message)])
