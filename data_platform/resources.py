"""Every outside system on one page, as Dagster resources built from platform.yaml.

Their texts keep `${VAR}` as written, so that no secret is in definitions, runs or the UI; they are
resolved when a step connects.
"""

import functools
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, assert_never

import dagster as dg
from pydantic import Field, PrivateAttr

from data_platform.embedded.server import resolve_url
from data_platform.engine.lake_frames import FrameKind
from data_platform.engine.outside import Outside
from data_platform.engine.postgres import Refused, Unreachable, connected
from data_platform.errors import SourceError, SourceUnavailable
from data_platform.plan.keys import Key
from data_platform.run_tags import pinned_versions
from data_platform.secrets.stores import expand, expand_model, expand_secret
from data_platform.settings import environment, load_settings
from data_platform.sources.database.databases import absolute_url
from data_platform.spec.model import Model
from data_platform.spec.platform import (
    ApiConnection,
    Connection,
    DatabaseConnection,
    KafkaConnection,
    Platform,
    S3Connection,
)
from data_platform.spec.times import duration_words
from data_platform.storage.commits import snapshot_at
from data_platform.storage.lake import Lake, lake_at
from data_platform.storage.scratch import scratch_folder
from data_platform.storage.versions import TableFiles
from data_platform.storage.workbench import Workbench

if TYPE_CHECKING:
    import httpx
    import pyarrow as pa
    from confluent_kafka import Consumer, Producer
    from duckdb import DuckDBPyRelation
    from obstore.store import S3Store
    from sqlalchemy import Connection as DatabaseSession

LAKE = "lake"
As = Literal["pandas", "pyarrow", "polars"]
_KINDS: Mapping[As, FrameKind] = {"pandas": "pandas", "pyarrow": "arrow", "polars": "polars"}


