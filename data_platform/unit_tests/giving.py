"""The rows that a test gives, as the upstreams of its asset: typed, whole, in their partitions.

Called by `unit_tests.planning`. Columns that a test doesn't name are there as NULL, so that a test
says only what it is about.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from data_platform.engine.inputs import partitions_read
from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.conversions import named_type
from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage
from data_platform.plan.lineage.relations import EVERY
from data_platform.plan.naming import HIDDEN_TYPES, PARTITION, PROVENANCE, WHOLE
from data_platform.plan.nodes import LakeNode
from data_platform.plan.partitions import Partitions
from data_platform.plan.pipelines import Plan
from data_platform.spec.tests import InputShape
from data_platform.spec.wording import hint, show
from data_platform.unit_tests.lake import GivenSnapshot, given_snapshot
from data_platform.unit_tests.rows import Table
from data_platform.unit_tests.tables import told_types, typed

_NO_SHAPE = InputShape()


@dataclass(frozen=True)
class Giving:
    """For whom rows are given.

    Attributes:
        plan: with the asset and its upstreams.
        lineage: of the plan.
        node: the asset.
        keys: its partitions in the test.
    """

    plan: Plan
    lineage: Lineage
    node: LakeNode
    keys: Sequence[str]

    def snapshot(
        self, key: Key, table: Table, shape: InputShape | None, locate: Callable[..., Location]
    ) -> GivenSnapshot:
        """An upstream with its rows.

        Args:
            key: of it.
            table: the rows.
            shape: what the file says of its columns, with locations below `shape`.
            locate: where a key below the upstream's `given`, or below its `inputs` stands.

        Raises:
            ConfigurationError: columns, values or partitions that it can't have: all of them.
        """
        shape = shape or _NO_SHAPE
        upstream = self.plan[key]
        table = table.with_defaults(shape.defaults)
        problems = list(self._unknown(upstream.key, table, locate))
        declared = self._declared(key, shape)
        partitions, wrong = self._partitions(key, table)
        problems += wrong
        own = replace(table, columns=tuple(n for n in table.columns if n != PARTITION))
        further = self._further(key, own.columns, declared)
        types = {**further, **told_types(own), **declared}
        own = replace(own, columns=(*own.columns, *further))
        try:
            rows = typed(own, types)
        except ConfigurationError as error:
            problems += error.problems
            raise ConfigurationError(problems) from None
        if problems:
            raise ConfigurationError(problems)
        return given_snapshot(f"_given {key}", rows, partitions, self._published(key))

    def _declared(self, key: Key, shape: InputShape) -> dict[str, str]:
        """The types of columns that are known before a run, or that the file names."""
        schema = self.plan[key].schema
        known = {column.name: column.type for column in schema.columns if column.type}
        named = {
            name: named_type(kind, Location(self.plan[key].location.file))
            for name, kind in shape.columns.items()
        }
        return {**named, **known}

    def _unknown(
        self, key: Key, table: Table, locate: Callable[..., Location]
    ) -> Iterable[Problem]:
        schema = self.plan[key].schema
        if not schema.closed:
            return
        for name in table.columns:
            if name not in schema and name != PARTITION:
                there = f"there are {', '.join(schema.names)}"
                message = f"{key} has no column {name!r}{hint(name, schema.names)}; {there}"
                place = next(
                    (locate(number, name) for number, row in enumerate(table.rows) if name in row),
                    locate(),
                )
                yield Problem(place, message)

    def _partitions(self, key: Key, table: Table) -> tuple[list[str], list[Problem]]:
        """The partition of each row, and those that can't be one."""
        partitions = self.plan[key].partitions
        named = [row.get(PARTITION) for row in table.rows]
        if partitions is None:
            message = f"{key} has no partitions: leave {PARTITION} out"
            wrong = [p for p, name in zip(table.places, named, strict=True) if name is not None]
            return [WHOLE] * len(named), [Problem(place, message) for place in wrong]
        usual = self._usual(partitions)
        found: list[str] = []
        problems: list[Problem] = []
        for name, place in zip(named, table.places, strict=True):
            if name is None and usual is None:
                message = f"of which partition is the row? Say it by {PARTITION}"
                problems.append(Problem(place, message))
            elif name is not None and not partitions.is_key(str(name)):
                message = f"{PARTITION}: {show(name)} is no partition of {key}"
                problems.append(Problem(place, message))
            found.append(str(name or usual))
        return found, problems

    def _usual(self, partitions: Partitions) -> str | None:
        """The partition of a row that doesn't say; None where it may be of several."""
        own = self.node.partitions
        if own is None:
            return next(iter(partitions.first_keys), None)
        if len(self.keys) > 1:
            return None
        belonging = partitions.reads(own, self.keys[0], partitions.first_keys)
        return next(filter(partitions.is_key, belonging), None)

    def _published(self, key: Key) -> list[str]:
        """The partitions that are there, with rows or without."""
        if self.plan[key].partitions is None:
            return [WHOLE]
        inputs = [given for given in self.node.inputs if given.key == key]
        return [
            past for given in inputs for past in partitions_read(given, self.node, self.keys, ())
        ]

    def _further(
        self, key: Key, given: Iterable[str], declared: Mapping[str, str]
    ) -> dict[str, str]:
        """Columns that rows don't name: those that are known, and those that the asset reads."""
        there = {name.lower() for name in given}
        contract = {
            column.name: column.type for column in getattr(self.node.contract, "columns", ())
        }
        spelled = {name.lower(): name for name in (*contract, *declared)}
        read = self._read(key) if not self.plan[key].schema.closed else []
        names = dict.fromkeys([*declared, *(spelled.get(name, name) for name in read)])
        return {
            name: declared.get(name) or contract.get(name) or "VARCHAR"
            for name in names
            if name.lower() not in there
        }

    def _read(self, key: Key) -> list[str]:
        """The columns of an upstream that the asset names, in lower case."""
        lineage = self.lineage.of(self.node.key)
        made = [one.all for _, one in lineage.relation.columns]
        promised = self.node.contract.names if self.node.contract else ()
        passing = [lineage.relation[name] for name in promised]
        made += [one.all for one in passing if one is not None]
        origins = {origin for found in made for origin in found}
        origins |= {*lineage.uses}
        origins |= {origin for found in lineage.checks.values() for origin in found}
        hidden = {EVERY, *HIDDEN_TYPES, *PROVENANCE}
        return sorted({o.column for o in origins if o.asset == key} - hidden)
