"""A person's rows out of an asset: its table, its quarantine, and what was decided about them.

Called by the command: first for a report of what there is, then to do it. Whatever can't be reached
from here is told by `keeping.beyond`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_platform.engine.session import Session
from data_platform.errors import PermanentError
from data_platform.keeping.conditions import Condition, try_condition
from data_platform.keeping.erasing import (
    EVERYTHING,
    Erased,
    Rest,
    Search,
    naming,
    prepare,
    search,
    settle,
    show_everything,
)
from data_platform.plan.keys import Key
from data_platform.plan.naming import HIDDEN_TYPES
from data_platform.plan.nodes import LakeNode, RawNode, StagingNode
from data_platform.plan.pipelines import Plan
from data_platform.plan.sql.expressions import literal
from data_platform.staging.corrections import partition_key
from data_platform.staging.held import MOMENT, RUN
from data_platform.staging.identities import ROW_ID, row_hash
from data_platform.storage.lake import Lake
from data_platform.storage.rewriting import MovedOnError

TRIES = 10
_IDS = "_ids_of_rows"
"""The relation of the identities of rows that go, as far as they are known."""
Kind = Literal["asset", "quarantine", "corrections"]


@dataclass(frozen=True)
class Part:
    """A table that belongs to an asset.

    Attributes:
        key: of the table.
        kind: what it is.
        node: the asset; of quarantine and corrections the one in staging.
        raw: the source that was named, where the table is looked through because of it.
    """

    key: Key
    kind: Kind
    node: LakeNode
    raw: RawNode | None = None


@dataclass(frozen=True)
class Found:
    """What there is in a table.

    Attributes:
        part: the table.
        search: the rows; None where there is no table.
        unknown: columns that the condition names and the table doesn't have: it wasn't searched.
        erased: what came of it, once it is done.
    """

    part: Part
    search: Search | None
    unknown: tuple[str, ...] = ()
    erased: Erased | None = None

    @property
    def rows(self) -> int:
        """In the current version."""
        return self.search.current if self.search else 0

    @property
    def any(self) -> bool:
        """Whether a file holds such a row, of whatever version."""
        return bool(self.search and self.search.files)


@dataclass
class Erasure:
    """One condition over the tables of some assets.

    Attributes:
        session: in which it is searched; nothing else is in it.
        scratch: for files.
        lake: with the tables.
        plan: of all pipelines.
        condition: of the rows.
    """

    session: Session
    scratch: Path
    lake: Lake
    plan: Plan
    condition: Condition

    def find(self, nodes: Sequence[LakeNode]) -> list[Found]:
        """What there is.

        Raises:
            PermanentError: an asset lacks a column that the condition names, or has no table.
        """
        self._forget_ids()
        return [self._found(part) for part in parts_of(self.plan, nodes)]

    def erase(self, nodes: Sequence[LakeNode], by: str) -> list[Found]:
        """Do it, quarantine before the asset whose versions its rows name.

        Raises:
            MovedOnError: others kept committing.
        """
        self._forget_ids()
        parts = parts_of(self.plan, nodes)
        found: dict[Key, Found] = {}
        # Identities are told by the rows of sources and of quarantine: they are noted first.
        for part in parts:
            found[part.key] = self._found(part)
        for part in [one for one in parts if one.kind == "asset"]:
            beside = next(
                (one for one in parts if one.kind == "quarantine" and one.node == part.node), None
            )
            for done in self._asset(part, beside, by):
                found[done.part.key] = done
        for part in [one for one in parts if one.kind != "asset"]:
            if found[part.key].erased is None and found[part.key].any:
                found[part.key] = self._alone(part, by)
        return [found[part.key] for part in parts]

    def _asset(self, part: Part, beside: Part | None, by: str) -> Iterator[Found]:
        """An asset and the quarantine beside it."""
        standing: dict[str, set[str]] = {}
        held: Found | None = None
        for attempt in range(TRIES):
            found = self._found(part)
            if found.search is None or not found.any:
                break
            table = self.lake.table(part.key)
            folder = self.scratch / f"{part.key.layer}-{part.key.name}-{attempt}"
            node = part.node
            rest = prepare(
                self.session, folder, found.search, table,
                computed=not isinstance(node, RawNode), unversioned=node.unversioned,
            )  # fmt: skip
            if beside is not None and rest.versions:
                for key in rest.versions:
                    before = found.search.snapshot.partitions[key].data_version
                    standing.setdefault(key, set()).add(before)
                held = self._beside(beside, rest, standing, by) or held
                standing = {
                    key: {*old, rest.versions[key][0]} if key in rest.versions else old
                    for key, old in standing.items()
                }
            try:
                yield Found(part, found.search, erased=settle(table, found.search, rest, by))
            except MovedOnError:
                continue
            break
        else:
            raise MovedOnError(f"{part.key}: others kept committing; {TRIES} tries: try again")
        if held is not None:
            yield held

    def _beside(
        self, part: Part, rest: Rest, standing: "dict[str, set[str]]", by: str
    ) -> Found | None:
        """Quarantine without the rows, its others naming the version that will stand beside."""
        for attempt in range(TRIES):
            found = self._found(part)
            if found.search is None:
                return None
            there = found.search.snapshot.partitions
            renamed = {
                key: (standing[key], version)
                for key, (version, _) in rest.versions.items()
                if key in there and there[key].rows
            }
            if not renamed and not found.any:
                return None
            folder = self.scratch / f"{part.key.layer}-{part.key.name}-beside-{attempt}"
            while folder.exists():
                folder = folder.with_name(f"{folder.name}-again")
            table = self.lake.table(part.key)
            mine = prepare(
                self.session, folder, found.search, table, computed=False,
                unversioned=(RUN, MOMENT), replaced=naming(renamed), further=[*renamed],
            )  # fmt: skip
            try:
                return Found(part, found.search, erased=settle(table, found.search, mine, by))
            except MovedOnError:
                continue
        raise MovedOnError(f"{part.key}: others kept committing; {TRIES} tries: try again")

    def _alone(self, part: Part, by: str) -> Found:
        for attempt in range(TRIES):
            found = self._found(part)
            if found.search is None or not found.any:
                return found
            table = self.lake.table(part.key)
            folder = self.scratch / f"{part.key.layer}-{part.key.name}-alone-{attempt}"
            unversioned = (RUN, MOMENT) if part.kind == "quarantine" else ()
            rest = prepare(
                self.session, folder, found.search, table, computed=False, unversioned=unversioned
            )
            try:
                return Found(part, found.search, erased=settle(table, found.search, rest, by))
            except MovedOnError:
                continue
        raise MovedOnError(f"{part.key}: others kept committing; {TRIES} tries: try again")

    def _found(self, part: Part) -> Found:
        shown = show_everything(self.session, self.lake, part.key)
        if shown is None:
            if part.kind == "asset":
                raise PermanentError(f"{part.key} has never been published")
            return Found(part, None)
        columns = self._columns()
        hit = self.condition.sql
        if part.kind == "corrections":
            hit = self._of_decisions(part)
        else:
            unknown = self.condition.unknown({*columns})
            if unknown and part.kind == "asset":
                raise PermanentError(
                    f"--where: {part.key} has no column {', '.join(unknown)}; it has "
                    f"{', '.join(columns)}"
                )
            if unknown:
                return Found(part, None, tuple(unknown))
            try_condition(self.session, EVERYTHING, self.condition, str(part.key))
        search_ = search(self.session, self.lake, part.key, shown, hit)
        self._note_ids(part, search_.hit, columns)
        return Found(part, search_)

    def _columns(self) -> dict[str, str]:
        shown = self.session.columns(f"SELECT * FROM {EVERYTHING}")
        return {name: kind for name, kind in shown.items() if name not in HIDDEN_TYPES}

    def _forget_ids(self) -> None:
        self.session.run(f"CREATE OR REPLACE TEMP TABLE {_IDS} (asset VARCHAR, hash VARCHAR)")

    def _note_ids(self, part: Part, hit: str, columns: "dict[str, str]") -> None:
        """By what decisions know the rows that go."""
        where = f"FROM {EVERYTHING} AS r WHERE {hit}"
        if part.kind == "quarantine" and ROW_ID in columns:
            own = f"SPLIT_PART({ROW_ID}, '-', 1)"
            self._note(part.node.key, own, f"{where} AND {ROW_ID} IS NOT NULL")
        if isinstance(part.node, RawNode):
            for node in _stagings_of(self.plan, part.node):
                self._note(node.key, row_hash(columns, partition_key(node)), where)

    def _note(self, key: Key, value: str, where: str) -> None:
        self.session.run(f"INSERT INTO {_IDS} SELECT DISTINCT {literal(str(key))}, {value} {where}")

    def _of_decisions(self, part: Part) -> str:
        """What is true of decisions about rows that go, or that give a row such values."""
        kinds = self._kinds(part)
        texts = {
            lower: f"TRY_CAST(json_extract_string(r.patch, {literal(_pointer(name))}) AS {kind})"
            for lower in self.condition.columns
            for name, kind in [kinds.get(lower, (lower, "VARCHAR"))]
        }
        ids = f"SELECT hash FROM {_IDS} WHERE asset = {literal(str(part.node.key))}"
        return (
            f"(SPLIT_PART(r.row_id, '-', 1) IN ({ids}) "
            f"OR (r.patch IS NOT NULL AND COALESCE({self.condition.over(texts)}, FALSE)))"
        )

    def _kinds(self, part: Part) -> dict[str, tuple[str, str]]:
        """Columns of the source by their names in lower case, since decisions are about these."""
        if not isinstance(part.node, StagingNode):
            return {}
        snapshot = self.lake.table(part.node.source).snapshot()
        if snapshot is None:
            return {}
        self.session.show("_source", snapshot.files([]), hidden=False)
        columns = self.session.columns("SELECT * FROM _source")
        return {name.lower(): (name, kind) for name, kind in columns.items()}


def parts_of(plan: Plan, nodes: Sequence[LakeNode]) -> list[Part]:
    """The tables of assets, each once: sources first, so that decisions about rows are found."""
    found: dict[Key, Part] = {}
    ordered = sorted(nodes, key=lambda node: not isinstance(node, RawNode))
    for node in ordered:
        found[node.key] = Part(node.key, "asset", node)
    for node in ordered:
        raw = node if isinstance(node, RawNode) else None
        for staging in _stagings_of(plan, raw) if raw else [node]:
            if isinstance(staging, StagingNode):
                held = staging.quarantine_key
                found.setdefault(held, Part(held, "quarantine", staging, raw))
    for part in [one for one in found.values() if one.kind == "quarantine"]:
        key = Key("corrections", part.node.key.pipeline, part.node.key.name)
        found[key] = Part(key, "corrections", part.node, part.raw)
    return list(found.values())


def _stagings_of(plan: Plan, node: RawNode) -> list[StagingNode]:
    return [one for one in plan.nodes if isinstance(one, StagingNode) and one.source == node.key]


def _pointer(name: str) -> str:
    """A key of a JSON object as DuckDB's path."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'$."{escaped}"'
