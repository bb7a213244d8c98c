"""`platform.yaml`: where the lake is and what the pipelines connect to.

Texts with `${VAR}` stay as written here: they are resolved by `spec.variables` when something
connects, so that no secret gets into definitions, events, logs or the UI.
"""

from datetime import timedelta
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from data_platform.spec.alerts import Alerts
from data_platform.spec.http import Auth, Rate
from data_platform.spec.limits import Budgets
from data_platform.spec.model import Model
from data_platform.spec.outside import ExternalAsset, ExternalKey, Webhooks
from data_platform.spec.rule_model import Scalar
from data_platform.spec.telemetry import Lineage, Retention
from data_platform.spec.times import Duration
from data_platform.spec.values import Name
from data_platform.spec.wording import problem


class Lake(Model):
    """Where the tables of all assets are kept."""

    root: str = "${LAKE_ROOT:-.data/lake}"
    """A folder, which starts at the platform's home where it is relative, or
    `s3://bucket/prefix`."""
    connection: Name | None = None
    """Of type s3, for a lake on S3; None means the usual chain of AWS."""
    retention: Duration = Field(default="30d", validate_default=True)
    """How long older versions of tables can surely be read: `vacuum` removes what is older."""


class MaskingSettings(Model):
    """How values that tell of a person are masked."""

    key: Annotated[str, Field(min_length=1, repr=False)]
    """Of the tokens that `mask` makes by `hash`: at least 16 characters, by reference."""


class DatabaseConnection(Model):
    """A database."""

    type: Literal["database"]
    """What it connects to."""
    url: str
    """`postgresql://...`, `embedded://<name>` for the PostgreSQL that starts by itself, or the URL
    of another database as SQLAlchemy takes it: `sqlite:///file`, `duckdb:///file`,
    `mysql+pymysql://...`."""
    pool_size: Annotated[int, Field(ge=1, le=1000)] = 5
    """Connections that one process holds for hand-written assets; a file's have no pool."""
    pool_timeout: Duration = timedelta(seconds=30)
    """How long these wait for one that is free."""
    recycle: Duration = timedelta(minutes=30)
    """A connection that is older isn't used again: shorter than what a firewall lets be idle."""
    pre_ping: bool = True
    """Ask a connection whether it is alive before it is used again."""


class ApiConnection(Model):
    """An HTTP API, of which sources name paths."""

    type: Literal["api"]
    """What it connects to."""
    url: str
    """Where its paths begin."""
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    """Of every request."""
    auth: Auth | None = None
    """Who asks."""
    rate_limit: Rate | None = None
    """Requests a second, minute or hour; None means no limit."""


class Encryption(Model):
    """How a bucket's server keeps what is written: it encrypts and decrypts by itself."""

    type: Literal["AES256", "aws:kms"]
    """By a key of S3, or by one of the key service."""
    key: str | None = Field(default=None, min_length=1)
    """ARN or identity of the key service's key; None means the account's own for S3."""

    @model_validator(mode="after")
    def _has_its_key(self) -> "Encryption":
        if self.type == "AES256" and self.key is not None:
            raise problem("encryption", "`key` goes with type aws:kms: AES256 has none")
        return self


class S3Connection(Model):
    """A bucket of S3, or of what speaks its protocol."""

    type: Literal["s3"]
    """What it connects to."""
    bucket: str | None = None
    """Its name; None means that of an `s3://` path."""
    endpoint_url: str | None = None
    """Of the server; None means AWS, or `AWS_ENDPOINT_URL`."""
    region: str | None = None
    """None means `AWS_REGION`, else us-east-1."""
    access_key_id: str | None = None
    """By reference; None means the usual chain: environment, web identity, role of the machine."""
    secret_access_key: str | None = None
    """By reference; goes with `access_key_id`."""
    encryption: Encryption | None = None
    """Of all that is written through it; None means what the bucket does by itself."""
    queue: str | None = None
    """URL of a queue of SQS to which the bucket tells of new objects; sources of files use it."""


class KafkaConnection(Model):
    """A Kafka cluster."""

    type: Literal["kafka"]
    """What it connects to."""
    bootstrap_servers: str
    """`host:port`, joined by commas."""
    options: dict[str, Scalar] = Field(default_factory=dict)
    """Further settings, by librdkafka's names: `security.protocol: SASL_SSL`."""


def _has_type(value: Any) -> Any:
    if isinstance(value, dict) and "type" not in value:
        raise problem("missing", "'type' is missing; there are: api, database, kafka, s3")
    return cast("Any", value)


Connection = Annotated[
    DatabaseConnection | ApiConnection | S3Connection | KafkaConnection,
    Field(discriminator="type"),
    BeforeValidator(_has_type),
]


class Platform(Model):
    """What all pipelines share."""

    lake: Lake = Lake()
    """Where the tables are."""
    connections: dict[Name, Connection] = Field(default_factory=dict)
    """Outside systems, by the names that pipelines use."""
    pools: dict[Name, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """How many steps of each pool may run at once."""
    budgets: Budgets = Budgets()
    """What runs and steps may take that have no budget of their own."""
    masking: MaskingSettings | None = None
    """None means that nothing can be masked by `hash`."""
    external_assets: dict[ExternalKey, ExternalAsset] = Field(default_factory=dict)
    """Assets that are made elsewhere, by their keys; `after` of an asset names them."""
    webhooks: Webhooks | None = None
    """None means that no webhook is taken."""
    alerts: Alerts = Alerts()
    """Who is told when something is wrong."""
    lineage: Lineage | None = None
    """Where lineage is told; None means nowhere but in Dagster."""
    retention: Retention = Retention()
    """For how long what was done is remembered."""

    @model_validator(mode="after")
    def _tells_lineage_to_a_cluster(self) -> "Platform":
        name = self.lineage.connection if self.lineage else None
        if name is None or isinstance(self.connections.get(name), KafkaConnection):
            return self
        known = [n for n, one in self.connections.items() if isinstance(one, KafkaConnection)]
        text = f"{{found}} is no connection of type kafka; there are: {', '.join(known) or 'none'}"
        wrong = InitErrorDetails(
            type=problem("connection", text, name), loc=("lineage", "connection"), input=name
        )
        raise ValidationError.from_exception_data("Platform", [wrong])
