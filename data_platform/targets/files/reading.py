"""Files in scratch, read back before anybody sees them: for the rules of a destination.

Given to the judge by `delivering`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import assert_never

import pyarrow as pa

from data_platform.engine.session import Session
from data_platform.plan.destinations.kinds import FileTarget
from data_platform.plan.naming import PARTITION
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.targets.files.texts import from_field, from_json_value
from data_platform.targets.files.writing import Staged

LONGEST_OBJECT, LONGEST_LINE = 32 * 1024 * 1024, 8 * 1024 * 1024
"""Bytes of a line of JSON and of CSV; the readers hold some of that size."""
_FILES = "_staged_files"


class StagedRows:
    """The rows of files that aren't in their place yet.

    Args:
        target: how they are written.
        columns: names and DuckDB types of what was written.
        files: by partition.
    """

    def __init__(
        self, target: FileTarget, columns: Mapping[str, str], files: Mapping[str, Staged]
    ) -> None:
        self._target, self._columns, self._files = target, columns, files

    def keep(
        self,
        session: Session,
        relation: str,
        keys: Sequence[str],
        columns: Collection[str] | None,
    ) -> None:
        """Keep the rows of some partitions in a session, with `_partition`."""
        wanted = None if columns is None else {name.lower() for name in columns}
        kept = [name for name in self._columns if wanted is None or name.lower() in wanted]
        paths = {key: str(self._files[key].path) for key in keys}
        session.register(_FILES, pa.table({"_path": [*paths.values()], PARTITION: [*paths]}))
        values = "".join(f"{self._value(name)} AS {quoted(name)}, " for name in kept)
        session.run(
            f"CREATE OR REPLACE TEMP TABLE {quoted(relation)} AS SELECT {values}f.{PARTITION} "
            f"FROM {self._source([*paths.values()])} AS r JOIN {_FILES} AS f "
            "ON r.filename = f._path"
        )
        session.connection.unregister(_FILES)

    def keep_others(
        self,
        session: Session,  # noqa: ARG002
        relation: str,  # noqa: ARG002
        keys: Sequence[str],  # noqa: ARG002
        columns: Collection[str],  # noqa: ARG002
    ) -> bool:
        """Never: the plan refuses rules that ask for other files."""
        return False

    def _value(self, name: str) -> str:
        kind = self._columns[name]
        match self._target.format:
            case "parquet":
                return quoted(name)
            case "csv":
                return from_field(name, kind)
            case "jsonl":
                return from_json_value(name, kind)
            case _:
                assert_never(self._target.format)

    def _source(self, paths: Sequence[str]) -> str:
        files = f"[{', '.join(map(literal, paths))}]"
        match self._target.format:
            case "parquet":
                return f"read_parquet({files}, filename = true)"
            case "csv":
                return f"read_csv({files}, {self._csv_options()})"
            case "jsonl":
                return (
                    f"read_json({files}, format = 'newline_delimited', "
                    f"compression = {literal(self._target.compression)}, "
                    f"columns = {self._typed('JSON')}, filename = true, "
                    f"maximum_object_size = {LONGEST_OBJECT})"
                )
            case _:
                assert_never(self._target.format)

    def _csv_options(self) -> str:
        csv = self._target.csv
        return (
            f"auto_detect = false, header = {csv.header}, delim = {literal(csv.delimiter)}, "
            f"nullstr = {literal(csv.null_value)}, allow_quoted_nulls = false, "
            """quote = '"', escape = '"', strict_mode = true, filename = true, """
            f"compression = {literal(self._target.compression)}, "
            f"max_line_size = {LONGEST_LINE}, columns = {self._typed('VARCHAR')}"
        )

    def _typed(self, kind: str) -> str:
        return f"{{{', '.join(f'{literal(name)}: {literal(kind)}' for name in self._columns)}}}"
