"""Where state is: Dagster's database, the lake, and what pods may write to themselves."""

from pydantic import Field

from helm.values.kinds import BucketUrl, ExternalSecret, OptionalName, Quantity, SecretKey, Values


class Storage(Values):
    """Dagster's database: PostgreSQL outside of this chart, its URL in a Secret."""

    existing_secret: OptionalName = Field(
        default="",
        description=(
            "The Secret with the URL, made by somebody else. Empty: `<release>-storage`, which you"
            " or `externalSecret` make."
        ),
    )
    key: SecretKey = Field(
        default="storage-url",
        description="Its key; the value is postgresql://user:password@host/database.",
    )
    external_secret: ExternalSecret = Field(
        default=ExternalSecret(), description="Makes the Secret from a store outside."
    )


class Lake(Values):
    """Where tables and the output of steps are."""

    root: BucketUrl = Field(
        default="s3://YOUR_BUCKET/lake",
        description=(
            "The lake, LAKE_ROOT of platform.yaml: s3://bucket/prefix. A location may have its own"
            " (`lakeRoot`). The default can't exist, so"
            " that nothing is written to somebody else's bucket."
        ),
    )
    compute_logs: BucketUrl = Field(
        default="s3://YOUR_BUCKET/compute-logs",
        description="What steps print is sent here: s3://bucket/prefix.",
    )


class Scratch(Values):
    """Folders on the node's disk, empty when a pod starts."""

    tmp: Quantity = Field(default="1Gi", description="Bytes of /tmp at most.")
    data: Quantity = Field(
        default="10Gi",
        description=(
            "Bytes of /var/lib/data-platform at most, where DuckDB puts what exceeds its memory. A"
            " pod that writes more is evicted."
        ),
    )
