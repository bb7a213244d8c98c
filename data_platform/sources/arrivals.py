"""What a source is asked and what it gives: the one form that all kinds of sources share.

`raw.extraction` asks; each module of a kind has an `arriving(question)` that answers. What comes is
readable while the answer is open, and may be readable only once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data_platform.engine.outside import Outside
from data_platform.engine.session import Session
from data_platform.engine.work import Work
from data_platform.plan.nodes import RawNode

Marks = Mapping[str, str]
"""What a source says of its own state, such as an ETag or a hash of a listing of files."""


@dataclass(frozen=True)
class Landing:
    """What was noted when a partition landed, to be asked again no more than is needed.

    Attributes:
        asked: a hash of what was asked: the declaration, the partition, the parameters.
        at: when it was read; aware.
        marks: what the source said of its state.
    """

    asked: str
    at: datetime
    marks: Marks


@dataclass(frozen=True)
class Question:
    """What a source is asked in one step.

    Attributes:
        node: the raw asset.
        keys: contiguous partitions, or `WHOLE` alone.
        session: in which what comes is made readable.
        scratch: a folder of this step's own.
        outside: what it connects to.
        types: DuckDB's types of columns that are known: of the table, and of the contract.
        position: how far the newest batch of an incremental source got, as it was committed with
            it; None on a first run.
        landings: of partitions whose data still stands as it landed.
        parameters: values of the run's configuration, by name.
        work: by which a step is ended from outside, and where rows are counted.
        now: aware.
        keep_bad: keeps a copy of a file that can't be read, by a name and with what is said of it;
            None keeps none.
        run_id: of Dagster's run, where there is one.
    """

    node: RawNode
    keys: Sequence[str]
    session: Session
    scratch: Path
    outside: Outside
    types: Mapping[str, str] = field(default_factory=dict[str, str])
    position: Mapping[str, Any] | None = None
    landings: Mapping[str, Landing] = field(default_factory=dict[str, Landing])
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    work: Work = field(default_factory=Work)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    keep_bad: Callable[[str, Path, Mapping[str, Any]], None] | None = None
    run_id: str | None = None


@dataclass(frozen=True)
class Notice:
    """Something to warn about, which keeps nothing back.

    Attributes:
        name: of the check.
        partition: which it is about.
        count: of what there is to warn about; 0 passes.
        detail: in words.
    """

    name: str
    partition: str
    count: int
    detail: str


@dataclass(frozen=True)
class Arrival:
    """What a source gives.

    Attributes:
        query: a SELECT of its rows with `_partition`, NULL where they belong to none; None where
            nothing is to be landed.
        failed: why a partition has nothing to land, by partition.
        unchanged: partitions that the source says are as they landed last: nothing came.
        marks: what the source says of its state, by partition.
        position: how far it got, to be committed with the rows.
        notices: to warn about.
        outside: how many rows belong to no partition, beside those of the query whose `_partition`
            is NULL; None where nobody looked.
        provenance: whether the query has the columns of `PROVENANCE` too.
        said: metadata of a partition's materialization, by partition.
        mended: what to read instead where reading the query broke with this error; None where
            nothing can be left out. It raises where there is nothing to leave out.
    """

    query: str | None
    failed: Mapping[str, str] = field(default_factory=dict[str, str])
    unchanged: frozenset[str] = frozenset()
    marks: Mapping[str, Marks] = field(default_factory=dict[str, Marks])
    position: Mapping[str, Any] | None = None
    notices: Sequence[Notice] = ()
    outside: int | None = None
    provenance: bool = False
    said: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    mended: "Callable[[Exception], Arrival] | None" = None
