"""What pods of all components can be told: image, CPU and memory, where they are placed."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from helm.values.kinds import (
    Labels,
    Name,
    OptionalName,
    OptionalQuantity,
    Quantity,
    Values,
)

Digest = Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$")]
Tag = Annotated[str, Field(pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$")]


class Image(Values):
    """An image in a registry."""

    repository: str = Field(
        default="", description="Registry and name, without a tag. Empty: the chart's `image`."
    )
    tag: Tag = Field(
        default="", description="Empty: the chart's. `latest` is refused: nobody could roll back."
    )
    digest: Digest = Field(
        default="",
        description="sha256:...; used instead of the tag, which somebody could move.",
    )


class ChartImage(Image):
    """The image of webservers, daemon, metrics, migration, and of locations that name none."""

    repository: str = Field(
        default="data-platform", min_length=1, description="Registry and name, without a tag."
    )
    tag: Tag = Field(
        default="",
        description="Empty: the chart's appVersion. `latest` is refused: nobody could roll back.",
    )
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field(
        default="IfNotPresent",
        description="When nodes pull images. A tag never moves here, so once is enough.",
    )
    pull_secrets: tuple[Name, ...] = Field(
        default=(), description="Secrets (kubernetes.io/dockerconfigjson) of private registries."
    )


class Requests(Values):
    """What a node must have free for the pod."""

    cpu: Quantity = Field(default="250m", description="Cores; 250m is a quarter of one.")
    memory: Quantity = Field(default="512Mi", description="Bytes.")


class Limits(Values):
    """What a container may take at most."""

    cpu: OptionalQuantity = Field(
        default="",
        description="Cores. Empty: none, since a limit slows a pod down while the node is idle.",
    )
    memory: Quantity = Field(default="1Gi", description="Bytes; above it the container is killed.")


class Resources(Values):
    """CPU and memory of a container."""

    requests: Requests = Field(
        default=Requests(), description="What a node must have free for the pod."
    )
    limits: Limits = Field(default=Limits(), description="What the container may take at most.")


class OwnAmounts(Values):
    """CPU and memory where something differs."""

    cpu: OptionalQuantity = Field(default="", description="Cores. Empty: as for all.")
    memory: OptionalQuantity = Field(default="", description="Bytes. Empty: as for all.")


class OwnResources(Values):
    """CPU and memory of a container, where they differ from those of all."""

    requests: OwnAmounts = Field(
        default=OwnAmounts(), description="What a node must have free for the pod."
    )
    limits: OwnAmounts = Field(
        default=OwnAmounts(), description="What the container may take at most."
    )


class Toleration(Values):
    """Lets pods onto nodes with a taint."""

    key: str = Field(default="", description="The taint's key. Empty with `Exists`: all.")
    operator: Literal["Equal", "Exists"] = Field(
        default="Equal", description="Whether the value counts."
    )
    value: str = Field(default="", description="The taint's value.")
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        default="", description="The taint's effect. Empty: all."
    )


class Placed(Values):
    """On which nodes pods may be."""

    node_selector: Labels = Field(
        default_factory=dict, description="Labels that nodes must have. Empty: any node."
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(), description="Taints of nodes that don't keep the pods away."
    )
    affinity: dict[str, JsonValue] = Field(
        default_factory=dict, description="Rules of placement, as Kubernetes has them."
    )
    priority_class_name: OptionalName = Field(
        default="", description="Who may push others off a full node. Empty: the cluster's default."
    )


class Workload(Placed):
    """What every component has."""

    resources: Resources = Field(default=Resources(), description="CPU and memory of a pod.")
    pod_annotations: Labels = Field(
        default_factory=dict, description="Annotations of the pods, besides the chart's."
    )
    service_account_annotations: Labels = Field(
        default_factory=dict,
        description="Of the account: its role in a cloud, as eks.amazonaws.com/role-arn.",
    )


def resources(*, cpu: str, memory: str, limit: str) -> Resources:
    """CPU and memory asked for, and the most memory."""
    return Resources(requests=Requests(cpu=cpu, memory=memory), limits=Limits(cpu="", memory=limit))
