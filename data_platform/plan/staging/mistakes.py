"""What is wrong with the names of a transformation, each told at its own key.

Called by `plan.staging.compiling` before a step is compiled, as far as the columns that reach it
are known. What is wrong with types and expressions DuckDB's binder tells, part by part: `parts_of`
says which.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from data_platform.errors import Location, Problem
from data_platform.plan.columns import no_column
from data_platform.plan.parameters import RunParameters
from data_platform.plan.schemas import Schema
from data_platform.plan.sql.binder import binder
from data_platform.plan.sql.expressions import literal, parse_expression, quoted, render
from data_platform.spec import transformations as spec

Locate = Callable[..., Location]


@dataclass
class Fates:
    """Columns that former steps took away, names in lower case, and what became of each."""

    of: dict[str, str] = field(default_factory=dict[str, str])

    def follow(
        self, step: spec.AnyTransformation, before: Schema, after: Schema, line: int
    ) -> None:
        """Note what a step took away.

        Args:
            step: the newest one.
            before: the columns that reached it.
            after: those that leave it.
            line: where it stands.
        """
        renamed = step.columns if isinstance(step, spec.RenameColumns) else {}
        for name in before.names:
            if name in after:
                continue
            new = renamed.get(name)
            done = f"calls it {new!r}" if new else "doesn't keep it"
            self.of[name.lower()] = f"{step.kind} at line {line} {done}"

    def told(self, message: str) -> str:
        """A message about a missing column, with what became of it."""
        fate = next((f for name, f in self.of.items() if f"no column {name!r}" in message), None)
        return f"{message.partition(';')[0]}; {fate}" if fate else message


def mistakes_in(step: spec.AnyTransformation, before: Schema, at: Locate) -> list[Problem]:
    """Names that there aren't, and names that stand twice.

    Args:
        step: what was written.
        before: the columns that reach it; names are looked up where all are known.
        at: the location of its keys.
    """
    problems: list[Problem] = []
    for names in _lists(step, at):
        seen: set[str] = set()
        for name, place in names:
            if name.lower() in seen:
                problems.append(Problem(place, f"{name!r} stands here twice"))
            elif before.closed and name not in before and not _is_there(name, before):
                problems.append(Problem(place, no_column(name, before.names)))
            seen.add(name.lower())
    if isinstance(step, spec.FillNulls) and not problems:
        problems += _unfit_values(step, before, at)
    return problems


def _unfit_values(step: spec.FillNulls, before: Schema, at: Locate) -> Iterator[Problem]:
    """Texts that a column's type doesn't take: DuckDB would tell at the first NULL of a run."""
    for name, value in step.columns.items():
        kind = before[name].type if name in before else None
        if kind is None or not isinstance(value, str):
            continue
        with binder() as cursor:
            row = cursor.execute(f"SELECT TRY_CAST({literal(value)} AS {kind})").fetchone()
        if row is None or row[0] is None:
            yield Problem(at("columns", name), f"{value!r} is no {kind}, as {name} is")


def _is_there(name: str, before: Schema) -> bool:
    return name.lower() in {each.lower() for each in before.names}


def _lists(step: spec.AnyTransformation, at: Locate) -> Iterator[Sequence[tuple[str, Location]]]:
    """The lists of columns that a step names, each with its places."""
    match step:
        case spec.ConvertTypes() | spec.FillNulls() | spec.Round() | spec.Mask():
            yield [(name, at("columns", name)) for name in step.columns]
        case spec.RenameColumns():
            yield [(name, at("columns", name)) for name in step.columns]
        case spec.SelectColumns():
            yield _placed(step.columns, "columns", at)
        case spec.Deduplicate():
            yield _placed(step.by, "by", at)
            yield _placed(
                [text.strip().partition(" ")[0] for text in step.order_by], "order_by", at
            )
        case spec.Aggregate():
            yield _placed(step.group_by, "group_by", at)
        case spec.Join():
            yield _placed(step.on, "on", at)
        case _:
            return


def _placed(names: Sequence[str], key: str, at: Locate) -> list[tuple[str, Location]]:
    return [(name, at(key, number)) for number, name in enumerate(names)]


def parts_of(
    step: spec.AnyTransformation, at: Locate, parameters: RunParameters
) -> list[tuple[str, Location]]:
    """The parts of a step that can be wrong by themselves, as SELECT takes them, with their places.

    Args:
        step: what was written.
        at: the location of its keys.
        parameters: that expressions may name.
    """

    def asked(named: Mapping[str, str]) -> list[tuple[str, Location]]:
        return [
            (render(parse_expression(text, at("columns", name), parameters)), at("columns", name))
            for name, text in named.items()
        ]

    match step:
        case spec.AddColumns() | spec.Aggregate():
            return asked(step.columns)
        case spec.FilterRows():
            condition = parse_expression(step.condition, at("condition"), parameters)
            return [(f"NOT ({render(condition)})", at("condition"))]
        case spec.Round():
            return [
                (f"ROUND({quoted(name)}, {digits})", at("columns", name))
                for name, digits in step.columns.items()
            ]
        case spec.FillNulls():
            return [
                (f"COALESCE({quoted(name)}, {literal(value)})", at("columns", name))
                for name, value in step.columns.items()
            ]
        case _:
            return []
