"""Which database's transaction a URL opens.

Called by `loading`. Drivers are imported when something connects.
"""

# ruff: noqa: PLC0415 -- as said above

from contextlib import AbstractContextManager

from data_platform.engine.work import Work
from data_platform.errors import StorageError
from data_platform.plan.sources.queries import dialect_of
from data_platform.targets.databases.transactions import Transaction


def begun(url: str, what: str, work: Work) -> AbstractContextManager[Transaction]:
    """A transaction; what isn't committed in the block is undone.

    Args:
        url: of the database, with secrets in place.
        what: is loaded, for messages.
        work: by which its statements are ended from outside.

    Raises:
        StorageUnavailable: in the block: the database can't be reached, or broke off.
        StorageError: in the block: the database refuses.
    """
    match dialect_of(url):
        case "postgres":
            from data_platform.targets.databases.postgres import begun as in_postgres

            return in_postgres(url, what, work)
        case _:
            raise StorageError(f"{what}: its database isn't one that a destination can be in")