class LakeResource(dg.ConfigurableResource):
    """The lake, and how much of the machine one step may take to work on it."""

    root: str = Field(
        description="The folder of all tables, from the project's home, or s3://bucket/prefix."
    )
    connection: dict[str, Any] | None = Field(
        default=None, description="Of type s3, as platform.yaml has it; None: the usual chain."
    )
    masking_key: str | None = Field(
        default=None, description="By reference: by which values that tell of a person are masked."
    )

    _pinned: Mapping[Key, int] = PrivateAttr(default_factory=dict)
    _folders: ExitStack = PrivateAttr(default_factory=ExitStack)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Called by Dagster before a step: the run may be held to versions of what it reads."""
        if context.run is not None:
            name = f"run {context.run.run_id[:8]}"
            versions = pinned_versions(context.run.tags, name)
            self._pinned = {key: max(some) for key, some in versions.items()}

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        """Called by Dagster after the run's steps."""
        self._folders.close()

    def workbench(self) -> Workbench:
        """The lake with the settings of this machine, as the run sees it."""
        settings = load_settings()
        lake = lake_at(
            expand(self.root, environment()),
            settings.home,
            settings.data_dir,
            expand_model(S3Connection.model_validate(self.connection), environment())
            if self.connection
            else None,
        )
        if self._pinned:
            pinned = {k: snapshot_at(lake.table(k), one) for k, one in self._pinned.items()}
            lake = Lake(lake.place, lake.scratch_root, pinned)
        written = self.masking_key
        key = (
            functools.partial(expand_secret, written, environment())
            if written is not None
            else None
        )
        return Workbench(lake, settings.memory_limit, settings.threads, masking_key=key)

    def read(
        self,
        asset: str,
        partitions: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        as_: As = "pandas",
    ) -> Any:
        """Published rows of an asset: `lake.read("retail.analytics.daily_revenue")`.

        Args:
            asset: as `pipeline.layer.name`, or `layer/pipeline/name`.
            partitions: only these; None means all.
            columns: only these; None means all.
            as_: a frame of pandas or polars, or a table of pyarrow.

        Raises:
            PermanentError: it, or one of the partitions, isn't published.
        """
        from data_platform.storage.asking import table_frame  # noqa: PLC0415

        return table_frame(asset, self.workbench(), _KINDS[as_], partitions, columns)

    @contextmanager
    def scan(
        self,
        asset: str,
        partitions: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> "Generator[DuckDBPyRelation]":
        """The same as a relation of DuckDB, for more rows than fit: read while the block uses it.

        Raises:
            PermanentError: it, or one of the partitions, isn't published.
        """
        from data_platform.storage.asking import table_relation  # noqa: PLC0415

        with table_relation(asset, self.workbench(), partitions, columns) as relation:
            yield relation

    def files(self, asset: str, partitions: Sequence[str] | None = None) -> TableFiles:
        """The files of published rows, for an engine outside: see docs/scale.md.

        Args:
            asset: as `read` takes it.
            partitions: only these; None means all.

        Raises:
            PermanentError: it, or one of the partitions, isn't published, or keeps batches.
        """
        from data_platform.storage.asking import table_files  # noqa: PLC0415

        return table_files(asset, self.workbench(), partitions)

    def scratch(self) -> Path:
        """A new empty folder, for what an engine outside gives: removed when the run ends."""
        return self._folders.enter_context(scratch_folder(self.workbench().lake.scratch_root))

    def query(self, sql: str, as_: As = "pandas") -> Any:
        """The rows of a SELECT over published tables, held to what `data-platform query` may ask.

        Args:
            sql: names tables as `pipeline.layer.name`.
            as_: a frame of pandas or polars, or a table of pyarrow.

        Raises:
            PermanentError: it isn't allowed, names what isn't published, or fails.
        """
        from data_platform.storage.asking import query_frame  # noqa: PLC0415

        return query_frame(sql, self.workbench(), _KINDS[as_])


class DatabaseResource(dg.ConfigurableResource):
    """A database."""

    url: str = Field(
        description="`postgresql://...`, or `embedded://<name>` for the one that starts by itself."
    )
    name: str = Field(default="", description="Of the connection in platform.yaml, for messages.")
    pool_size: int = Field(default=5, description="Connections that one process may hold.")
    pool_timeout: str = Field(default="30s", description="How long to wait for one that is free.")
    recycle: str = Field(default="30m", description="After which one isn't used again.")
    pre_ping: bool = Field(default=True, description="Ask whether it is alive before using it.")

    def resolved_url(self) -> str:
        """The URL to connect to; the embedded server is started if it is meant."""
        settings = load_settings()
        url = absolute_url(expand(self.url, environment()), settings.home)
        return resolve_url(url, settings.data_dir)

    def resolved(self) -> DatabaseConnection:
        """The connection with its secrets."""
        written = {**self.model_dump(exclude={"name"}), "url": self.resolved_url()}
        return DatabaseConnection.model_validate({**written, "type": "database"})

    @contextmanager
    def get_connection(self) -> "Generator[DatabaseSession]":
        """A connection of SQLAlchemy, as pandas takes it; what isn't committed is undone.

        It comes from a pool of this process, and goes back clean at the end of the block.

        Raises:
            SourceUnavailable: the database can't be reached, or all `pool_size` connections are in
                use; a step may be tried again.
            SourceError: it refuses the login.
        """
        from data_platform.engine.database_pools import PoolLimits, borrowed  # noqa: PLC0415

        known = self.resolved()
        limits = PoolLimits(
            name=self.name,
            size=known.pool_size,
            timeout=known.pool_timeout.total_seconds(),
            recycle=known.recycle.total_seconds(),
            pre_ping=known.pre_ping,
        )
        with borrowed(known.url, limits) as connection:
            yield connection

    def query(self, sql: str, *parameters: object) -> "pa.Table":
        """The rows of a statement as Arrow, with `$1` for the first parameter.

        Raises:
            SourceUnavailable: the database can't be reached, or broke off.
            SourceError: it refused.
        """
        try:
            with connected(self.resolved_url(), autocommit=True) as (_, cursor):
                cursor.execute(sql, parameters or None)
                return cursor.fetch_arrow_table()
        except Unreachable as error:
            raise SourceUnavailable(str(error)) from error
        except Refused as error:
            raise SourceError(str(error)) from error


class HttpResource(dg.ConfigurableResource):
    """An HTTP API."""

    url: str = Field(description="Where its paths begin.")
    headers: dict[str, str] = Field(default={}, description="Of every request.")
    auth: dict[str, str] | None = Field(default=None, description="Who asks.")
    rate_limit: str | None = Field(default=None, description="Such as 10/s.")

    def resolved(self) -> ApiConnection:
        """The connection with its secrets."""
        return _resolved(ApiConnection, self, type="api")

    @contextmanager
    def get_client(self, timeout: float = 30.0) -> "Generator[httpx.Client]":
        """A client of httpx at the connection's address, with its credentials and rate limit.

        Requests are tried again as those of sources are; one that may change something only where
        the server surely did nothing. What a server refuses is an answer, as with httpx.

        Args:
            timeout: of one try, from asking to the last byte, in seconds.

        Raises:
            SourceUnavailable: by a request: the server couldn't be reached, or had trouble, for as
                often as it was tried; a step may be tried again.
        """
        from data_platform.sources.http.sessions import session  # noqa: PLC0415
        from data_platform.spec.http import RequestRetry  # noqa: PLC0415

        with session(self.resolved(), timeout, RequestRetry()) as client:
            yield client


class ObjectStoreResource(dg.ConfigurableResource):
    """A bucket of S3, or of what speaks its protocol."""

    bucket: str | None = Field(default=None, description="Its name.")
    endpoint_url: str | None = Field(default=None, description="None means AWS.")
    region: str | None = Field(default=None, description="None means the environment's.")
    access_key_id: str | None = Field(default=None, description="None means the usual chain.")
    secret_access_key: str | None = Field(default=None, description="By reference.")
    encryption: dict[str, str] | None = Field(default=None, description="By the server.")

    def resolved(self) -> S3Connection:
        """The connection with its secrets."""
        return _resolved(S3Connection, self, type="s3")

    def store(self, bucket: str | None = None) -> "S3Store":
        """The bucket as obstore takes it: `obstore.get(s3.store(), "key").bytes()`.

        Args:
            bucket: None means the connection's.

        Raises:
            SourceError: nobody named a bucket.
        """
        from data_platform.engine.object_store import ObjectStore  # noqa: PLC0415

        return ObjectStore(self.resolved(), bucket).store


class KafkaResource(dg.ConfigurableResource):
    """A Kafka cluster."""

    bootstrap_servers: str = Field(description="host:port, joined by commas.")
    options: dict[str, Any] = Field(default={}, description="By librdkafka's names.")

    def resolved(self) -> KafkaConnection:
        """The connection with its secrets."""
        return _resolved(KafkaConnection, self, type="kafka")

    @contextmanager
    def consumer(self, **options: Any) -> "Generator[Consumer]":
        """A consumer of confluent-kafka, closed at the end: `consumer(**{"group.id": "mine"})`.

        Args:
            options: by librdkafka's names; they count more than the connection's.

        Raises:
            SourceError: an option can't be used, or confluent-kafka isn't installed.
        """
        from data_platform.sources.topics.clients import READING, made  # noqa: PLC0415

        connection = self.resolved()
        consumer = made("Consumer", connection, **{**READING, **connection.options, **options})
        try:
            yield consumer
        finally:
            consumer.close()

    @contextmanager
    def producer(self, **options: Any) -> "Generator[Producer]":
        """A producer of confluent-kafka; at the end all its messages have arrived.

        Args:
            options: by librdkafka's names; they count more than the connection's.

        Raises:
            StorageUnavailable: at the end, where a message didn't arrive.
            SourceError: an option can't be used, or confluent-kafka isn't installed.
        """
        from data_platform.sources.topics.clients import sending  # noqa: PLC0415

        with sending(self.resolved(), options) as producer:
            yield producer


ConnectionT = TypeVar("ConnectionT", bound=Model)


def _resolved(
    model: type[ConnectionT], resource: dg.ConfigurableResource, **given: str
) -> ConnectionT:
    written = model.model_validate({**resource.model_dump(), **given})
    return expand_model(written, environment())


def outside_of(resources: object) -> Outside:
    """The outside systems of a step, by the names of its resources."""
    return Outside(
        lambda name: getattr(resources, name).resolved(), lambda text: expand(text, environment())
    )


def platform_resources(platform: Platform) -> Mapping[str, dg.ConfigurableResource]:
    """The lake and all connections, by name."""
    connections = {name: _resource_of(name, spec) for name, spec in platform.connections.items()}
    masking = platform.masking.key if platform.masking else None
    lake = LakeResource(
        root=platform.lake.root, connection=lake_connection(platform), masking_key=masking
    )
    return {LAKE: lake, **connections}


def lake_connection(platform: Platform) -> dict[str, Any] | None:
    """The connection of a lake on S3, as platform.yaml has it; None where it names none."""
    named = platform.connections.get(platform.lake.connection or "")
    return named.model_dump(exclude_none=True) if named else None


def _resource_of(name: str, spec: Connection) -> dg.ConfigurableResource:
    dumped = spec.model_dump(by_alias=True, exclude={"type"}, exclude_none=True)
    written: dict[str, Any] = {
        key: duration_words(value) if isinstance(value, timedelta) else value
        for key, value in dumped.items()
    }
    match spec:
        case DatabaseConnection():
            return DatabaseResource(name=name, **written)
        case ApiConnection():
            return HttpResource(**written)
        case S3Connection():
            return ObjectStoreResource(**written)
        case KafkaConnection():
            return KafkaResource(**written)
        case _:
            assert_never(spec)
