"""Decisions about rows of quarantine: taken from what stands, and told to Dagster.

Called by the command. A decision is committed before anything runs: whoever is interrupted in
between runs the same again.
"""

import getpass
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from data_platform.asset_specs import asset_key
from data_platform.correcting.comparing import Edits
from data_platform.correcting.held import HeldRow, HeldTable
from data_platform.engine.session import Session
from data_platform.errors import PermanentError
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import StagingNode
from data_platform.storage.decisions import Decision, decide, decisions_table
from data_platform.storage.lake import Lake

MAX_NAMED = 5
"""Identities in a message."""
Choose = Callable[[Mapping[str, Decision]], Iterable[Decision]]
_WORDS = {"correct": "corrected", "discard": "discarded", "restore": "restored"}


@dataclass(frozen=True)
class Author:
    """Who decides, and when."""

    name: str
    now: datetime


def user_name() -> str:
    """Whoever runs the command, as the machine knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def correct(
    session: Session, lake: Lake, table: HeldTable, edits: Edits, author: Author
) -> list[Decision]:
    """Keep what was edited. What is kept already is no new decision."""

    def choose(standing: Mapping[str, Decision]) -> Iterable[Decision]:
        for identity, cells in edits.changed.items():
            before = standing.get(identity)
            kept = dict(before.patch or {}) if before and before.kind == "correct" else {}
            patch = {**kept, **cells}
            if patch != kept:
                row = table.rows[identity]
                yield Decision(
                    row.partition,
                    identity,
                    "correct",
                    author.name,
                    author.now,
                    patch=patch,
                    reasons=row.reasons,
                )

    return _decide(session, lake, table.node, choose, author)


def discard(
    session: Session,
    lake: Lake,
    table: HeldTable,
    rows: Sequence[HeldRow],
    author: Author,
    because: str,
) -> list[Decision]:
    """Give rows up. Those that were given up before stay as they are."""

    def choose(standing: Mapping[str, Decision]) -> Iterable[Decision]:
        for row in rows:
            before = standing.get(row.row_id)
            if before is None or before.kind != "discard":
                yield Decision(
                    row.partition,
                    row.row_id,
                    "discard",
                    author.name,
                    author.now,
                    because,
                    reasons=row.reasons,
                )

    return _decide(session, lake, table.node, choose, author)


def decided_rows(
    table: HeldTable, identities: Sequence[str], partition: str | None
) -> list[Decision]:
    """What was decided about rows, of some or of all that something follows for.

    Args:
        table: with the decisions.
        identities: of rows; empty means all.
        partition: only of this one; None means any.

    Raises:
        PermanentError: nothing was ever decided about one of them.
    """
    unknown = [identity for identity in identities if identity not in table.decisions]
    if unknown:
        raise PermanentError(
            f"nothing was decided about {', '.join(unknown[:MAX_NAMED])} of {table.node.key}"
        )
    chosen = (
        [table.decisions[identity] for identity in dict.fromkeys(identities)]
        if identities
        else [one for one in table.decisions.values() if one.stands]
    )
    return [one for one in chosen if partition in (None, one.partition_key)]


def restore(
    session: Session, lake: Lake, node: StagingNode, identities: Iterable[str], author: Author
) -> list[Decision]:
    """Take back whatever was decided about rows."""
    wanted = set(identities)

    def choose(standing: Mapping[str, Decision]) -> Iterable[Decision]:
        for identity in sorted(wanted):
            before = standing.get(identity)
            if before is not None and before.stands:
                yield Decision(before.partition_key, identity, "restore", author.name, author.now)

    return _decide(session, lake, node, choose, author)


def rows_of(table: HeldTable, identities: Sequence[str]) -> list[HeldRow]:
    """Rows by their identities.

    Raises:
        PermanentError: some aren't in quarantine.
    """
    unknown = [identity for identity in identities if identity not in table.rows]
    if unknown:
        named = ", ".join(unknown[:MAX_NAMED])
        more = f" and {len(unknown) - MAX_NAMED} more" if len(unknown) > MAX_NAMED else ""
        raise PermanentError(
            f"not in quarantine of {table.node.key}: {named}{more}; "
            "`data-platform quarantine show` tells what is"
        )
    return [table.rows[identity] for identity in dict.fromkeys(identities)]


def record(
    instance: dg.DagsterInstance, node: StagingNode, table: HeldTable, taken: Sequence[Decision]
) -> None:
    """Tell Dagster who decided what: an observation of quarantine, one a partition.

    Args:
        instance: Dagster's.
        node: the asset.
        table: as it is after the decisions.
        taken: of one kind.
    """
    for partition, count in sorted(Counter(one.partition_key for one in taken).items()):
        rows = [row for row in table.rows.values() if row.partition == partition]
        discarded = sum(row.discarded is not None for row in rows)
        first = taken[0]
        metadata = {
            "data_platform/by": first.decided_by,
            "data_platform/decision": _WORDS[first.kind],
            "data_platform/decision_number": str(first.decision),
            **({"data_platform/because": first.because} if first.because else {}),
            "rows_decided": count,
            "rows_open": len(rows) - discarded,
            "rows_discarded": discarded,
        }
        instance.report_runless_asset_event(
            dg.AssetObservation(
                asset_key(node.quarantine_key),
                partition=None if partition == WHOLE else partition,
                description=f"{count:,} rows {_WORDS[first.kind]} by {first.decided_by}",
                metadata=metadata,
            )
        )


def _decide(
    session: Session, lake: Lake, node: StagingNode, choose: Choose, author: Author
) -> list[Decision]:
    return decide(lake, decisions_table(lake, node.key), session, choose, {"by": author.name})
