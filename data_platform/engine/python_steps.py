"""Functions between steps of SQL: rows go out partition by partition, and what comes back is read.

Called by `staging.computing` before its statement, whose steps read the results by a name. Rows are
a stream in the order of their source, so that no more than a chunk of each worker is in memory, and
a function never sees rows of two partitions: a range gives what single runs give.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow comes without types.

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import pyarrow as pa

from data_platform.engine.discretion import database_words
from data_platform.engine.session import Session
from data_platform.engine.shown_rows import show_given
from data_platform.engine.work import Work as StepWork
from data_platform.engine.worker_process import Answer, Chunk, Work, answer
from data_platform.engine.workers import Workers
from data_platform.errors import ContractError, FunctionError
from data_platform.plan.checks.kinds import RowCheck
from data_platform.plan.naming import FILE, HIDDEN_TYPES, PARTITION, ROW
from data_platform.plan.nodes import PythonCall, StagingNode, Step, statement_of
from data_platform.plan.sql.expressions import quoted

BATCH_ROWS = 16_384
FLAG = "_converts_"
"""How the names of the columns begin that say whether a value didn't convert."""


def run_calls(
    session: Session, node: StagingNode, keys: Sequence[str], scratch: Path
) -> dict[str, str]:
    """Call the functions of a staging asset, and make what they gave readable.

    Args:
        session: in which the asset's inputs are readable.
        node: the asset.
        keys: its partitions.
        scratch: a folder of this step's own.

    Returns:
        Why partitions have no results, by partition.

    Raises:
        ContractError: the steps before can't be computed.
        FunctionError: of no partition it is known which columns come.
    """
    failed: dict[str, str] = {}
    for number, step in enumerate(node.steps):
        if step.python is None:
            continue
        ready = [key for key in keys if key not in failed]
        if not ready:
            break
        folder = scratch / f"calls-{number}"
        function = step.python.function.given(session.parameters)
        call = replace(step.python, function=function)
        going = _Going(node, call, node.steps[:number], ready, folder, session.work)
        failed |= going.run(session)
    return failed


