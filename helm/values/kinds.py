"""What a value of the chart may be: the model of a group, and small types that several share.

Used by every module beside it. A value is written in camelCase, as Kubernetes has it.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")]
"""An amount as Kubernetes writes it: 250m, 512Mi, 2."""

OptionalQuantity = Annotated[str, Field(pattern=r"^([0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?)?$")]
"""An amount, or nothing."""

DnsLabel = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
"""What Kubernetes takes as a name of an object that is also a host."""

OptionalName = Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$", max_length=253)]
"""The name of an object in Kubernetes, or nothing."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=253)]
"""The name of an object in Kubernetes."""

VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=256)]
"""The name of an environment variable."""

SecretKey = Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]
"""A key of a Secret."""

OptionalHost = Annotated[
    str,
    Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+)?$"),
]
"""A host with its domain, or nothing."""

Cidr = Annotated[str, Field(pattern=r"^([0-9.]+/[0-9]{1,2}|[0-9a-fA-F:]+/[0-9]{1,3})$")]
"""Addresses: 10.0.0.0/8."""

Port = Annotated[int, Field(ge=1, le=65_535)]
BucketUrl = Annotated[str, Field(pattern=r"^s3://[^/]+(/.*)?$")]

OptionalBucketUrl = Annotated[str, Field(pattern=r"^(s3://[^/]+(/.*)?)?$")]

Labels = dict[str, str]
"""Labels, or annotations."""


class Values(BaseModel):
    """A group of values. Unknown keys are refused, so that a misspelled one isn't silent."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class SecretVariable(Values):
    """An environment variable whose value is in a Secret."""

    name: VariableName = Field(description="The variable.")
    secret: Name = Field(description="The Secret, in the release's namespace.")
    key: SecretKey = Field(description="Its key.")


class ExternalSecret(Values):
    """Where External Secrets (external-secrets.io) finds a secret outside of the cluster."""

    enabled: bool = Field(
        default=False,
        description="Whether an ExternalSecret makes the Secret; its operator must be installed.",
    )
    store: OptionalName = Field(
        default="", description="The SecretStore or ClusterSecretStore that is asked."
    )
    store_kind: str = Field(
        default="ClusterSecretStore",
        pattern=r"^(SecretStore|ClusterSecretStore)$",
        description="Which of both `store` is.",
    )
    path: str = Field(
        default="",
        description="The secret's name in the store; each key of the Secret is a property of it.",
    )
    refresh: str = Field(
        default="1h",
        pattern=r"^[0-9]+(s|m|h)$",
        description="How often it is looked up again. Pods read it when they start.",
    )
