"""`sources` of `pipeline.yaml`: where rows come from, one model a kind.

Resolved by `plan.sources.nodes`; `sources/` reads what they say. `auth`, `headers`, `params` and
`body` keep their `${VAR}` until a run needs them.
"""

from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, model_validator

from data_platform.spec.asset import LakeAsset
from data_platform.spec.http import Auth, JsonPath, NoPagination, Pagination, Rate, RequestRetry
from data_platform.spec.model import Model
from data_platform.spec.rule_model import Bound, Scalar
from data_platform.spec.times import Duration
from data_platform.spec.values import FunctionName, Names
from data_platform.spec.wording import problem

JsonBody = dict[str, Any] | list[Any] | str


def _has_type(value: Any) -> Any:
    if isinstance(value, dict) and "type" not in value:
        raise problem("missing", "'type' is missing; there are: api, database, file, python, topic")
    return cast("Any", value)


class Incremental(Model):
    """A source without partitions, of which each run adds what is new as one immutable batch."""

    cursor: str
    """The column that rises: a time, a date or a number. Its greatest value is the watermark."""
    key: Names | None = None
    """The column(s) that name a row; needed with `lookback`, and to keep the latest of each."""
    keep: Literal["latest", "history"] = "latest"
    """Whether readers see the newest row of each key, or all of them; without a key all rows."""
    lookback: Duration | Annotated[int, Field(ge=0)] | None = None
    """How far before the watermark is read again for late rows: a duration, or a number where the
    cursor is one."""
    start: Bound | None = None
    """Where the first run begins; None means at the beginning."""

    @model_validator(mode="after")
    def _lookback_has_key(self) -> "Incremental":
        if self.lookback is not None and self.key is None:
            raise problem(
                "incremental", "`lookback` needs a `key`: what is read again is told by it"
            )
        return self


class SkipUnchanged(Model):
    """When a source isn't read at all: what would be asked is what was asked last time."""

    expires: Duration
    """How long after the last reading that holds."""


class SourceAsset(LakeAsset):
    """What any source may say."""

    on_empty: Literal["pass", "warn", "fail"] = "warn"
    """What it means when a partition has no rows."""
    on_error: Literal["fail", "use_last_good"] = "fail"
    """What becomes of a partition that can't be read: `use_last_good` keeps its last good version
    with a warning; it isn't materialized, so that nothing looks fresh."""
    lookback: Duration | None = None
    """How far before a partition its predecessors are read again, for late rows."""
    incremental: Incremental | None = None
    """For a source without partitions: each run adds what is new."""
    skip_unchanged: SkipUnchanged | None = None
    """None means that every run reads."""


class DatabaseSource(SourceAsset):
    """Rows of a table, or of a query, in a database."""

    type: Literal["database"]
    """Where it comes from."""
    connection: str
    """A connection of platform.yaml."""
    table: str | None = None
    """`table` or `schema.table`."""
    query: str | None = None
    """One SELECT in the database's own SQL, with `:partition_start` and other bind parameters."""
    cursor: str | None = None
    """The column that says to which partition a row belongs; needed where there are partitions."""
    fetch_size: int = Field(default=65_536, ge=1)
    """Rows of one batch, about."""

    @model_validator(mode="after")
    def _is_one_of(self) -> "DatabaseSource":
        if (self.table is None) == (self.query is None):
            raise problem("database", "a database source has either a `table` or a `query`")
        return self


