"""Which database's transaction a URL opens.

Called by `loading`. Drivers are imported when something connects.
"""

# ruff: noqa: PLC0415 -- as said above

from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from data_platform.engine.work import Work
from data_platform.errors import StorageError
from data_platform.plan.sources.queries import dialect_of
from data_platform.targets.databases.transactions import Transaction


def begun(
    url: str, what: str, work: Work, *, reads: bool = False
) -> AbstractContextManager[Transaction]:
    """A transaction; what isn't committed in the block is undone.

    Args:
        url: of the database, with secrets in place.
        what: is loaded, for messages.
        work: by which its statements are ended from outside.
        reads: whether nothing is written in it: a database that is a file isn't made then, and
            others may read it meanwhile.

    Raises:
        StorageUnavailable: in the block: the database can't be reached, or broke off.
        StorageError: in the block: the database refuses.
    """
    match dialect_of(url):
        case "postgres":
            from data_platform.targets.databases.postgres import begun as in_postgres

            return in_postgres(url, what, work)
        case "sqlite":
            from data_platform.targets.databases.sqlite import begun as in_sqlite

            return in_sqlite(_file(url, what), what, work, reads=reads)
        case "duckdb":
            from data_platform.targets.databases.duckdb_file import begun as in_duckdb

            return in_duckdb(_file(url, what), what, work, reads=reads)
        case _:
            raise StorageError(
                f"{what}: a destination of type database is in PostgreSQL, or in a file of SQLite "
                f"or of DuckDB, not in {urlsplit(url).scheme}"
            )


def _file(url: str, what: str) -> Path:
    """The file that a URL names; a folder that isn't there may be a disk that isn't mounted."""
    path = Path(unquote(urlsplit(url).path)[1:])
    scheme = urlsplit(url).scheme
    if not path.name:
        raise StorageError(f"{what}: {scheme}:// names no file, as {scheme}:///folder/file does")
    if not path.parent.is_dir():
        raise StorageError(
            f"{what} in {scheme}:///{path}: there is no folder {path.parent}; make it, or mend the "
            "connection's URL"
        )
    return path
