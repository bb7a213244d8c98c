"""DuckDB for one step: in memory, spilling to scratch, closed to everything that wasn't named.

Called by the stages. Reads the files of one snapshot by list, so that what it reads can't change
under it; extensions are never fetched.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow comes without types.

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from data_platform.engine.lake_files import LakeFiles, reading
from data_platform.engine.work import Work
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.plan.sql.masks import MACROS, blocks_of
from data_platform.spec.parameters import ParameterValue

if TYPE_CHECKING:
    import pyarrow as pa

    from data_platform.engine.object_files import ObjectFiles
    from data_platform.engine.object_store import ObjectStore


class Session:
    """A connection and the relations that are known to it.

    Args:
        connection: to DuckDB.
        bucket: in which files of the lake are, where they are in one.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, bucket: "ObjectStore | None" = None
    ) -> None:
        self.connection = connection
        self._shown = 0
        self.parameters: dict[str, ParameterValue] = {}
        """Values of the run, by name, as functions of people get them."""
        self.work = Work()
        """Of the step."""
        self._objects = self._files_in(bucket) if bucket is not None else None

    def _files_in(self, bucket: "ObjectStore") -> "ObjectFiles":
        from data_platform.engine.object_files import (  # noqa: PLC0415 -- see `duckdb_type`
            SETTINGS,
            ObjectFiles,
        )

        files = ObjectFiles(bucket, self._go_on)
        for name, value in SETTINGS.items():
            self.connection.execute(f"SET {name} = {value}")
        self.connection.register_filesystem(files)
        return files

    def _go_on(self) -> None:
        # Of the work of that moment: it is set once the session is there.
        self.work.go_on()

    @contextmanager
    def telling(self) -> Generator[None]:
        """What went wrong with the bucket in here, in place of what DuckDB made of it."""
        if self._objects is None:
            yield
            return
        self._objects.failure = None
        try:
            yield
        except Exception as error:
            failure, self._objects.failure = self._objects.failure, None
            if failure is None or error is failure:
                raise
            raise failure from None

    def close(self) -> None:
        """Nothing is read any more."""
        if self._objects is not None:
            self._objects.close()
        self.connection.close()

    def rows(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement and fetch what it gives."""
        self.work.go_on()
        with self.telling():
            return self.connection.execute(sql, parameters or None).fetchall()

    def run(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run one statement for its effect."""
        self.work.go_on()
        with self.telling():
            self.connection.execute(sql, parameters or None)

    def set(self, name: str, value: ParameterValue, kind: str) -> None:
        """Give a parameter of the run its value: SQL has it as a variable.

        Args:
            name: of the parameter.
            value: never a part of the statement.
            kind: DuckDB's type.
        """
        self.run(f"SET VARIABLE {quoted(name)} = CAST($value AS {kind})", {"value": value})
        self.parameters[name] = value

    def mask_by(self, key: str | None) -> None:
        """Make masking possible, by a key where there is one: it is in no statement.

        Raises:
            PermanentError: the key is too short.
        """
        for macro in MACROS:
            self.run(macro)
        for name, block in blocks_of(key).items() if key is not None else ():
            self.run(f"SET VARIABLE {quoted(name)} = $block", {"block": block})

    def columns(self, sql: str) -> dict[str, str]:
        """The names and types of what a statement would give."""
        return {str(row[0]): str(row[1]) for row in self.rows(f"DESCRIBE {sql}")}

    def show(
        self, relation: str, files: LakeFiles, *, hidden: bool = True, provenance: bool = False
    ) -> None:
        """Make files of the lake readable under a name.

        Args:
            relation: the name.
            files: of one snapshot.
            hidden: whether the platform's own columns are there too.
            provenance: whether the columns that tell a row's file are.
        """
        if self._objects is not None and files.sizes:
            sizes = dict(zip(files.paths, files.sizes, strict=True))
            self._objects.know(sizes, all_opened=provenance or not files.uniform)
        names = self._file_names(files.paths) if hidden or files.newest else None
        query = reading(files, names, hidden=hidden, provenance=provenance)
        self.run(f"CREATE OR REPLACE TEMP VIEW {quoted(relation)} AS {query}")

    def keep(self, relation: str) -> None:
        """Read what a view shows once, for many statements over it."""
        self.run(f"CREATE TEMP TABLE _kept AS SELECT * FROM {quoted(relation)}")
        self.run(f"DROP VIEW {quoted(relation)}")
        self.run(f"ALTER TABLE _kept RENAME TO {quoted(relation)}")

    def forget(self, relation: str) -> None:
        """Let go of a view or table, there or not."""
        kinds = self.rows(
            "SELECT table_type FROM information_schema.tables WHERE table_name = $name",
            {"name": relation},
        )
        for (kind,) in kinds:
            self.run(f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} {quoted(relation)}")

    def _file_names(self, paths: Sequence[str]) -> str:
        """A type for the names of files: a number in memory, where text takes 130 bytes a row."""
        if not paths:
            return "VARCHAR"
        self._shown += 1
        name = f"_files_{self._shown}"
        listed = ", ".join(map(literal, sorted(set(paths))))
        self.run(f"CREATE TEMP TYPE {name} AS ENUM ({listed})")
        return name

    def register(self, relation: str, reader: "pa.RecordBatchReader | pa.Table") -> None:
        """Make Arrow data readable under a name; a reader can be read once."""
        self.connection.register(relation, reader)


@contextmanager
def open_session(
    scratch: Path,
    folders: Sequence[Path | str],
    memory_limit: str,
    threads: int | None = None,
    timezone: str = "UTC",
    bucket: "ObjectStore | None" = None,
) -> Generator[Session]:
    """A session that can read and write in these folders and nowhere else.

    Args:
        scratch: for what doesn't fit into memory.
        folders: that statements may name.
        memory_limit: such as `1GB`.
        threads: None means one a core.
        timezone: in which times without a zone are meant.
        bucket: in which files of the lake are; `folders` say which of its keys.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": memory_limit,
        "temp_directory": str(scratch),
        "preserve_insertion_order": "false",
        "python_enable_replacements": "false",
        # Of eight by default: with many small files handing them over costs more than writing.
        "async_threads": "1",
        # Rows of a partition that are held until they are written. Of half a million by default a
        # month of days holds 15 million: 1 GB of a landing whose batches take some MB.
        "partitioned_write_flush_threshold": "20480",
    }
    if threads is not None:
        config["threads"] = str(threads)
    session = Session(duckdb.connect(config=config), bucket)
    connection = session.connection
    try:
        allowed = ", ".join(literal(f"{folder}") for folder in [scratch, *folders])
        connection.execute(f"SET TimeZone = {literal(timezone)}")
        connection.execute(f"SET allowed_directories = [{allowed}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET lock_configuration = true")
        with session.telling():
            yield session
    finally:
        session.close()
