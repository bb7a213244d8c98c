"""One staging asset: from its YAML to a node with steps, contract and checks.

Called by `plan.building`. Columns and types are followed step by step as far as the source's are
known; what isn't known before a run is checked in the run.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.checks.compiling import compile_rules, named_apart
from data_platform.plan.checks.contract_checks import compile_contract
from data_platform.plan.checks.kinds import Check, ConservationCheck
from data_platform.plan.checks.rule_context import Reads
from data_platform.plan.checks.unbound import unbound
from data_platform.plan.conversions import assignable, conversion_to, named_type
from data_platform.plan.functions import Role, UserFunction
from data_platform.plan.keys import Key
from data_platform.plan.naming import HIDDEN_TYPES
from data_platform.plan.nodes import Step
from data_platform.plan.parameters import RunParameters
from data_platform.plan.partitions import Partitions
from data_platform.plan.schemas import Column, Schema
from data_platform.plan.staging.following import Follower
from data_platform.plan.staging.other_side import OtherSide
from data_platform.plan.staging.steps import StepBuilder
from data_platform.spec.pipeline import StagingAsset
from data_platform.spec.transformations import (
    AddColumns,
    Aggregate,
    ConvertType,
    ConvertTypes,
    FillNulls,
    Mask,
    Python,
    RenameColumns,
    Round,
    Union,
)


class StagingCompiler:
    """Compiles the steps, the contract and the checks of one staging asset.

    Args:
        spec: what was written.
        source: the key of `from`, its columns and its partitions, which are those of the asset.
        at: the location of the asset's keys.
        other_side: finds what a join or union reads.
        reads: makes the input that a rule reads.
        others: the columns of every relation that steps and rules read besides the source.
        function: finds the function of a name, for a step or for a rule.
        parameters: that a run may give it.
    """

    def __init__(
        self,
        spec: StagingAsset,
        source: tuple[Key, Schema, Partitions | None],
        at: Callable[..., Location],
        other_side: Callable[[str, Location], OtherSide],
        reads: Reads,
        others: Callable[[], Mapping[str, Schema]],
        function: Callable[[Role, str, Location], UserFunction],
        parameters: RunParameters,
    ) -> None:
        self._spec = spec
        self._parameters = parameters
        self._function = function
        self._source, self._source_schema, self._partitions = source
        self._at = at
        self._reads = reads
        self._others = others
        self._builder = StepBuilder(
            self._source,
            at("from"),
            spec.on_violation,
            other_side,
            functools.partial(function, "transformation"),
            parameters,
        )

    def compile(self) -> tuple[tuple[Step, ...], Schema, Schema | None, tuple[Check, ...]]:
        """The steps, the columns that leave, the contract if there is one, and the checks.

        Raises:
            ConfigurationError: all that is wrong with the asset.
        """
        follower = Follower(
            self._builder,
            (self._source, self._source_schema),
            self._others,
            self._at,
            self._parameters,
        )
        schema = follower.follow(self._spec.transformations)
        contract = self._contract(schema)
        if contract is not None:
            self._convert_to_contract(schema)
        out = self._leaving(schema, contract)
        checks = self._checks(out)
        return tuple(self._builder.steps), out, contract, checks

    @property
    def masked(self) -> frozenset[str]:
        """The columns that hold nothing but masked values, names in lower case."""
        return frozenset(self._builder.masked)

    @property
    def momentary(self) -> tuple[str, ...]:
        """The columns that read the clock."""
        return tuple(sorted(self._builder.momentary))

    def _contract(self, schema: Schema) -> Schema | None:
        if not self._spec.columns:
            return None
        problems: list[Problem] = []
        columns: list[Column] = []
        for name, promise in self._spec.columns.items():
            location = self._at("columns", name)
            kind = (
                named_type(promise.type, self._at("columns", name, "type"))
                if promise.type
                else None
            )
            known = schema[name].type if name in schema else None
            if schema.closed and name not in schema:
                problems.append(
                    Problem(
                        location,
                        f"no column {name!r} arrives here; there are {', '.join(schema.names)}",
                    )
                )
            if kind and known and not assignable(known, kind):
                message = (
                    f"{name} is {known}, the contract says {kind}: convert it by convert_types"
                )
                problems.append(Problem(self._at("columns", name, "type"), message))
            columns.append(
                Column(
                    name,
                    kind or known,
                    promise.description,
                    promise.nullable,
                    promise.unique,
                    promise.pii,
                )
            )
        extra = [name for name in schema.names if name not in self._spec.columns]
        if extra and schema.closed and self._spec.extra_columns == "fail":
            message = (
                f"columns that the contract doesn't name: {', '.join(extra)}; "
                "name them, drop them, or set extra_columns"
            )
            problems.append(Problem(self._at("columns"), message))
        if problems:
            raise ConfigurationError(problems)
        return Schema(tuple(columns), closed=self._spec.extra_columns != "keep")

    def _convert_to_contract(self, schema: Schema) -> None:
        """Bring columns to the contract's types, exactly; those known to have it stay as is."""
        done = self._converted_last()
        targets: dict[str, ConvertType] = {}
        for name, promise in self._spec.columns.items():
            if promise.type is None:
                continue
            wanted = conversion_to(promise.type, self._at("columns", name, "type"))
            known = schema[name].type if name in schema else None
            arrives = known if wanted.named == wanted.target else None
            if wanted.target != (arrives or done.get(name)):
                targets[name] = ConvertType(type=promise.type)
        if targets:
            self._builder.convert(
                targets, "contract", lambda column: self._at("columns", column, "type")
            )

    def _converted_last(self) -> dict[str, str]:
        """The types of columns that `convert_types` leaves, by their present names."""
        done: dict[str, str] = {}
        for step in self._spec.transformations:
            match step:
                case ConvertTypes():
                    done |= {
                        name: named_type(how.type, self._at("transformations"))
                        for name, how in step.columns.items()
                        if named_type(how.type, self._at("transformations")) != "VARCHAR"
                    }
                case RenameColumns():
                    done = {step.columns.get(name, name): kind for name, kind in done.items()}
                case AddColumns() | Aggregate() | FillNulls() | Round() | Mask():
                    done = {name: kind for name, kind in done.items() if name not in step.columns}
                case Union() | Python():
                    done = {}
                case _:
                    pass
        return done

    def _leaving(self, schema: Schema, contract: Schema | None) -> Schema:
        if contract is None:
            return schema
        if contract.closed:
            return contract
        promised = [replace(column) for column in contract.columns]
        others = [column for column in schema.columns if column.name not in contract]
        return Schema((*promised, *others), schema.closed)

    def _checks(self, schema: Schema) -> tuple[Check, ...]:
        spec = self._spec
        problems: list[Problem] = []
        checks: list[Check] = [ConservationCheck(self._at()), *self._builder.checks]
        checks += compile_contract(
            spec.columns,
            spec.on_violation,
            schema,
            lambda name: self._at("columns", name),
            self._parameters,
        )
        try:
            checks += compile_rules(
                spec.quality,
                spec.on_violation,
                schema,
                lambda *keys: self._at("quality", *keys),
                self._reads,
                functools.partial(self._function, "rule"),
                self._parameters,
                self._partitions,
            )
            named_apart(checks)
        except ConfigurationError as error:
            problems += error.problems
        reshaping = self._builder.reshapes
        holding_back = next((check for check in checks if check.effect == "quarantine"), None)
        if reshaping and holding_back:
            message = (
                f"{reshaping.name} multiplies or merges rows, "
                f"so {holding_back.name} can't quarantine them one by one: "
                "put it into an asset of its own, or let the rule fail or warn"
            )
            problems.append(Problem(reshaping.location, message))
        if not problems:
            flags = {name: "BOOLEAN" for name in self._builder.hidden if name not in HIDDEN_TYPES}
            problems += unbound(checks, schema, self._others(), {**HIDDEN_TYPES, **flags})
        if problems:
            raise ConfigurationError(problems)
        return tuple(checks)