class ApiSource(SourceAsset):
    """Records of an HTTP API."""

    type: Literal["api"]
    """Where it comes from."""
    url: str | None = None
    """The address; or `connection` and `path`."""
    connection: str | None = None
    """A connection of type api in platform.yaml."""
    path: str | None = None
    """From the connection's url."""
    method: Literal["GET", "POST"] = "GET"
    """Of the request."""
    params: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict)
    """Of the query; a text that is `:partition_start` or another bind parameter is its value."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Of the request."""
    body: JsonBody | None = None
    """Sent as JSON, or as it is where it is a text."""
    data_path: JsonPath | None = None
    """Where the records are in the answer; None means that the answer is them."""
    request_timeout: Duration = Field(default="30s", validate_default=True)
    """Of one request, from asking to the last byte."""
    auth: Auth | None = None
    """Who asks; None means the connection's."""
    pagination: Pagination = NoPagination(type="none")
    """How pages follow one another."""
    retry: RequestRetry = RequestRetry()
    """When a request is asked again."""
    rate_limit: Rate | None = None
    """Requests a second, minute or hour; None means the connection's."""

    @model_validator(mode="after")
    def _is_one_of(self) -> "ApiSource":
        if (self.url is None) == (self.connection is None):
            raise problem("api", "an api source has either a `url`, or a `connection` and a `path`")
        if self.path is not None and self.connection is None:
            raise problem("api", "`path` goes with a `connection`")
        return self


class CsvFormat(Model):
    """How a CSV file is read."""

    delimiter: str = Field(default=",", min_length=1, max_length=4)
    """Between the fields of a line."""
    header: bool = True
    """Whether the first line names the columns."""
    null_values: list[str] = Field(default_factory=lambda: [""])
    """Texts that mean NULL; the empty one unless said otherwise."""
    encoding: str = "utf-8"
    """Of the text."""
    quote: str = Field(default='"', max_length=1)
    """Around a field with a delimiter or a line break in it; empty means that nothing is quoted."""


class FileSource(SourceAsset):
    """Rows of files. Every run reads all files that the path names."""

    type: Literal["file"]
    """Where it comes from."""
    path: str
    """A path or glob, from the pipelines folder's parent, or `s3://bucket/...`; `{partition_key}`
    is the partition, `{partition_start:%Y/%m/%d}` its begin."""
    connection: str | None = None
    """A connection of type s3 in platform.yaml; None means the usual chain of credentials."""
    format: Literal["csv", "json", "jsonl", "parquet"] | None = None
    """None means by the ending of the path."""
    csv: CsvFormat = CsvFormat()
    """How CSV files are read."""
    data_path: JsonPath | None = None
    """Where the records are in a JSON file; None means that the file is them."""
    settle: Duration = Field(default="60s", validate_default=True)
    """How long a local file must have stood still before it is read."""
    arrival: Literal["sensor", "none"] | None = None
    """`sensor`: a new or changed file starts the source. None means that, unless the pipeline has a
    `schedule` or the source an `automation`."""
    poll: Duration = Field(default="30s", validate_default=True)
    """Between two looks at the files."""
    deadline: Duration | None = None
    """How long after the end of a partition, or after a tick of the schedule, a file that isn't
    there is told as late; without either, after the last one came. None means 6h for partitions of
    time and schedules."""
    queue: str | None = None
    """URL of a queue of SQS that hears of new objects; then the bucket is listed when it does."""


class TopicSource(SourceAsset):
    """Messages of a topic: of a partition's time, or from where the last run ended."""

    type: Literal["topic"]
    """Where it comes from."""
    connection: str
    """A connection of type kafka in platform.yaml."""
    topic: str
    """Its name."""
    format: Literal["json", "text"] = "json"
    """What a message's value is."""
    max_records: int = Field(default=1_000_000, ge=1)
    """Messages that one run reads at most; the next one goes on there. Not of partitions."""
    on_lost: Literal["fail", "warn"] = "fail"
    """What it means when messages were deleted before they were read."""


class PythonSource(SourceAsset):
    """Rows that a function gives, asked once a partition."""

    type: Literal["python"]
    """Where it comes from."""
    function: FunctionName
    """`module:function`; a module beside pipeline.yaml, or an installed one. It returns or yields
    pandas, pyarrow or dicts; a parameter `partition` has key, start and end."""


Source = Annotated[
    DatabaseSource | ApiSource | FileSource | TopicSource | PythonSource,
    Field(discriminator="type"),
    BeforeValidator(_has_type),
]
