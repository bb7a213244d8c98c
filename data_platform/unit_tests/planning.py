"""From what `tests.yaml` says to tests that can be run: assets, partitions, columns and values.

Called by the command's `test` and `check`, and by the plugin of pytest. Finds all mistakes of a
file; runs nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.describing import partition_words
from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.nodes import AnalyticsNode, LakeNode, PythonNode, StagingNode
from data_platform.plan.pipelines import Plan
from data_platform.plan.schemas import Schema
from data_platform.spec.parameters import ParameterValue, value_of
from data_platform.spec.reading_tests import TestsFile
from data_platform.spec.tests import Rows, UnitTest, UnitTests, moment_of
from data_platform.spec.wording import hint, show
from data_platform.unit_tests.giving import Giving
from data_platform.unit_tests.lake import GivenSnapshot
from data_platform.unit_tests.rows import Table, read_table
from data_platform.unit_tests.tables import typed

REASONS, WRITTEN_REASONS = "_reasons", "reasons"
"""Why a row is held back: as quarantine has it, and as tests write it."""
Testable = StagingNode | AnalyticsNode | PythonNode


@dataclass(frozen=True)
class PlannedTest:
    """A test whose names mean something.

    Attributes:
        spec: as written.
        node: the asset.
        keys: its partitions, or `WHOLE` alone.
        given: its upstreams.
        parameters: values that a run would be given.
        now: what the clock says; None means the real one.
        rows: that are expected to be published.
        quarantined: that are expected to be held back.
        location: of the test.
    """

    spec: UnitTest
    node: Testable
    keys: tuple[str, ...]
    given: Mapping[Key, GivenSnapshot] = field(repr=False)
    parameters: Mapping[str, ParameterValue]
    now: datetime | None
    rows: Table | None
    quarantined: Table | None
    location: Location


class Planner:
    """Plans the tests of one file.

    Args:
        file: read.
        plan: of all sound pipelines.
    """

    def __init__(self, file: TestsFile, plan: Plan) -> None:
        self._file = file
        self._plan = plan
        self._pipeline = file.folder.absolute().name
        self._lineage = Lineage(plan)

    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong; of a broken pipeline only what the file tells by itself."""
        found = list(self._file.problems)
        spec = self._file.spec
        if spec is None or self._plan.pipeline(self._pipeline) is None:
            return tuple(found)
        found += self._strange_inputs(spec)
        for number in range(len(spec.tests)):
            try:
                self.planned(number)
            except ConfigurationError as error:
                found += error.problems
        return tuple(sorted(set(found)))

    def planned(self, number: int) -> PlannedTest:
        """A test of a file without mistakes of its own.

        Args:
            number: in the file, from 0.

        Raises:
            ConfigurationError: all that is wrong with it.
        """
        spec = self._file.spec
        if spec is None:
            raise ConfigurationError(self._file.problems)
        return _One(self._file, spec, number, self._plan, self._lineage, self._pipeline).planned()

    def _strange_inputs(self, spec: UnitTests) -> Iterator[Problem]:
        known = _references(self._plan, self._pipeline)
        for reference in spec.inputs:
            if reference not in known:
                message = f"there is no asset {reference}{hint(reference, known)}"
                yield Problem(self._file.locate("inputs", reference), message)


