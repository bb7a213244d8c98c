"""Files in quarantine as a table.

Called by `cli`.
"""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from data_platform.observability.bad_files import BadFile
from data_platform.terminal.tables import Column, print_table


def print_bad_files(console: Console, files: Sequence[BadFile]) -> None:
    """Print which files are in quarantine, and where."""
    if not files:
        console.print("no file is in quarantine")
        return
    columns = (
        Column("asset"),
        Column("file", folds=True),
        Column("reason", folds=True),
        Column("kept as", folds=True),
    )
    cells = [(file.asset, file.file, file.reason, file.copy) for file in files]
    print_table(console, columns, cells)
    console.print(f"{len(files):,} file{'s'[: len(files) != 1]} in quarantine")


def bad_files_json(files: Sequence[BadFile]) -> list[dict[str, Any]]:
    """The same as plain values."""
    return [
        {
            "asset": file.asset,
            "file": file.file,
            "reason": file.reason,
            "quarantined": file.quarantined,
            "bytes": file.bytes,
            "copy": file.copy,
            "checksum": file.checksum,
            "run_id": file.run_id,
        }
        for file in files
    ]
