"""Values that a run may be given, of one asset: where its SQL, rules and functions name them.

Made by `plan.declared` for each asset. In SQL `:name` becomes a variable of DuckDB's, cast to its
type, which the step sets (`storage.workbench`): the statement is the same whatever the values are,
and nothing of a value is ever read as SQL.
"""

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar, cast

from sqlglot import exp

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.spec.parameters import Parameter, ParameterType, ParameterValue

SQL_TYPES: Mapping[ParameterType, str] = {
    "int": "BIGINT",
    "float": "DOUBLE",
    "str": "VARCHAR",
    "bool": "BOOLEAN",
    "date": "DATE",
}
_REFERENCE = re.compile(r":([A-Za-z_]\w*)")
TreeT = TypeVar("TreeT", bound=exp.Expr)


class RunParameters:
    """What an asset declares, and what of it is used so far.

    Args:
        declared: by name.
        declarable: whether there is an asset that could declare others.
    """

    def __init__(self, declared: Mapping[str, Parameter], *, declarable: bool = True) -> None:
        self.declared = declared
        self._declarable = declarable
        self.used: set[str] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(self.declared)

    @property
    def defaults(self) -> dict[str, ParameterValue]:
        """Their values where a run doesn't say."""
        return values_of(self.declared, {})

    def bind(
        self,
        tree: TreeT,
        location_of: Callable[[str], Location],
        also: Collection[str] = (),
    ) -> TreeT:
        """The tree with a typed variable for each parameter.

        Args:
            tree: looked at already.
            location_of: tells where a name stands.
            also: names that have a meaning besides; they stay.

        Raises:
            ConfigurationError: it names what there isn't: all of these.
        """
        problems: list[Problem] = []

        def bound(node: exp.Expr) -> exp.Expr:
            if not isinstance(node, exp.Placeholder | exp.Parameter) or node.name in also:
                return node
            if node.name in self.declared:
                return self._variable(node.name)
            problems.append(Problem(location_of(node.name), self._unknown(node.name, also)))
            return node

        found = cast("TreeT", tree.transform(bound))
        if problems:
            raise ConfigurationError(list(dict.fromkeys(problems)))
        return found

    def bound_value(self, value: object, location: Location) -> str | None:
        """The SQL of a scalar that is `:name`; None where it is another one.

        Raises:
            ConfigurationError: there is no such parameter.
        """
        named = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if named is None:
            return None
        if named[1] not in self.declared:
            raise ConfigurationError([Problem(location, self._unknown(named[1], ()))])
        return self._variable(named[1]).sql("duckdb")

    def type_of(self, value: object) -> ParameterType | None:
        """The type of a scalar that is `:name`."""
        named = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        return self.declared[named[1]].type if named and named[1] in self.declared else None

    def use(self, names: Collection[str]) -> None:
        """Note those of these names that are parameters as used."""
        self.used |= {name for name in names if name in self.declared}

    def use_mentioned(self, text: str) -> None:
        """Note all as used that a text has as `:name`."""
        self.use(_REFERENCE.findall(text))

    def unused(self) -> tuple[str, ...]:
        """Those that nothing names."""
        return tuple(name for name in self.declared if name not in self.used)

    def _variable(self, name: str) -> exp.Expr:
        self.used.add(name)
        call = exp.Anonymous(this="getvariable", expressions=[exp.Literal.string(name)])
        return exp.cast(call, SQL_TYPES[self.declared[name].type], dialect="duckdb")

    def _unknown(self, name: str, also: Collection[str]) -> str:
        known = [*self.declared, *also]
        near = difflib.get_close_matches(name, known, 1)
        if near:
            return f"unknown parameter :{name}; did you mean :{near[0]}?"
        allowed = ", ".join(f":{one}" for one in known)
        listed = f"; allowed: {allowed}" if allowed else ""
        advice = "; declare others under `parameters` of the asset" if self._declarable else ""
        return f"unknown parameter :{name}{listed}{advice}"


NO_PARAMETERS = RunParameters({}, declarable=False)
"""Of what is no asset's."""


def values_of(
    declared: Mapping[str, Parameter], given: Mapping[str, ParameterValue]
) -> dict[str, ParameterValue]:
    """The values of a run: what it was given, else the defaults.

    Args:
        declared: of the asset.
        given: by the run; names that aren't declared are passed over.
    """
    return {name: given.get(name, one.value) for name, one in declared.items()}


def changed_values(
    declared: Mapping[str, Parameter], given: Mapping[str, ParameterValue]
) -> dict[str, ParameterValue]:
    """Those of a run that aren't the defaults."""
    return {
        name: value
        for name, value in values_of(declared, given).items()
        if value != declared[name].value
    }
