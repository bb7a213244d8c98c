"""Transformations of a staging asset, each compiled to one named step of readable SQL.

Called by `plan.staging.compiling`. Steps are written so that they hold whatever further columns a
source turns out to have (`*`, `EXCLUDE`), and carry the platform's own columns along: the
partition, the file and row that a row came from, and a flag for each conversion that failed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, assert_never

from sqlglot import exp

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.checks.kinds import Effect, RowCheck
from data_platform.plan.conversions import conversion_to, converted, inexact
from data_platform.plan.declared import refused
from data_platform.plan.functions import UserFunction
from data_platform.plan.keys import Key
from data_platform.plan.naming import FILE, HIDDEN_TYPES, PARTITION, ROW, WHOLE
from data_platform.plan.nodes import PythonCall, Step
from data_platform.plan.parameters import RunParameters
from data_platform.plan.schemas import Schema
from data_platform.plan.sql.expressions import (
    literal,
    parse_expression,
    quoted,
    reads_clock,
    render,
)
from data_platform.plan.sql.free_names import require_free
from data_platform.plan.sql.masks import masked_by
from data_platform.plan.staging.joins import join_of
from data_platform.plan.staging.other_side import OtherSide
from data_platform.plan.staging.step_sql import (
    aliased,
    all_but,
    any_flag,
    count,
    filling,
    listed,
    lower,
)
from data_platform.spec import transformations as spec

Locate = Callable[..., Location]
CONTENT = "_content"
"""A hash of what a row holds, while it is told apart from its copies."""


class StepBuilder:
    """The steps of one asset so far.

    Args:
        source: the relation of the asset that `from` names.
        location: of `from`.
        on_violation: what a value that doesn't convert does by default.
        other_side: finds the asset of a reference, or raises.
        function: finds the function of a name, or raises.
        parameters: that expressions may name.
    """

    def __init__(
        self,
        source: Key,
        location: Location,
        on_violation: Effect,
        other_side: Callable[[str, Location], OtherSide],
        function: Callable[[str, Location], UserFunction],
        parameters: RunParameters,
    ) -> None:
        self.steps = [Step("source", f"SELECT *\nFROM {quoted(source.relation)}", location)]
        self.violations: dict[str, str] = {}
        self.strict: dict[str, str] = {}
        self.hidden = list(HIDDEN_TYPES)
        self.momentary: set[str] = set()
        """Columns that read the clock."""
        self.masked: set[str] = set()
        """Columns that hold nothing but masked values, by their present names in lower case."""
        self._bad: dict[str, str] = {}
        """The flags of conversions, and the column that each is about by its present name."""
        self._on_violation: Effect = on_violation
        self._location = location
        self._other_side = other_side
        self._function = function
        self._parameters = parameters

    def add(  # noqa: C901, PLR0912 -- a match with one case for each transformation
        self, transformation: spec.AnyTransformation, at: Locate, before: Schema
    ) -> None:
        """Append a transformation.

        Args:
            transformation: what to do.
            before: the columns so far, as far as they are known.
            at: the location of the keys below it.

        Raises:
            ConfigurationError: an expression, a type or a reference is wrong.
        """
        match transformation:
            case spec.ConvertTypes():
                self._convert(transformation, at)
            case spec.AddColumns():
                named = {
                    name: self._expression(text, at("columns", name))
                    for name, text in transformation.columns.items()
                }
                require_free(named, (), lambda name: at("columns", name))
                self._follow_clock(transformation.columns)
                self.masked -= lower(transformation.columns)
                self._append("add_columns", f"SELECT {all_but(named)}, {aliased(named)}", at())
            case spec.RenameColumns():
                self._rename(transformation, at, before)
            case spec.DropColumns():
                self._append("drop_columns", f"SELECT {all_but(transformation.columns)}", at())
            case spec.SelectColumns():
                self._append(
                    "select_columns",
                    f"SELECT {listed([*transformation.columns, *self.hidden])}",
                    at(),
                )
            case spec.FilterRows():
                self._filter(transformation, at)
            case spec.Deduplicate():
                self._deduplicate(transformation, at)
            case spec.Aggregate():
                self._aggregate(transformation, at)
            case spec.Join():
                self._join(transformation, at, before)
            case spec.Union():
                self._union(transformation, at)
            case spec.FillNulls():
                filled = {
                    name: f"COALESCE({quoted(name)}, {filling(name, value)})"
                    for name, value in transformation.columns.items()
                }
                self._append("fill_nulls", f"SELECT * REPLACE ({aliased(filled)})", at())
            case spec.Round():
                rounded = {
                    name: f"ROUND({quoted(name)}, {digits})"
                    for name, digits in transformation.columns.items()
                }
                self._append("round", f"SELECT * REPLACE ({aliased(rounded)})", at())
            case spec.Mask():
                self._mask(transformation, at, before)
            case spec.Python():
                self._call(transformation, at)
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
        values: dict[str, str] = {}
        flags: dict[str, str] = {}
        for column, how in targets.items():
            conversion = conversion_to(how.type, at(column), how.format)
            values[column] = converted(column, conversion)
            if how.on_error == "set_null":
                loses = inexact(column, conversion)
                values[column] = f"CASE WHEN NOT ({loses}) THEN {values[column]} END"
                continue
            flag = self._fresh(f"_converts_{column}", self.hidden)
            flags[flag] = inexact(column, conversion)
            found = self.strict if how.on_error == "fail" else self.violations
            found[flag] = column
            self._bad[flag] = column
        flagged = f", {aliased(flags)}" if flags else ""
        self._append(
            name, f"SELECT * REPLACE ({aliased(values)}){flagged}", at(next(iter(targets)))
        )
        flag_of = {self._bad[flag]: flag for flag in flags}
        converts = tuple((column, flag_of.get(column)) for column in targets)
        self.steps[-1] = replace(self.steps[-1], converts=converts)
        self.hidden += flags

    @property
    def checks(self) -> list[RowCheck]:
        """What conversions found, in one check for each effect."""
        found_by: tuple[tuple[str, Effect, Mapping[str, str]], ...] = (
            ("types", self._on_violation, self.violations),
            ("types_strict", "fail", self.strict),
        )
        return [
            check
            for name, effect, found in found_by
            for check in self._conversions(name, effect, found)
        ]

    def _conversions(self, name: str, effect: Effect, found: Mapping[str, str]) -> list[RowCheck]:
        if not found:
            return []
        columns = tuple(dict.fromkeys(found.values()))
        parts = {
            column: any_flag(flag for flag, about in found.items() if about == column)
            for column in columns
        }
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
        return next((step for step in self.steps if not step.keeps_rows_apart), None)

    def _convert(self, transformation: spec.ConvertTypes, at: Locate) -> None:
        self.convert(transformation.columns, "convert_types", lambda column: at("columns", column))

    def _rename(self, transformation: spec.RenameColumns, at: Locate, before: Schema) -> None:
        renamed = transformation.columns
        stays = [name for name in before.names if name not in renamed]
        require_free(renamed.values(), stays, lambda name: at("columns", _key_of(renamed, name)))
        names = ", ".join(f"{quoted(old)} AS {quoted(new)}" for old, new in renamed.items())
        unknown = [name for name in renamed if name.lower() not in lower(before.names)]
        if unknown and before.closed:
            message = f"no column {unknown[0]!r} arrives here; there are {', '.join(before.names)}"
            raise refused(at("columns", unknown[0]), message)
        # RENAME passes over a column that isn't there; naming it doesn't.
        there = " OR ".join(f"{quoted(name)} IS NULL" for name in renamed)
        self._append("rename_columns", f"SELECT * RENAME ({names})", at(), f"WHERE TRUE OR {there}")
        self._bad = {flag: renamed.get(column, column) for flag, column in self._bad.items()}
        self.momentary = {renamed.get(column, column) for column in self.momentary}
        new = {old.lower(): name.lower() for old, name in renamed.items()}
        self.masked = {new.get(column, column) for column in self.masked}

    def _filter(self, transformation: spec.FilterRows, at: Locate) -> None:
        """A row about which a value that didn't convert leaves the condition unknown stays."""
        condition = self._expression(transformation.condition, at("condition"))
        if self._bad:
            condition = f"({condition}) OR (({condition}) IS NULL AND {any_flag(self._bad)})"
        lost = count(self.last, f"WHERE ({condition}) IS NOT TRUE")
        self._append("filter_rows", "SELECT *", at(), f"WHERE {condition}", "filters", lost)

    def _deduplicate(self, transformation: spec.Deduplicate, at: Locate) -> None:
        """Rows whose key or order didn't convert stay: what they are copies of isn't known.

        Ties go by what a row holds, then by where it stood, so that the order in which a source
        gave its rows doesn't count.
        """
        keys = listed([*transformation.by, PARTITION])
        parts = [
            _order(text, transformation.keep, at("order_by", n))
            for n, text in enumerate(transformation.order_by)
        ]
        order = [sql for _, sql in parts]
        order.append(CONTENT)
        order += [quoted(name) for name in (FILE, ROW) if name in self.hidden]
        bad = self._bad_in([*transformation.by, *(name for name, _ in parts)])
        known, exempt = (f" WHERE NOT {bad}", f"{bad} OR ") if bad else ("", "")
        lost = (
            f"SELECT {PARTITION}, SUM(copies - 1) AS rows FROM (\n"
            f"  SELECT {keys}, COUNT(*) AS copies FROM {self.last}{known} GROUP BY ALL\n"
            f") GROUP BY {PARTITION}"
        )
        apart = f"{keys}, {bad}" if bad else keys
        window = (
            f"QUALIFY {exempt}ROW_NUMBER() OVER "
            f"(PARTITION BY {apart} ORDER BY {', '.join(order)}) = 1"
        )
        content = f"SELECT *, HASH(*{all_but((FILE, ROW))}) AS {CONTENT} FROM {self.last}"
        select = f"SELECT * EXCLUDE ({CONTENT})"
        self._append(
            "deduplicate", select, at(), window, "deduplicates", lost, source=f"({content})"
        )

    def _aggregate(self, transformation: spec.Aggregate, at: Locate) -> None:
        require_free(
            transformation.columns, transformation.group_by, lambda name: at("columns", name)
        )
        named = {
            name: self._expression(text, at("columns", name))
            for name, text in transformation.columns.items()
        }
        self._follow_clock(transformation.columns)
        self.masked -= lower(transformation.columns)
        flags = [name for name in self.hidden if name not in HIDDEN_TYPES]
        named |= {flag: f"BOOL_OR({quoted(flag)})" for flag in flags}
        keys = listed([*transformation.group_by, PARTITION])
        self._append(
            "aggregate", f"SELECT {keys}, {aliased(named)}", at(), f"GROUP BY {keys}", "reshapes"
        )
        self.hidden = [PARTITION, *flags]

    def _join(self, transformation: spec.Join, at: Locate, before: Schema) -> None:
        other = self._other_side(transformation.with_, at("with"))
        bad = self._bad_in(transformation.on, "l.")
        made = join_of(transformation, other, self.last, bad, before, at)
        self._append("joined", made.select, at(), made.tail, made.effect, made.lost)

    def _union(self, transformation: spec.Union, at: Locate) -> None:
        parts: list[str] = []
        for number, reference in enumerate(transformation.with_):
            location = at("with", number)
            other = self._other_side(reference, location)
            if not other.fits_row_by_row:
                message = f"{reference} has no partitions: its rows belong to none of this asset's"
                raise refused(location, message)
            whole = "" if other.into_partitions else f" REPLACE ({literal(WHOLE)} AS {PARTITION})"
            gone = [name for name in (FILE, ROW) if name not in self.hidden]
            exclude = f" EXCLUDE ({', '.join(gone)})" if gone else ""
            parts.append(
                f"UNION ALL BY NAME\nSELECT *{exclude}{whole} FROM {quoted(other.relation)}"
            )
        self.masked = set()
        self._append("union_all", "SELECT *", at(), "\n".join(parts), "reshapes")

    def _call(self, transformation: spec.Python, at: Locate) -> None:
        """What the function gave is read under a name; before a run nothing is known of it.

        It has the flags of conversions so far, by partition: a function may merge any rows.
        """
        function = self._function(transformation.function, at("function"))
        name = self._fresh("python", [step.name for step in self.steps])
        relation = f"{name}: {function.written} of {self.last}"
        call = PythonCall(
            function,
            transformation.input,
            transformation.chunk_size,
            relation,
            transformation.num_workers,
        )
        sql = f"SELECT *\nFROM {quoted(relation)}"
        self.steps.append(Step(name, sql, at(), "python", python=call))
        flags = [flag for flag in self.hidden if flag not in HIDDEN_TYPES]
        self.hidden = [*HIDDEN_TYPES, *flags]
        self._bad = {}
        self.masked = set()

    def _mask(self, transformation: spec.Mask, at: Locate, before: Schema) -> None:
        """Values become tokens or texts; the flags of what didn't convert before stay."""
        columns = transformation.columns
        unknown = [name for name in columns if name.lower() not in lower(before.names)]
        if unknown and before.closed:
            problems = [
                Problem(
                    at("columns", name),
                    f"no column {name!r} arrives here; there are {', '.join(before.names)}",
                )
                for name in unknown
            ]
            raise ConfigurationError(problems)
        masked = {name: masked_by(method, quoted(name)) for name, method in columns.items()}
        self._append("mask", f"SELECT * REPLACE ({aliased(masked)})", at())
        self.steps[-1] = replace(self.steps[-1], masks=tuple(columns.items()))
        self.masked |= lower(columns)

    def _expression(self, text: str, location: Location) -> str:
        """An expression over the newest step's columns, and over one partition at a time.

        Columns are named with their step, so that one which the new step adds can't be meant; a
        window sees its own partition only, whichever others are computed along with it.
        """
        tree = parse_expression(text, location, self._parameters)
        own = {each.expression.name for each in tree.find_all(exp.Comprehension)}
        for column in list(tree.find_all(exp.Column)):
            if not column.table and column.name not in own:
                column.set("table", exp.to_identifier(self.last))
        for window in list(tree.find_all(exp.Window)):
            split: list[exp.Expr] = window.args.get("partition_by") or []
            window.set("partition_by", [*split, exp.column(PARTITION, self.last)])
        return render(tree)

    def _follow_clock(self, expressions: Mapping[str, str]) -> None:
        """Which of these columns read the clock, themselves or through others."""
        trees = {
            name: parse_expression(text, self._location, self._parameters)
            for name, text in expressions.items()
        }
        momentary = {
            name
            for name, tree in trees.items()
            if reads_clock(tree)
            or any(column.name in self.momentary for column in tree.find_all(exp.Column))
        }
        self.momentary = (self.momentary - set(expressions)) | momentary

    def _bad_in(self, columns: Sequence[str], qualifier: str = "") -> str:
        """A condition: a value of these columns didn't convert; empty where none was converted."""
        flags = [flag for flag, column in self._bad.items() if column in columns]
        return any_flag(flags, qualifier) if flags else ""

    def _append(
        self,
        name: str,
        select: str,
        location: Location,
        tail: str = "",
        effect: Literal["row-wise", "filters", "deduplicates", "reshapes"] = "row-wise",
        lost: str | None = None,
        source: str | None = None,
    ) -> None:
        separator = " " if tail.startswith("AS l") else "\n"
        sql = f"{select}\nFROM {source or self.last}{separator + tail if tail else ''}"
        fresh = self._fresh(name, [step.name for step in self.steps])
        self.steps.append(Step(fresh, sql, location, effect, lost))

    @staticmethod
    def _fresh(name: str, taken: Sequence[str]) -> str:
        number = 2
        fresh = name
        while fresh in taken:
            fresh, number = f"{name}_{number}", number + 1
        return fresh


def _key_of(renamed: Mapping[str, str], new: object) -> str:
    return next(old for old, name in reversed([*renamed.items()]) if name == new)


def _order(text: str, keep: str, location: Location) -> tuple[str, str]:
    """A column's name, and its part of an ORDER BY that puts the row to keep first."""
    name, _, direction = text.strip().partition(" ")
    if direction.lower() not in {"", "asc", "desc"}:
        raise refused(
            location, f"{text!r}: order_by takes column names, each with asc or desc if you like"
        )
    descending = (direction.lower() == "desc") != (keep == "last")
    return name, f"{quoted(name)} {'DESC' if descending else 'ASC'} NULLS LAST"
