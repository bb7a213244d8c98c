"""A table in Redshift that follows an asset of the lake: each version of a partition once.

Called by `targets.answering`. Rows are laid into a bucket as Parquet, then copied, put in the place
of those before and entered into the ledger by one transaction, under a lock that loads of the same
table wait for and readers don't. A load that breaks off anywhere leaves the table as it was; what
it left in the bucket is removed by the next one.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256

from data_platform.engine.outside import Outside
from data_platform.engine.postgres import host
from data_platform.errors import StorageError, StorageUnavailable
from data_platform.plan.destinations.kinds import RedshiftTarget
from data_platform.plan.destinations.redshift import without_type
from data_platform.spec.platform import DatabaseConnection, S3Connection
from data_platform.targets.deliveries import Delivery, Version
from data_platform.targets.redshift import statements
from data_platform.targets.redshift.connecting import Session, opened
from data_platform.targets.redshift.fitting import unfit
from data_platform.targets.redshift.staging import Stage


def deliver(delivery: Delivery, target: RedshiftTarget) -> list[str]:
    """Bring versions of partitions into the table, those that are there already left out.

    Returns:
        The partitions that were loaded.

    Raises:
        StorageUnavailable: Redshift or the bucket can't be reached, or broke off.
        StorageError: the table has other columns, or Redshift refuses.
    """
    url, about = _url(target, delivery.outside), f"table {target.full_name}"
    wanted = _wanted(delivery, target)
    with opened(url, about) as session, delivery.work.stoppable(session.connection.cancel):
        _make_own_tables(session, target)
        session.run(statements.lock(target))
        load = _Load(session, delivery, target, wanted)
        held = load.prepare()
        due = load.due(held)
        if not due:
            return []
        stage = _stage(target, delivery.outside, url)
        stage.clear()
        try:
            load.load(stage, due)
            session.commit()
            load.tell()
        finally:
            # What stays lies in the way of nobody: the next load begins with this.
            with suppress(StorageError, StorageUnavailable):
                stage.clear()
        return due


def held(target: RedshiftTarget, outside: Outside) -> dict[str, Version]:
    """What the ledger says of a table; empty where there is none.

    Raises:
        StorageUnavailable: Redshift can't be reached.
    """
    with opened(_url(target, outside), f"table {target.full_name}") as session:
        names = _names(session, statements.SCHEMA)
        return _entries(session, target) if statements.LEDGER in names else {}


class _Load:
    """One load within its transaction."""

    def __init__(
        self,
        session: Session,
        delivery: Delivery,
        target: RedshiftTarget,
        wanted: Mapping[str, str],
    ) -> None:
        self._session, self._delivery = session, delivery
        self._target, self._wanted = target, wanted
        self._added: list[str] = []

    def tell(self) -> None:
        """Say what became of the table, once it is so."""
        for change in self._added:
            self._delivery.say(change)

    def prepare(self) -> dict[str, Version]:
        """Make the table where it is missing, or the columns that it lacks.

        Returns:
            What it holds, by partition.
        """
        target, session = self._target, self._session
        there = session.rows(statements.columns_of(target.schema, target.table))
        if not there:
            contract = self._delivery.node.contract
            session.run(*statements.make_table(target, self._wanted, contract))
            session.run(statements.forget(target))
            return {}
        names = {str(row[0]).lower() for row in there}
        if wrong := unfit(target, there, self._wanted):
            raise StorageError(wrong)
        for name, kind in self._wanted.items():
            if name.lower() not in names:
                session.run(statements.add_column(target, name, kind))
                self._added.append(f"column {name} ({kind}) was added: NULL in rows before")
        return _entries(session, target)

    def due(self, held: Mapping[str, Version]) -> list[str]:
        """Partitions whose version the table doesn't hold."""
        versions = self._delivery.versions
        due = [
            key
            for key, one in versions.items()
            if key not in held or held[key].data_version != one.data_version
        ]
        changed = [key for key in due if key in held]
        if changed and self._target.write == "append":
            shown = ", ".join(key or "all of it" for key in changed[:3])
            raise StorageError(
                f"table {self._target.full_name}: {shown} was appended in another version, and "
                "`write: append` takes nothing back: delete its rows and its entry in "
                f"{statements.SCHEMA}.{statements.LEDGER}, or use replace_partition"
            )
        return due

    def load(self, stage: Stage, due: list[str]) -> None:
        """Bring the rows of partitions in, all but the commit."""
        delivery, target, session = self._delivery, self._target, self._session
        folder = delivery.scratch / "parts"
        folder.mkdir()
        staged = stage.lay(delivery.rows(due), folder, delivery.work)
        session.run(statements.make_arriving(self._wanted))
        if staged.manifest is not None:
            session.run(statements.copy(target, staged.manifest, _keys(target, delivery.outside)))
        [(arrived,)] = session.rows(statements.count_arrived())
        if arrived != staged.rows:
            raise StorageError(
                f"table {target.full_name}: {staged.rows} rows were laid down, and COPY brought "
                f"{arrived}: nothing was loaded"
            )
        gone = statements.delete(target, delivery.node.partitions, due, self._wanted)
        session.run(*gone, statements.insert(target, self._wanted))
        versions = {key: delivery.versions[key] for key in due}
        session.run(statements.enter(target, versions, delivery.run_id))


def _make_own_tables(session: Session, target: RedshiftTarget) -> None:
    """Before the load's own transaction: a lock on what isn't there can't be taken."""
    needed = {statements.LEDGER, statements.lock_name(target)}
    if not needed <= _names(session, statements.SCHEMA):
        try:
            session.run(*statements.own_tables(target))
        except StorageError:
            # Somebody else may just have made them, which ends one of the two.
            session.rollback()
            if not needed <= _names(session, statements.SCHEMA):
                raise
    session.commit()


def _names(session: Session, schema: str) -> set[str]:
    return {str(name) for (name,) in session.rows(statements.names_of_tables(schema))}


def _entries(session: Session, target: RedshiftTarget) -> dict[str, Version]:
    return {
        str(key): Version(str(version), int(rows))
        for key, version, rows in session.rows(statements.entries(target))
    }


def _wanted(delivery: Delivery, target: RedshiftTarget) -> dict[str, str]:
    found = statements.wanted_columns(target, delivery.node.partitions, delivery.columns)
    _refuse_unknown(target, delivery.columns, found.items())
    return {name: kind for name, kind in found.items() if kind is not None}


def _refuse_unknown(
    target: RedshiftTarget, columns: Mapping[str, str], found: Iterable[tuple[str, str | None]]
) -> None:
    for name, kind in found:
        if kind is None:
            raise StorageError(f"table {target.full_name}: {without_type(name, columns[name])}")


def _url(target: RedshiftTarget, outside: Outside) -> str:
    connection = outside.connection(target.connection)
    assert isinstance(connection, DatabaseConnection)  # noqa: S101 -- the plan has seen to it
    return connection.url


def _keys(target: RedshiftTarget, outside: Outside) -> S3Connection:
    if target.stage_connection is None:
        return S3Connection(type="s3")
    connection = outside.connection(target.stage_connection)
    assert isinstance(connection, S3Connection)  # noqa: S101 -- the plan has seen to it
    return connection


def _stage(target: RedshiftTarget, outside: Outside, url: str) -> Stage:
    """The folder of this table in this database: another one's loads go on beside it."""
    mark = sha256(f"{host(url)} {target.full_name}".encode()).hexdigest()[:12]
    return Stage(target.stage, _keys(target, outside), f"{target.full_name}-{mark}")
