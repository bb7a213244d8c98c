"""Transformations of a staging asset, each compiled to one named step of readable SQL.

Called by `plan.staging`. Steps are written so that they hold whatever further columns a source
turns out to have (`*`, `EXCLUDE`), and carry the platform's own columns along: the partition, the
file and row that a row came from, and a flag for each conversion that failed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.conversions import converted, inexact, named_type
from data_platform.plan.expressions import literal, parse_expression, quoted, render
from data_platform.plan.naming import FILE, HIDDEN_TYPES, PARTITION, ROW
from data_platform.plan.nodes import Effect, Key, RowCheck, Step
from data_platform.spec import transformations as spec

Locate = Callable[..., Location]


@dataclass(frozen=True)
class OtherSide:
    """An asset that a join or union reads.

    Attributes:
        relation: the name under which it is read.
        columns: those that are known.
        partitioned: whether its rows are matched by partition.
        unique_on: keys that are known to be unique in it.
    """

    relation: str
    columns: tuple[str, ...]
    partitioned: bool
    unique_on: tuple[frozenset[str], ...]

    def is_unique_on(self, columns: Sequence[str]) -> bool:
        """Whether no two rows agree on `columns`."""
        return any(key <= set(columns) for key in self.unique_on)


class StepBuilder:
    """The steps of one asset so far.

    Args:
        source: the relation of the asset that `from` names.
        location: of `from`.
        on_violation: what a value that doesn't convert does by default.
        other_side: finds the asset of a reference, or raises.
    """

    def __init__(
        self,
        source: Key,
        location: Location,
        on_violation: Effect,
        other_side: Callable[[str, Location], OtherSide],
    ) -> None:
        self.steps = [Step("source", f"SELECT *\nFROM {quoted(source.relation)}", location)]
        self.violations: dict[str, str] = {}
        self.strict: dict[str, str] = {}
        self.hidden = list(HIDDEN_TYPES)
        self._on_violation: Effect = on_violation
        self._location = location
        self._other_side = other_side

    def add(self, transformation: spec.AnyTransformation, at: Locate) -> None:
        """Append a transformation.

        Args:
            transformation: what to do.
            at: the location of the keys below it.

        Raises:
            ConfigurationError: an expression, a type or a reference is wrong.
        """
        match transformation:
            case spec.ConvertTypes():
                self._convert(transformation, at)
            case spec.AddColumns():
                named = {
                    name: render(parse_expression(text, at("columns", name)))
                    for name, text in transformation.columns.items()
                }
                self._append("add_columns", f"SELECT {_all_but(named)}, {_aliased(named)}", at())
            case spec.RenameColumns():
                renames = ", ".join(
                    f"{quoted(old)} AS {quoted(new)}" for old, new in transformation.columns.items()
                )
                self._append("rename_columns", f"SELECT * RENAME ({renames})", at())
            case spec.DropColumns():
                self._append("drop_columns", f"SELECT {_all_but(transformation.columns)}", at())
            case spec.SelectColumns():
                self._append(
                    "select_columns",
                    f"SELECT {_listed([*transformation.columns, *self.hidden])}",
                    at(),
                )
            case spec.FilterRows():
                self._filter(transformation, at)
            case spec.Deduplicate():
                self._deduplicate(transformation, at)
            case spec.Aggregate():
                self._aggregate(transformation, at)
            case spec.Join():
                self._join(transformation, at)
            case spec.Union():
                self._union(transformation, at)
            case spec.FillNulls():
                filled = {
                    name: f"COALESCE({quoted(name)}, {literal(value)})"
                    for name, value in transformation.columns.items()
                }
                self._append("fill_nulls", f"SELECT * REPLACE ({_aliased(filled)})", at())
            case spec.Round():
                rounded = {
                    name: f"ROUND({quoted(name)}, {digits})"
                    for name, digits in transformation.columns.items()
                }
                self._append("round", f"SELECT * REPLACE ({_aliased(rounded)})", at())
            case _:
                assert_never(transformation)

    def convert(
        self, targets: Mapping[str, spec.ConvertType], name: str, at: Callable[[str], Location]
    ) -> None:
        """Append exact conversions, with a flag for each column.

        Args:
            targets: `{column: how}`.
            name: of the step.
            at: the location of a column.
        """
        values, flags = {}, {}
        for column, how in targets.items():
            target = named_type(how.type, at(column))
            values[column] = converted(column, target, how.format)
            if how.on_error == "set_null":
                continue
            flag = self._fresh(f"_converts_{column}", self.hidden)
            flags[flag] = inexact(column, target, how.format)
            found = self.strict if how.on_error == "fail" else self.violations
            found[flag] = column
        flagged = f", {_aliased(flags)}" if flags else ""
        self._append(
            name, f"SELECT * REPLACE ({_aliased(values)}){flagged}", at(next(iter(targets)))
        )
        self.hidden += flags

    @property
    def checks(self) -> list[RowCheck]:
        """What conversions found, in one check for each effect."""
        return [
            check
            for name, effect, found in (
                ("types", self._on_violation, self.violations),
                ("types_strict", "fail", self.strict),
            )
            for check in self._conversions(name, effect, found)
        ]

    def _conversions(self, name: str, effect: Effect, found: Mapping[str, str]) -> list[RowCheck]:
        if not found:
            return []
        parts = {column: f"COALESCE({quoted(flag)}, FALSE)" for flag, column in found.items()}
        columns = tuple(dict.fromkeys(found.values()))
        about = "Every value converts to its column's type, and nothing is lost on the way."
        offends = " OR ".join(parts.values())
        return [
            RowCheck(
                name, "convert_types", effect, offends, columns, self._location, about, parts=parts
            )
        ]

    @property
    def last(self) -> str:
        """The name of the newest step."""
        return self.steps[-1].name

    @property
    def reshapes(self) -> Step | None:
        """The first step that multiplies or merges rows, if there is one."""
        return next((step for step in self.steps if step.effect == "reshapes"), None)

    def _convert(self, transformation: spec.ConvertTypes, at: Locate) -> None:
        self.convert(transformation.columns, "convert_types", lambda column: at("columns", column))

    def _filter(self, transformation: spec.FilterRows, at: Locate) -> None:
        condition = render(parse_expression(transformation.condition, at("condition")))
        lost = _count(self.last, f"WHERE ({condition}) IS NOT TRUE")
        self._append("filter_rows", "SELECT *", at(), f"WHERE {condition}", "filters", lost)

    def _deduplicate(self, transformation: spec.Deduplicate, at: Locate) -> None:
        keys = _listed([*transformation.by, PARTITION])
        order = [
            _order(text, transformation.keep, at("order_by", n))
            for n, text in enumerate(transformation.order_by)
        ]
        order += [quoted(name) for name in (FILE, ROW) if name in self.hidden]
        lost = (
            f"SELECT {PARTITION}, SUM(copies - 1) AS rows FROM (\n"
            f"  SELECT {keys}, COUNT(*) AS copies FROM {self.last} GROUP BY ALL\n) GROUP BY {PARTITION}"
        )
        window = f"QUALIFY ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY {', '.join(order)}) = 1"
        self._append("deduplicate", "SELECT *", at(), window, "deduplicates", lost)

    def _aggregate(self, transformation: spec.Aggregate, at: Locate) -> None:
        named = {
            name: render(parse_expression(text, at("columns", name)))
            for name, text in transformation.columns.items()
        }
        flags = [name for name in self.hidden if name not in HIDDEN_TYPES]
        named |= {flag: f"BOOL_OR({quoted(flag)})" for flag in flags}
        keys = _listed([*transformation.group_by, PARTITION])
        self._append(
            "aggregate", f"SELECT {keys}, {_aliased(named)}", at(), f"GROUP BY {keys}", "reshapes"
        )
        self.hidden = [PARTITION, *flags]

    def _join(self, transformation: spec.Join, at: Locate) -> None:
        other = self._other_side(transformation.with_, at("with"))
        on = [*transformation.on, *([PARTITION] if other.partitioned else [])]
        condition = " AND ".join(f"l.{quoted(name)} = r.{quoted(name)}" for name in on)
        tail = (
            f"AS l\n{transformation.how.upper()} JOIN {quoted(other.relation)} AS r ON {condition}"
        )
        if transformation.how in {"semi", "anti"}:
            inverse = "ANTI" if transformation.how == "semi" else "SEMI"
            lost = _count(
                self.last, f"AS l {inverse} JOIN {quoted(other.relation)} AS r ON {condition}", "l."
            )
            self._append("join", "SELECT l.*", at(), tail, "filters", lost)
            return
        names = list(
            transformation.columns
            or [name for name in other.columns if name not in transformation.on]
        )
        if transformation.columns is None and not other.columns:
            raise _problem(
                at("with"),
                f"the columns of {transformation.with_} aren't known: name those to add in `columns`",
            )
        added = "".join(f", r.{quoted(name)}" for name in names)
        if transformation.how in {"right", "full"}:
            if not other.partitioned:
                raise _problem(
                    at("how"),
                    f"a {transformation.how} join needs the same partitions on both sides",
                )
            merged = _aliased(
                {name: f"COALESCE(l.{quoted(name)}, r.{quoted(name)})" for name in on}
            )
            self._append("join", f"SELECT l.* REPLACE ({merged}){added}", at(), tail, "reshapes")
            return
        if not other.is_unique_on(on):
            self._append("join", f"SELECT l.*{added}", at(), tail, "reshapes")
        elif transformation.how == "inner":
            lost = _count(
                self.last, f"AS l ANTI JOIN {quoted(other.relation)} AS r ON {condition}", "l."
            )
            self._append("join", f"SELECT l.*{added}", at(), tail, "filters", lost)
        else:
            self._append("join", f"SELECT l.*{added}", at(), tail)

    def _union(self, transformation: spec.Union, at: Locate) -> None:
        others = [
            self._other_side(reference, at("with", n))
            for n, reference in enumerate(transformation.with_)
        ]
        parts = "".join(
            f"\nUNION ALL BY NAME\nSELECT * FROM {quoted(other.relation)}" for other in others
        )
        self._append("union_all", "SELECT *", at(), parts.removeprefix("\n"), "reshapes")

    def _append(
        self,
        name: str,
        select: str,
        location: Location,
        tail: str = "",
        effect: str = "row-wise",
        lost: str | None = None,
    ) -> None:
        separator = " " if tail.startswith("AS l") else "\n"
        sql = f"{select}\nFROM {self.last}{separator + tail if tail else ''}"
        fresh = self._fresh(name, [step.name for step in self.steps])
        self.steps.append(Step(fresh, sql, location, effect, lost))  # pyright: ignore[reportArgumentType]

    @staticmethod
    def _fresh(name: str, taken: Sequence[str]) -> str:
        number = 2
        fresh = name
        while fresh in taken:
            fresh, number = f"{name}_{number}", number + 1
        return fresh


def _problem(location: Location, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(location, message)])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(quoted(name) for name in names)


def _aliased(named: Mapping[str, str]) -> str:
    return ",\n  ".join(f"{expression} AS {quoted(name)}" for name, expression in named.items())


def _all_but(names: Sequence[str] | Mapping[str, str]) -> str:
    """All columns but these, which may be there or not."""
    return f"COLUMNS(lambda c: c NOT IN ({', '.join(literal(name) for name in names)}))"


def _count(relation: str, tail: str, qualifier: str = "") -> str:
    return f"SELECT {qualifier}{PARTITION}, COUNT(*) AS rows FROM {relation} {tail} GROUP BY {qualifier}{PARTITION}"


def _order(text: str, keep: str, location: Location) -> str:
    name, _, direction = text.strip().partition(" ")
    if direction.lower() not in {"", "asc", "desc"}:
        raise _problem(
            location, f"{text!r}: order_by takes column names, each with asc or desc if you like"
        )
    descending = (direction.lower() == "desc") != (keep == "last")
    return f"{quoted(name)} {'DESC' if descending else 'ASC'} NULLS LAST"
