"""What hangs on an asset, for people and for programs: readers, tables outside, whom to tell.

Called by the command's `impact`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from data_platform.plan.keys import Key
from data_platform.plan.lineage.impact import Impact
from data_platform.plan.lineage.readers import Reader, owners_of
from data_platform.plan.lineage.relations import EVERY
from data_platform.plan.nodes import AnyNode
from data_platform.terminal.console import say
from data_platform.terminal.freshness_words import limit_words
from data_platform.terminal.tables import BAD, QUIET, Column, Row, print_table

FORMAT_VERSION = 1
_COLUMNS = (
    Column("asset"),
    Column("how", spare=3),
    Column("owner"),
    Column("fresh", spare=1),
    Column("criticality", spare=2),
    Column("", folds=True),
)
_SECTIONS = ("readers", "readers of these", "outside")
_CRITICALITIES = ("critical", "high", "medium", "low")

Touched = Mapping[Key, str]
"""What a change of a column touches of assets, in words."""


def print_readers(
    console: Console, node: AnyNode, readers: Sequence[Reader], touched: Touched | None = None
) -> None:
    """Print them: those that read it, those that read these, and tables and files outside.

    Args:
        console: where to.
        node: the asset.
        readers: what hangs on it.
        touched: what a change of its column touches; None where no column was named.
    """
    if not readers:
        say(console, f"nothing reads {node.key}")
        return
    sections = [
        [one for one in readers if one.target is None and one.steps == 1],
        [one for one in readers if one.target is None and one.steps > 1],
        [one for one in readers if one.target is not None],
    ]
    rows: list[Row] = []
    for title, found in zip(_SECTIONS, sections, strict=True):
        if found:
            rows.append((Text(title, style="bold"),))
            rows += [_row(one, touched) for one in found]
    print_table(console, _COLUMNS, rows)
    console.print()
    say(console, _count(len(readers), "asset") + f" of {_count(len(owners_of(readers)), 'owner')}")
    for line in _owner_lines(readers):
        say(console, f"  {line}")


def readers_json(
    node: AnyNode, column: str | None, readers: Sequence[Reader], touched: Touched | None = None
) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "format": FORMAT_VERSION,
        "key": str(node.key),
        "column": column,
        "readers": [_reader_json(one, touched) for one in readers],
        "owners": {
            owner: [str(one.key) for one in nodes] for owner, nodes in owners_of(readers).items()
        },
    }


def touched_by(impact: Impact) -> Touched:
    """What a change of a column touches, asset by asset."""
    words: dict[Key, list[str]] = {}
    columns: dict[Key, list[str]] = {}
    for origin in impact.columns:
        if isinstance(origin.asset, Key):
            name = "columns unknown before a run" if origin.column == EVERY else origin.column
            columns.setdefault(origin.asset, []).append(name)
    for key, names in columns.items():
        words.setdefault(key, []).append(f"makes {', '.join(names)}")
    for key in impact.rows:
        words.setdefault(key, []).append("its rows hang on it")
    for key in impact.broken:
        words.setdefault(key, []).append("its statement names it")
    checks: dict[Key, list[str]] = {}
    for judgement in impact.checks:
        checks.setdefault(judgement.asset, []).append(judgement.check)
    for key, names in checks.items():
        words.setdefault(key, []).append(f"checks {', '.join(dict.fromkeys(names))}")
    return {key: "; ".join(dict.fromkeys(told)) for key, told in words.items()}


def _row(reader: Reader, touched: Touched | None) -> Row:
    node = reader.node
    style = BAD if node.criticality == "critical" else ""
    told = [f"-> {reader.target}"] if reader.target else []
    told += [f"through {reader.by}"] if reader.steps > 1 and touched is None else []
    told += [touched.get(node.key, "")] if touched is not None else []
    return (
        f"  {node.key}",
        _how_words(reader),
        node.owner,
        limit_words(node) or "-",
        Text(node.criticality, style=style),
        Text("; ".join(filter(None, told)), style=QUIET),
    )


def _how_words(reader: Reader) -> str:
    if reader.how == "table":
        return "its table"
    if reader.how == "follows":
        return "after it"
    given = reader.given
    match given.reads if given else "all":
        case "same":
            return "same partition"
        case "matching":
            return "matching partitions"
        case "last":
            return f"last {given.last if given else ''}"
        case "all":
            return "all partitions"
        case _:
            return "whole"


def _owner_lines(readers: Sequence[Reader]) -> Iterator[str]:
    """Whom to tell, with how critical their assets are and what they promise."""
    for owner, nodes in owners_of(readers).items():
        worst = min((one.criticality for one in nodes), key=_CRITICALITIES.index)
        promised = dict.fromkeys(words for one in nodes if (words := limit_words(one)))
        fresh = f", promised {', '.join(promised)}" if promised else ""
        yield f"{owner}: {_count(len(nodes), 'asset')}, criticality {worst}{fresh}"


def _reader_json(reader: Reader, touched: Touched | None) -> dict[str, Any]:
    node = reader.node
    promised = node.freshness
    return {
        "key": str(node.key),
        "layer": node.key.layer,
        "steps": reader.steps,
        "by": str(reader.by),
        "how": reader.how,
        "reads": reader.given.reads if reader.given else None,
        "last": reader.given.last if reader.given and reader.given.reads == "last" else None,
        "owner": node.owner,
        "criticality": node.criticality,
        "freshness": promised.model_dump(mode="json", exclude_none=True) if promised else None,
        "target": reader.target,
        "touched": touched.get(node.key) if touched is not None else None,
    }


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s'[: number != 1]}"
