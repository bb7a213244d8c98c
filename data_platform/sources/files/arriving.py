"""Rows of files: find them, let them settle, take them, read them, leave the bad ones out.

Called by `sources.answering`. All files are read together; only where that fails each is looked at
by itself, and those that can't be read go to quarantine while the others go on.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow comes without types.

import functools
import hashlib
import itertools
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import duckdb
import pyarrow as pa

from data_platform.engine.partition_keys import value_of
from data_platform.errors import SourceError, SourceUnavailable
from data_platform.plan.naming import (
    BAD_FILES,
    PARTITION,
    PROVENANCE,
    RESERVED_COLUMNS,
    SOURCE_FILES,
)
from data_platform.plan.partitions import Dimension
from data_platform.plan.sources.file_paths import is_repeated
from data_platform.plan.sources.kinds import Files
from data_platform.plan.sources.told import told_dimensions
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.sources.arrivals import Arrival, Notice, Question
from data_platform.sources.files.finding import find, look_at, pattern_of, store_of
from data_platform.sources.files.found import Bad, Found, Taken
from data_platform.sources.files.reading import READ_FROM, Known, rows_query
from data_platform.sources.files.refusing import bad_ones, in_words, is_of_files, keep
from data_platform.sources.files.settling import settled
from data_platform.sources.files.taking import Taker
from data_platform.sources.translated import translated

_NUMBERS = itertools.count(1)
LISTING = "listing"
"""The mark of a partition's files."""
FILES = "files"
"""Metadata of a partition: how many there are."""
TOLD, REASONS = 20, 3
"""Files that a materialization names, reasons that a check does."""


@dataclass(frozen=True)
class Batch:
    """The files of a step.

    Attributes:
        sound: those that can be read as far as is known, by partition.
        bad: those that can't, by partition.
        failed: why a partition has no files.
        unchanged: partitions whose files are as they were when they landed last.
        marks: of the listing of each partition.
        repeated: partitions whose files are those of an hour of the same name before: no row of
            them is theirs.
    """

    sound: Mapping[str, Sequence[Taken]] = field(default_factory=dict[str, Sequence[Taken]])
    bad: Mapping[str, Sequence[Bad]] = field(default_factory=dict[str, Sequence[Bad]])
    failed: Mapping[str, str] = field(default_factory=dict[str, str])
    unchanged: frozenset[str] = frozenset()
    marks: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    repeated: frozenset[str] = frozenset()

    @property
    def files(self) -> list[Taken]:
        """All sound ones."""
        return [file for files in self.sound.values() for file in files]

    def without(self, bad: Sequence[Bad]) -> "Batch":
        """The batch with some of its sound files known as bad."""
        by_name = {file.found.name: file for file in bad}
        sound = {
            key: [file for file in files if file.found.name not in by_name]
            for key, files in self.sound.items()
        }
        found = {
            key: [by_name[file.found.name] for file in files if file.found.name in by_name]
            for key, files in self.sound.items()
        }
        both = {key: [*self.bad.get(key, ()), *found[key]] for key in self.sound}
        return replace(self, sound=sound, bad=both)


@contextmanager
def arriving(question: Question, source: Files) -> Generator[Arrival]:
    """The rows of the files of each partition; one without files fails by itself.

    Raises:
        SourceError: no file can be read as the pipeline says.
        SourceUnavailable: the bucket can't be reached, or a file changed while it was read.
    """
    with translated(source.path):
        batch = _taken(question, source)
        for bad in {b.found.name: b for files in batch.bad.values() for b in files}.values():
            keep(question, bad)
        yield _answer(question, source, batch)
        _check_unchanged(batch)


