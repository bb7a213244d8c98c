"""What a person's function gave, as rows that statements read.

Called by the stages' steps, after `given_rows` wrote it.
"""

from collections.abc import Iterable, Mapping, Sequence

from data_platform.engine.given_rows import CALL
from data_platform.engine.session import Session
from data_platform.errors import FunctionError
from data_platform.plan.naming import FILE, PARTITION, ROW
from data_platform.plan.sql.expressions import literal, quoted


def show_given(
    session: Session,
    relation: str,
    files: Mapping[str, list[str]],
    keys: Sequence[str],
    otherwise: Mapping[str, str],
    flags: Mapping[str, Iterable[str]],
) -> None:
    """Make what a function gave readable, columns matched by name, with `_partition`.

    Args:
        session: in which it is read.
        relation: the name.
        files: of each partition.
        keys: the list of partitions that files were numbered by.
        otherwise: the columns and types where no call told any.
        flags: further columns that are true in some partitions, and these.

    Raises:
        FunctionError: no columns are known.
    """
    paths = sorted(path for found in files.values() for path in found)
    if not paths and not otherwise:
        raise FunctionError(
            "gave no rows, and nothing says which columns there are: "
            "return an empty DataFrame or Table with its columns, or name them in `columns`"
        )
    added = "".join(
        f", {PARTITION} IN ({', '.join(map(literal, there)) or 'NULL'}) IS TRUE AS {quoted(flag)}"
        for flag, there in flags.items()
    )
    if paths:
        # The path of its file with each row would be as much as the row: it is a number in memory.
        names = f"files of {relation}"
        session.run(f"CREATE TEMP TYPE {quoted(names)} AS ENUM ({', '.join(map(literal, paths))})")
        select = _reading(paths, keys, quoted(names))
    else:
        select = _nothing(otherwise)
    session.run(f"CREATE TEMP VIEW {quoted(relation)} AS SELECT *{added} FROM ({select})")


def _reading(paths: Iterable[str], keys: Iterable[str], file_type: str) -> str:
    listed = ", ".join(map(literal, paths))
    names = ", ".join(map(literal, keys))
    options = (
        f"union_by_name = true, filename = '{FILE}', file_row_number = true, "
        f"hive_partitioning = true, hive_types = {{'{CALL}': INTEGER}}"
    )
    return (
        f"SELECT * EXCLUDE ({CALL}, {FILE}, file_row_number), [{names}][{CALL}] AS {PARTITION}, "
        f"CAST({FILE} AS {file_type}) AS {FILE}, file_row_number AS {ROW} "
        f"FROM read_parquet([{listed}], {options})"
    )


def _nothing(columns: Mapping[str, str]) -> str:
    hidden = {PARTITION: "VARCHAR", FILE: "VARCHAR", ROW: "BIGINT"}
    types = {**columns, **hidden}
    listed = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in types.items())
    return f"SELECT {listed} WHERE FALSE"
