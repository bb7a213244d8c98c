"""Columns and types, followed from step to step of a staging asset, with all that is wrong.

Called by `plan.staging.compiling`. A step that is wrong doesn't hide the next: what leaves it isn't
known then, so that those behind it are looked at for what is wrong by itself.
"""

from collections.abc import Callable, Mapping, Sequence

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.columns import BindingError, Catalog, catalog, no_column, schema_of
from data_platform.plan.keys import Key
from data_platform.plan.naming import HIDDEN_TYPES, PARTITION
from data_platform.plan.nodes import statement_of
from data_platform.plan.parameters import RunParameters
from data_platform.plan.schemas import UNKNOWN_SCHEMA, Schema
from data_platform.plan.sql.expressions import quoted
from data_platform.plan.staging.mistakes import Fates, Locate, mistakes_in, parts_of
from data_platform.plan.staging.steps import StepBuilder
from data_platform.spec import transformations as spec

NOT_KNOWN = Schema((), closed=False)
"""What leaves a step that is wrong."""
_AGGREGATE = (
    "an aggregate gives one value for many rows: write it into an `aggregate` step, "
    "or as a window, such as sum(x) over (partition by y)"
)


class Follower:
    """Adds steps to a builder, one by one.

    Args:
        builder: of the asset.
        source: the key of `from`, and its columns.
        others: the columns of every relation that steps read besides the source.
        at: the location of the asset's keys.
        parameters: that expressions may name.
    """

    def __init__(
        self,
        builder: StepBuilder,
        source: tuple[Key, Schema],
        others: Callable[[], Mapping[str, Schema]],
        at: Locate,
        parameters: RunParameters,
    ) -> None:
        self._builder = builder
        self._source, self._schema = source
        self._others = others
        self._at = at
        self._parameters = parameters
        self._fates = Fates()

    def follow(self, transformations: Sequence[spec.AnyTransformation]) -> Schema:
        """The columns that leave the last step.

        Raises:
            ConfigurationError: with all that is wrong.
        """
        schema = self._schema
        problems: list[Problem] = []
        with catalog() as relations:
            relations.declare(self._source.relation, schema, HIDDEN_TYPES)
            for number, step in enumerate(transformations):

                def at(*keys: object, number: int = number, kind: str = step.kind) -> Location:
                    return self._at("transformations", number, kind, *keys)

                try:
                    after = self._added(step, relations, schema, at)
                    self._fates.follow(step, schema, after, at().line)
                    schema = after
                except ConfigurationError as error:
                    problems += error.problems
                    schema = NOT_KNOWN
        if problems:
            raise ConfigurationError(problems)
        return schema

    def _added(
        self, step: spec.AnyTransformation, relations: Catalog, schema: Schema, at: Locate
    ) -> Schema:
        """The columns after one step more.

        Raises:
            ConfigurationError: with all that is wrong with it.
        """
        problems = mistakes_in(step, schema, at)
        before = self._builder.last
        try:
            if not problems:
                self._builder.add(step, at, schema)
        except ConfigurationError as error:
            problems += error.problems
        if problems:
            raise ConfigurationError([self._with_fate(problem) for problem in problems])
        if call := self._builder.steps[-1].python:
            schema = UNKNOWN_SCHEMA
            hidden = {name: HIDDEN_TYPES.get(name, "BOOLEAN") for name in self._builder.hidden}
            relations.declare(call.relation, schema, hidden)
        for relation, other in self._others().items():
            relations.declare(relation, other, HIDDEN_TYPES)
        return self._described(relations, step, schema, before, at)

    def _described(
        self,
        relations: Catalog,
        step: spec.AnyTransformation,
        before: Schema,
        previous: str,
        at: Locate,
    ) -> Schema:
        steps = tuple(self._builder.steps)
        try:
            described = relations.describe(
                statement_of(steps, f"SELECT * FROM {steps[-1].name}"), names=before.names
            )
        except BindingError as error:
            if not before.closed:
                return NOT_KNOWN
            problems = self._culprits(relations, step, before, previous, at)
            problems = problems or [self._of_join(step, error, at)]
            raise ConfigurationError([self._with_fate(problem) for problem in problems]) from None
        hidden = {*self._builder.hidden, *HIDDEN_TYPES}
        visible = [(name, kind) for name, kind in described if name not in hidden]
        return schema_of(visible, closed=before.closed)

    def _culprits(
        self,
        relations: Catalog,
        step: spec.AnyTransformation,
        before: Schema,
        previous: str,
        at: Locate,
    ) -> list[Problem]:
        """Which parts of the newest step are wrong, each at its own place."""
        steps = tuple(self._builder.steps[:-1])
        keys = [*map(quoted, step.group_by), PARTITION] if isinstance(step, spec.Aggregate) else []
        # Beside all columns an aggregate is wrong, which alone it isn't.
        beside, tail = ("", f" GROUP BY {', '.join(keys)}") if keys else (", *", "")
        problems: list[Problem] = []
        for part, location in parts_of(step, at, self._parameters):
            sql = statement_of(steps, f"SELECT {part}{beside} FROM {previous}{tail}")
            try:
                relations.describe(sql, names=before.names)
            except BindingError as error:
                grouped = beside and "must appear in the GROUP BY" in error.raw
                problems.append(Problem(location, _AGGREGATE if grouped else error.message))
        return problems

    def _of_join(self, step: spec.AnyTransformation, error: BindingError, at: Locate) -> Problem:
        """What is wrong with a step as a whole; a join's other side may lack a column."""
        for key, names in (
            (("columns", step.columns or []), ("on", step.on))
            if isinstance(step, spec.Join)
            else ()
        ):
            for number, name in enumerate(names):
                if name == error.missing:
                    there = [each for other in self._others().values() for each in other.names]
                    return Problem(at(key, number), no_column(name, there))
        return Problem(at(), error.message)

    def _with_fate(self, problem: Problem) -> Problem:
        return Problem(problem.location, self._fates.told(problem.message))