def _taken(question: Question, source: Files) -> Batch:
    store, partitions = store_of(source, question.outside), question.node.partitions
    found: dict[str, list[Found]] = {}
    failed: dict[str, str] = {}
    # Partitions that rows tell apart have their files in common.
    look = functools.cache(functools.partial(find, store=store))
    for key in question.keys:
        question.work.go_on()
        try:
            found[key] = look(pattern_of(source.path, partitions, key))
        except SourceError as error:
            failed[key] = str(error)
    if store is None:
        files = {file.name: file for listed in found.values() for file in listed}
        still = settled(list(files.values()), source.settle, question.scratch, question.work)
        now = {file.name: file for file in still}
        found = {key: [now[file.name] for file in files] for key, files in found.items()}
    marks = {key: {LISTING: listing_mark(files)} for key, files in found.items()}
    unchanged = _unchanged(question, marks)
    wanted = {
        file.name: file for key, files in found.items() if key not in unchanged for file in files
    }
    folder = question.scratch / "taken"
    folder.mkdir()
    taker = Taker(source, store, folder, question.work)
    taken = dict(zip(wanted, taker.take(list(wanted.values())), strict=True))
    by_key = {
        key: [taken[file.name] for file in files]
        for key, files in found.items()
        if key not in unchanged
    }
    return Batch(
        {key: [f for f in files if isinstance(f, Taken)] for key, files in by_key.items()},
        {key: [f for f in files if isinstance(f, Bad)] for key, files in by_key.items()},
        failed,
        unchanged,
        marks,
        frozenset(key for key in question.keys if is_repeated(source.path, partitions, key)),
    )


