"""Code locations: each is a team's pipelines, with an image, secrets and limits of its own."""

from typing import Annotated

from pydantic import Field

from helm.values.kinds import (
    Labels,
    Name,
    OptionalBucketUrl,
    OptionalQuantity,
    SecretVariable,
    Values,
    VariableName,
)
from helm.values.network import Peer
from helm.values.pods import Image, OwnResources, Resources, Workload, resources

LocationName = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=40)]


class Queue(Values):
    """A location's place among the others."""

    max_concurrent_runs: int = Field(
        default=0,
        ge=0,
        description="Runs of this location at once; further ones wait in the queue. 0: no limit.",
    )


class Quota(Values):
    """What all pods of a location may take: a ResourceQuota for its priority class."""

    enabled: bool = Field(
        default=False,
        description="Whether there is one. Needs `priorityClassName`, of which quotas count pods.",
    )
    pods: int = Field(default=50, ge=1, description="Pods at once, servers and runs.")
    cpu: OptionalQuantity = Field(default="", description="Cores asked for in all. Empty: any.")
    memory: OptionalQuantity = Field(default="", description="Memory asked for in all. Empty: any.")


class LocationDefaults(Workload):
    """What holds for every code location that says nothing else."""

    owners: tuple[str, ...] = Field(
        default=(),
        description="Who is asked about it: an annotation of its objects, for people.",
    )
    image: Image = Field(
        default=Image(), description="Its code. What is empty is the chart's `image`."
    )
    pipelines: str = Field(
        default="",
        pattern=r"^(/.*)?$",
        description=(
            "Folders of pipelines in the image, joined by `:`. Empty: /opt/data-platform/pipelines,"
            " or the shipped ones."
        ),
    )
    lake_root: OptionalBucketUrl = Field(
        default="",
        description=(
            "A lake of its own, s3://bucket/prefix, which its account alone may write. Empty:"
            " `lake.root`."
        ),
    )
    replicas: int = Field(
        default=2, ge=1, le=10, description="Pods. Two: one may leave while the other serves."
    )
    grace_seconds: int = Field(
        default=60, ge=1, le=600, description="Seconds in which a server finishes requests."
    )
    env: dict[VariableName, str] = Field(
        default_factory=dict,
        description="Variables of its pods: server, runs, metrics. No secrets.",
    )
    secret_env: tuple[SecretVariable, ...] = Field(
        default=(), description="Variables from Secrets, of its pods alone."
    )
    queue: Queue = Field(default=Queue(), description="Its place among the others.")
    quota: Quota = Field(default=Quota(), description="What all its pods may take.")
    egress: tuple[Peer, ...] = Field(
        default=(),
        description=(
            "Where its pods may connect to besides the database, the lake and HTTPS: sources,"
            " destinations, a mail server for alerts."
        ),
    )
    run_resources: OwnResources = Field(
        default=OwnResources(),
        description="Of its runs whose assets ask for nothing. Empty: as `runs.resources`.",
    )
    run_service_account_annotations: Labels = Field(
        default_factory=dict,
        description="Of the account of its runs: the role in a cloud that may write the lake.",
    )
    image_pull_secrets: tuple[Name, ...] = Field(
        default=(), description="Besides `image.pullSecrets`: of this team's registry."
    )
    resources: Resources = Field(
        default=resources(cpu="250m", memory="768Mi", limit="1536Mi"),
        description="CPU and memory of a pod of its server.",
    )


class CodeLocation(LocationDefaults):
    """A team's pipelines. What it leaves out is as `locationDefaults` says."""

    name: LocationName = Field(description="Its name in Dagster, and in the names of its objects.")