class _One:
    """One test on its way to a plan; collects what is wrong with it."""

    def __init__(
        self,
        file: TestsFile,
        spec: UnitTests,
        number: int,
        plan: Plan,
        lineage: Lineage,
        pipeline: str,
    ) -> None:
        self._file = file
        self._spec = spec
        self._test = spec.tests[number]
        self._number = number
        self._plan = plan
        self._lineage = lineage
        self._pipeline = pipeline
        self._problems: list[Problem] = []

    def planned(self) -> PlannedTest:
        names = [test.name for test in self._spec.tests[: self._number]]
        if self._test.name in names:
            self._wrong(f"there is a test {self._test.name!r} already", "name")
        node = self._node()
        keys = self._keys(node)
        given = self._given(node, keys)
        parameters = self._parameters(node)
        rows = self._expected(self._test.expect.rows, "rows", node.schema, node.key)
        quarantined = self._quarantined(node)
        self._require_checks(node)
        if self._problems:
            raise ConfigurationError(sorted(set(self._problems)))
        now = moment_of(self._test.now) if self._test.now else None
        return PlannedTest(
            self._test, node, keys, given, parameters, now, rows, quarantined, self._at()
        )

    def _at(self, *keys: str | int) -> Location:
        return self._file.locate("tests", self._number, *keys)

    def _wrong(self, message: str, *keys: str | int) -> None:
        self._problems.append(Problem(self._at(*keys), message))

    def _node(self) -> Testable:
        reference = self._test.asset
        key = _key_of(reference, self._pipeline)
        node = self._plan.get(key)
        if key.pipeline != self._pipeline:
            self._wrong(f"{reference} is another pipeline's: its tests stand beside that", "asset")
        elif node is None:
            known = [
                name
                for name, found in _references(self._plan, self._pipeline).items()
                if isinstance(self._plan[found], Testable) and found.pipeline == self._pipeline
            ]
            near = hint(reference, known) or f"; there are {', '.join(known) or 'none'}"
            self._wrong(f"there is no asset {reference}{near}", "asset")
        elif not isinstance(node, Testable):
            message = f"{reference} is a source: tests are of staging and analytics"
            self._wrong(f"{message}, which are given its rows", "asset")
        elif not self._problems:
            return node
        raise ConfigurationError(self._problems)

    def _keys(self, node: Testable) -> tuple[str, ...]:
        written = self._test.partition
        if node.partitions is None:
            if written is not None:
                self._wrong(f"{self._test.asset} has no partitions", "partition")
            return (WHOLE,)
        if written is None:
            if node.partitions.dynamic is not None:
                self._wrong("keys are registered as they come: say one by `partition`")
                raise ConfigurationError(self._problems)
            return tuple(node.partitions.first_keys[:1])
        wrong = [key for key in written if not node.partitions.is_key(key)]
        for key in wrong:
            there = partition_words(node.partitions)
            self._wrong(f"{show(key)} is no partition: they are {there}", "partition", key)
        if wrong:
            raise ConfigurationError(self._problems)
        return tuple(sorted(set(written)))

    def _given(self, node: Testable, keys: tuple[str, ...]) -> dict[Key, GivenSnapshot]:
        inputs = {given.key for given in node.inputs}
        written = {_key_of(name, self._pipeline): name for name in self._test.given}
        for key, name in written.items():
            if key not in inputs:
                read = [_reference_to(one, self._pipeline) for one in sorted(inputs)]
                near = hint(name, read) or f"; it reads {', '.join(read) or 'nothing'}"
                self._wrong(f"{self._test.asset} doesn't read {name}{near}", "given", name)
        giving = Giving(self._plan, self._lineage, node, keys)
        shapes = {_key_of(name, self._pipeline): name for name in self._spec.inputs}
        found: dict[Key, GivenSnapshot] = {}
        for key in sorted(inputs):
            name, shape = written.get(key), shapes.get(key)
            locate = self._below("given", name) if name else self._at
            with self._collecting():
                table = read_table(
                    self._test.given[name] if name else [], self._file.folder, locate
                )
                found[key] = giving.snapshot(
                    key, table, self._spec.inputs[shape] if shape else None, locate
                )
        return found

    def _below(self, *keys: str | int) -> Callable[..., Location]:
        return lambda *further: self._at(*keys, *further)

    def _collecting(self) -> "_Collecting":
        return _Collecting(self._problems)

    def _parameters(self, node: LakeNode) -> dict[str, ParameterValue]:
        known = node.run_parameters
        found: dict[str, ParameterValue] = {}
        for name, value in self._test.parameters.items():
            if name not in known:
                near = hint(name, known) or f"; there are {', '.join(known) or 'none'}"
                message = f"{self._test.asset} has no parameter {name!r}{near}"
                self._wrong(message, "parameters", name)
                continue
            try:
                found[name] = value_of(known[name].type, value)
            except ValueError as error:
                self._wrong(str(error), "parameters", name)
        return found

    def _expected(
        self, rows: Rows | None, name: str, schema: Schema, key: Key, also: Iterable[str] = ()
    ) -> Table | None:
        """The rows of an expectation, whose columns and values can be there."""
        if rows is None:
            return None
        locate = self._below("expect", name)
        with self._collecting():
            table = read_table(rows, self._file.folder, locate)
            also = {PARTITION, *also}
            if schema.closed:
                for column in table.columns:
                    if column not in schema and column not in also:
                        there = f"there are {', '.join(schema.names)}"
                        near = hint(column, schema.names)
                        message = f"{key} has no column {column!r}{near}; {there}"
                        self._wrong(message, "expect", name, 0, column)
            types = {column.name: column.type for column in schema.columns if column.type}
            known = tuple(column for column in table.columns if column in types)
            typed(Table(known, table.rows, table.places, table.plain, table.types), types)
            return table
        return None

    def _quarantined(self, node: Testable) -> Table | None:
        rows = self._test.expect.quarantined
        if rows is None:
            return None
        if not (isinstance(node, StagingNode) and node.has_quarantine):
            message = f"no rule of {self._test.asset} quarantines rows"
            self._wrong(message, "expect", "quarantined")
            return None
        source = self._plan[node.source]
        also = (REASONS, WRITTEN_REASONS)
        return self._expected(rows, "quarantined", source.schema, source.key, also)

    def _require_checks(self, node: LakeNode) -> None:
        known = [check.name for check in node.checks]
        for name in self._test.expect.checks:
            if name not in known:
                near = hint(name, known) or f"; there are {', '.join(known) or 'none'}"
                message = f"{self._test.asset} has no check {name!r}{near}"
                self._wrong(message, "expect", "checks", name)


class _Collecting:
    """Puts problems that a block raises to the others."""

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, ConfigurationError):
            self._problems += error.problems
            return True
        return False


def _key_of(reference: str, pipeline: str) -> Key:
    *named, layer, name = reference.split(".")
    return Key(layer, named[0] if named else pipeline, name)


def _reference_to(key: Key, pipeline: str) -> str:
    own = f"{key.layer}.{key.name}"
    return own if key.pipeline == pipeline else f"{key.pipeline}.{own}"


def _references(plan: Plan, pipeline: str) -> dict[str, Key]:
    """The assets of the lake by what a pipeline calls them."""
    return {
        _reference_to(node.key, pipeline): node.key
        for node in plan.nodes
        if isinstance(node, LakeNode)
    }
