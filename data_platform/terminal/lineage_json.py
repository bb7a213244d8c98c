"""Column lineage as plain values, for programs.

Called by `cli`. Flat lists instead of trees: each column stands once, with what it is made of.
"""

from collections.abc import Iterable
from typing import Any

from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage
from data_platform.plan.lineage.impact import Ancestry, Impact, Judgement, Link, Usage
from data_platform.plan.lineage.relations import EVERY, Origin

FORMAT_VERSION = 1


def lineage_json(
    lineage: Lineage, start: Origin, impact: Impact | None, ancestry: Ancestry | None
) -> dict[str, Any]:
    """Both ways, or one.

    Args:
        lineage: of the plan.
        start: the column.
        impact: None leaves `down` out.
        ancestry: None leaves `up` out.
    """
    told: dict[str, Any] = {
        "format": FORMAT_VERSION,
        "column": _column(lineage, start),
        "declared": lineage.is_known(start),
    }
    if impact is not None:
        told["down"] = _down(lineage, impact)
    if ancestry is not None:
        told["up"] = _up(lineage, ancestry)
    return told


def _down(lineage: Lineage, impact: Impact) -> dict[str, Any]:
    judged = [each for found in impact.judgements.values() for each in found]
    return {
        "links": _links(lineage, impact.links.values()),
        "uses": [_usage(lineage, each) for found in impact.usages.values() for each in found],
        "contracts": [
            {
                **_column(lineage, origin),
                "type": promised.type,
                "nullable": promised.nullable,
                "unique": promised.unique,
            }
            for origin, promised in impact.contracts.items()
        ],
        "columns": [_column(lineage, origin) for origin in impact.columns],
        "rows": [str(key) for key in impact.rows],
        "checks": [
            *(_judgement(each, _column(lineage, each.column)) for each in judged),
            *(_judgement(each, None) for each in impact.row_checks),
        ],
    }


def _up(lineage: Lineage, ancestry: Ancestry) -> dict[str, Any]:
    return {
        "links": _links(lineage, ancestry.links.values()),
        "uses": [_usage(lineage, each) for found in ancestry.rows.values() for each in found],
        "sources": [_column(lineage, origin) for origin in ancestry.sources],
    }


def _links(lineage: Lineage, found: Iterable[Iterable[Link]]) -> list[dict[str, Any]]:
    return [
        {
            "from": _column(lineage, link.upper),
            "to": _column(lineage, link.lower),
            "way": link.way,
        }
        for links in found
        for link in links
    ]


def _usage(lineage: Lineage, usage: Usage) -> dict[str, Any]:
    return {
        "column": _column(lineage, usage.column),
        "asset": str(usage.asset),
        "uses": sorted(usage.uses),
    }


def _judgement(judgement: Judgement, column: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "asset": str(judgement.asset),
        "check": judgement.check,
        "on_violation": judgement.effect,
        "column": column,
    }


def _column(lineage: Lineage, origin: Origin) -> dict[str, Any]:
    """A column of an asset, or of a source outside; null where it isn't known before a run."""
    where = "asset" if isinstance(origin.asset, Key) else "source"
    name = None if origin.column == EVERY else lineage.spelled(origin)
    return {where: str(origin.asset), "column": name}