def listing_mark(files: Sequence[Found]) -> str:
    """Of a partition's files, in order of their names."""
    text = "\n".join(f"{file.name}|{file.bytes}|{file.mark}" for file in files)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _unchanged(question: Question, marks: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    if question.node.skip_for is None:
        return frozenset()
    return frozenset(
        key
        for key, mark in marks.items()
        if (landing := question.landings.get(key)) and landing.marks.get(LISTING) == mark[LISTING]
    )


def _answer(question: Question, source: Files, batch: Batch) -> Arrival:
    """The arrival of a batch; where it can't be read together, that of its sound files."""

    def mended(error: Exception) -> Arrival:
        if not is_of_files(error):
            raise error
        bad = bad_ones(question, source, batch.files, _known(question))
        if not bad:
            said = str(error) if isinstance(error, SourceError) else in_words(error)
            raise SourceError(f"{source.path}: {said}") from error
        for file in bad:
            keep(question, file)
        return _arrival(question, source, batch.without(bad))

    try:
        return replace(_arrival(question, source, batch), mended=mended)
    except (duckdb.Error, SourceError) as error:
        return mended(error)


def _arrival(question: Question, source: Files, batch: Batch) -> Arrival:
    failed = dict(batch.failed)
    for key, files in batch.sound.items():
        if not files:
            failed[key] = _all_bad(batch.bad[key])
    query = None
    if batch.files:
        rows = rows_query(question.session, source, batch.files, _known(question))
        _check_names(question.session.columns(rows))
        told = _told(question, source, question.session.columns(rows))
        origins = _show_origins(question, batch, told)
        own = ", ".join([PARTITION, *PROVENANCE])
        belongs = "".join(
            f" AND {value_of(one, f'r.{quoted(one.column)}')} "
            f"IS NOT DISTINCT FROM o.{_told_column(one)}"
            for one in told
        )
        query = (
            f"SELECT r.* EXCLUDE ({READ_FROM}), {own} FROM ({rows}) AS r "
            f"JOIN {origins} AS o ON r.{READ_FROM} = o.{READ_FROM}{belongs}"
        )
    return Arrival(
        query,
        failed,
        batch.unchanged,
        batch.marks,
        notices=_notices(question, batch, failed),
        provenance=True,
        said={key: _said(files) for key, files in batch.sound.items() if files},
    )


def _check_names(columns: Iterable[str]) -> None:
    taken = [name for name in columns if name.lower() in RESERVED_COLUMNS]
    if taken:
        names = ", ".join(taken)
        raise SourceError(f"columns {names} have names that the platform needs; rename them")


def _told(question: Question, source: Files, columns: Iterable[str]) -> list[Dimension]:
    """The dimensions whose values rows tell, by columns that there are.

    Raises:
        SourceError: there is no such column.
    """
    partitions = question.node.partitions
    names = told_dimensions(source, partitions)
    told = [one for one in (partitions.by if partitions else ()) if one.name in names]
    for one in told:
        if one.column not in columns:
            there = ", ".join(name for name in columns if name != READ_FROM)
            raise SourceError(
                f"there is no column {one.column}, which tells the {one.name}; there are {there}. "
                f"Where each file is of one {one.name}, its path says {{{one.name}}}"
            )
    return told


def _told_column(dimension: Dimension) -> str:
    return f"_of_{dimension.name}"


def _known(question: Question) -> Known:
    contract = question.node.contract
    columns = contract.columns if contract else ()
    promised = frozenset(column.name for column in columns if column.type)
    return Known(question.types, promised, question.node.masking)


def _show_origins(question: Question, batch: Batch, told: Sequence[Dimension]) -> str:
    """A table of what stands beside the rows of each file.

    Where rows tell dimensions, a file stands there once for each value that is asked for, and once
    for rows of none. Texts are numbers in it, so that a row takes 20 bytes in memory where it would
    take 200.
    """
    session, partitions = question.session, question.node.partitions
    rows: list[tuple[str | None, Taken]] = [
        (key, file)
        for key, files in batch.sound.items()
        if key not in batch.repeated
        for file in files
    ]
    if told:
        files = {file.path: file for _, file in rows}
        rows += [(None, file) for file in files.values()]
    texts = {
        "_source_file": [file.found.name for _, file in rows],
        "_source_checksum": [file.checksum for _, file in rows],
    }
    numbers = {
        "_source_bytes": [file.found.bytes for _, file in rows],
        "_source_modified": [file.found.modified.replace(tzinfo=None) for _, file in rows],
    }
    where: dict[str, list[str] | list[str | None]] = {
        READ_FROM: [file.path for _, file in rows],
        PARTITION: [key for key, _ in rows],
    }
    for one in told:
        named = [partitions.named_values(key) if partitions and key else {} for key, _ in rows]
        where[_told_column(one)] = [values.get(one.name) for values in named]
    number = next(_NUMBERS)
    session.register(
        f"_origins_read_{number}",
        pa.table({n: pa.array(v, pa.string()) for n, v in where.items()} | {**texts, **numbers}),
    )
    columns = [*where]
    for name, values in texts.items():
        kind = f"{name}_{number}"
        listed = ", ".join(map(literal, sorted(set(values))))
        session.run(f"CREATE TYPE {kind} AS ENUM ({listed})")
        columns.append(f"CAST({name} AS {kind}) AS {name}")
    select = f"SELECT {', '.join([*columns, *numbers])} FROM _origins_read_{number}"
    session.run(f"CREATE TEMP TABLE _origins_{number} AS {select}")
    return f"_origins_{number}"


def _all_bad(bad: Sequence[Bad]) -> str:
    what = "its file is bad" if len(bad) == 1 else f"all {len(bad)} files are bad"
    return f"{what}: {_reasons(bad)}"


def _reasons(bad: Sequence[Bad]) -> str:
    told = [f"{file.found.name}: {file.reason}" for file in bad[:REASONS]]
    more = [f"and {len(bad) - REASONS} more"] if len(bad) > REASONS else []
    return "; ".join([*told, *more])


def _notices(question: Question, batch: Batch, failed: Mapping[str, str]) -> list[Notice]:
    """One a partition that has bad files; where none has, one that says so."""
    found = [
        Notice(BAD_FILES, key, len(bad), f"in quarantine: {_reasons(bad)}")
        for key, bad in batch.bad.items()
        if bad and key not in failed
    ]
    return found or [Notice(BAD_FILES, question.keys[-1], 0, "")]


def _said(files: Sequence[Taken]) -> dict[str, object]:
    told = [
        {
            "file": file.found.name,
            "checksum": file.checksum,
            "bytes": file.found.bytes,
            "modified": file.found.modified.isoformat(timespec="seconds"),
        }
        for file in files[:TOLD]
    ]
    return {FILES: len(files), SOURCE_FILES: told}


def _check_unchanged(batch: Batch) -> None:
    """That no file of this machine became another one while it was read."""
    for file in batch.files:
        found = file.found
        if found.path is None:
            continue
        now = look_at(found.name)
        if now is None or (now.bytes, now.mark) != (found.bytes, found.mark):
            raise SourceUnavailable(f"{found.name} was replaced or removed while it was read")