@dataclass
class _Going:
    """The rows' way out of SQL and back, for one step.

    Attributes:
        node: the asset.
        call: of the function.
        before: the steps before it.
        keys: the partitions.
        folder: for what it gives.
        step: by which it is ended from outside.
    """

    node: StagingNode
    call: PythonCall
    before: tuple[Step, ...]
    keys: list[str]
    folder: Path
    step: StepWork
    failed: dict[str, str] = field(default_factory=dict[str, str])

    def run(self, session: Session) -> dict[str, str]:
        with _translated(self.node):
            columns = list(session.columns(self._select("*")))
            flags = self._flags(session, [name for name in columns if name.startswith(FLAG)])
            visible = [
                name for name in columns if name not in HIDDEN_TYPES and not name.startswith(FLAG)
            ]
            files = self._answers(self._rows(session, columns, visible))
        sound = [key for key in self.keys if key not in self.failed]
        if sound:
            self._show(session, files, flags)
        return self.failed

    def _select(self, what: str, tail: str = "") -> str:
        return statement_of(self.before, f"SELECT {what}\nFROM {self.before[-1].name}{tail}")

    def _show(
        self, session: Session, files: Mapping[str, list[str]], flags: Mapping[str, list[str]]
    ) -> None:
        contract = self.node.contract
        promised = {column.name: column.type for column in contract.columns} if contract else {}
        otherwise = {name: kind or "VARCHAR" for name, kind in promised.items()}
        try:
            show_given(session, self.call.relation, files, self.keys, otherwise, flags)
        except FunctionError as error:
            written = self.call.function.written
            raise FunctionError(f"{self.node.key}: {written} {error}") from None

    def _flags(self, session: Session, flags: Sequence[str]) -> dict[str, list[str]]:
        """The partitions in which a value didn't convert, by flag.

        A function may merge any rows, so what breaks the asset's rule ends here; where the rule
        only warns, all rows of the partition stand for the one.
        """
        if not flags:
            return {}
        counts = ", ".join(f"COUNT_IF({quoted(flag)})" for flag in flags)
        select = self._select(f"{PARTITION}, {counts}", f"\nGROUP BY {PARTITION}")
        found: dict[str, list[str]] = {flag: [] for flag in flags}
        for key, *numbers in session.rows(select):
            for flag, number in zip(flags, numbers, strict=True):
                if number:
                    found[flag].append(str(key))
                    self._judge(str(key), flag, int(number))
        return found

    def _judge(self, key: str, flag: str, count: int) -> None:
        check = next(
            check
            for check in self.node.checks
            if isinstance(check, RowCheck) and quoted(flag) in check.offends
        )
        if check.effect != "fail" or key in self.failed:
            return
        column = next((name for name, part in check.parts.items() if quoted(flag) in part), flag)
        values = f"{count:,} value{'s'[: count != 1]} of {column}"
        self.failed[key] = (
            f"{check.name}: {values} can't be converted, before {self.call.function.written}"
        )

    def _rows(
        self, session: Session, columns: Sequence[str], visible: Sequence[str]
    ) -> Iterator[Chunk]:
        """The rows in chunks, in the order of their source; a partition without rows is one too."""
        order = [name for name in (FILE, ROW) if name in columns] or visible
        listed = ", ".join(quoted(name) for name in (PARTITION, *order))
        selected = ", ".join(quoted(name) for name in (PARTITION, *visible))
        relation = session.connection.sql(self._select(selected, f"\nORDER BY {listed}"))
        numbers = {key: number for number, key in enumerate(self.keys, 1)}
        with closing(relation.to_arrow_reader(BATCH_ROWS)) as reader:
            empty = reader.schema.empty_table().drop_columns([PARTITION])
            seen: set[str] = set()
            for key, parts in _by_partition(reader):
                seen.add(key)
                if key not in numbers:
                    continue
                first = 1
                for part, rows in enumerate(_chunks(parts, self.call.chunk_size), 1):
                    yield Chunk(key, numbers[key], part, first, rows)
                    first += rows.num_rows
        for key in self.keys:
            if key not in seen:
                yield Chunk(key, numbers[key], 1, 1, empty)

    def _answers(self, chunks: Iterator[Chunk]) -> dict[str, list[str]]:
        """The files of each partition that came through."""
        work = Work(self.call.function, self.call.input, self.folder)
        files: dict[str, list[str]] = {}
        wanted = (chunk for chunk in chunks if chunk.key not in self.failed)
        for chunk, given in self._answered(work, wanted):
            files.setdefault(chunk.key, []).extend(given.files)
            if given.error is not None:
                about = (
                    f" at {chunk}" if self.call.chunk_size and f"{chunk}" not in given.error else ""
                )
                self.failed.setdefault(chunk.key, f"{given.error}{about}")
        return {key: sorted(found) for key, found in files.items() if key not in self.failed}

    def _answered(self, work: Work, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Answer]]:
        if self.call.num_workers is None:
            for chunk in chunks:
                self.step.go_on()
                yield chunk, answer(work, chunk)
            return
        with Workers(work, self.call.num_workers) as workers, self.step.stoppable(workers.kill):
            for answered in workers.run(chunks):
                self.step.go_on()
                yield answered


def _by_partition(reader: pa.RecordBatchReader) -> Iterator[tuple[str, Iterator[pa.Table]]]:
    """Rows that are ordered by partition, apart; each part is to be read before the next."""
    pending = _runs(reader)
    current = next(pending, None)
    while current is not None:
        key = current[0]

        def parts(key: str = key) -> Iterator[pa.Table]:
            nonlocal current
            while current is not None and current[0] == key:
                yield current[1]
                current = next(pending, None)

        yield key, parts()
        while current is not None and current[0] == key:
            current = next(pending, None)


def _runs(reader: pa.RecordBatchReader) -> Iterator[tuple[str, pa.Table]]:
    for batch in reader:
        table = pa.Table.from_batches([batch])
        keys = table[PARTITION].to_pylist()
        rows = table.drop_columns([PARTITION])
        start = 0
        while start < len(keys):
            end = start + keys[start:].count(keys[start])
            yield str(keys[start]), rows.slice(start, end - start)
            start = end


def _chunks(parts: Iterable[pa.Table], size: int | None) -> Iterator[pa.Table]:
    """Tables of `size` rows, the last one of fewer; all in one where there is no size."""
    waiting: list[pa.Table] = []
    count = 0
    for part in parts:
        waiting.append(part)
        count += part.num_rows
        while size is not None and count >= size:
            together = pa.concat_tables(waiting)
            yield together.slice(0, size).combine_chunks()
            waiting, count = [together.slice(size)], count - size
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


@contextmanager
def _translated(node: StagingNode) -> Generator[None]:
    """DuckDB's errors in the steps before, as what they are about."""
    try:
        yield
    except (duckdb.DataError, duckdb.ProgrammingError) as error:
        about = database_words(error, discreet=node.discreet)
        raise ContractError(f"{node.key}: {about}") from (None if node.discreet else error)
