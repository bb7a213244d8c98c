"""Who may talk to whom: network policies, which deny everything else."""

from pydantic import Field

from helm.values.kinds import Cidr, Labels, OptionalName, Port, Values

PRIVATE: tuple[Cidr, ...] = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
NEVER: tuple[Cidr, ...] = (*PRIVATE, "100.64.0.0/10", "169.254.0.0/16")
"""Addresses that aren't the internet; the last are clouds' metadata, with their credentials."""


class Peer(Values):
    """Where pods may connect to: addresses, or pods of the cluster."""

    cidrs: tuple[Cidr, ...] = Field(
        default=(), description="Addresses. Empty, and no `namespace`: any."
    )
    excluded: tuple[Cidr, ...] = Field(
        default=(), description="Addresses that are taken out of 0.0.0.0/0."
    )
    namespace: OptionalName = Field(
        default="", description="Or a namespace of the cluster, instead of addresses."
    )
    pod_labels: Labels = Field(
        default_factory=dict, description="Labels of pods in `namespace`. Empty: all of them."
    )
    ports: tuple[Port, ...] = Field(min_length=1, description="TCP ports.")


class Database(Peer):
    """PostgreSQL."""

    cidrs: tuple[Cidr, ...] = Field(
        default=PRIVATE, description="Addresses. Empty, and no `namespace`: any."
    )
    ports: tuple[Port, ...] = Field(default=(5432,), min_length=1, description="TCP ports.")


class Internet(Peer):
    """Whatever has a public address."""

    cidrs: tuple[Cidr, ...] = Field(
        default=("0.0.0.0/0",), description="Addresses. Empty, and no `namespace`: any."
    )
    excluded: tuple[Cidr, ...] = Field(
        default=NEVER, description="Addresses that are taken out of 0.0.0.0/0."
    )
    ports: tuple[Port, ...] = Field(default=(443,), min_length=1, description="TCP ports.")


class KubernetesApi(Peer):
    """The cluster's API."""

    ports: tuple[Port, ...] = Field(default=(443, 6443), min_length=1, description="TCP ports.")


class Dns(Values):
    """The cluster's DNS."""

    namespace: OptionalName = Field(default="kube-system", description="Its namespace.")
    pod_labels: Labels = Field(
        default_factory=lambda: {"k8s-app": "kube-dns"}, description="Labels of its pods."
    )


class From(Values):
    """Pods of another namespace that may connect."""

    namespace: OptionalName = Field(default="", description="Its name. Empty: nobody.")
    pod_labels: Labels = Field(
        default_factory=dict, description="Labels of its pods. Empty: all of them."
    )


class NetworkPolicies(Values):
    """Nothing is allowed but what components need. Needs a network that enforces policies."""

    enabled: bool = Field(
        default=True, description="Whether there are any. With oauth2Proxy they must be."
    )
    dns: Dns = Field(default=Dns(), description="The cluster's DNS, for all pods.")
    database: Database = Field(
        default=Database(),
        description="PostgreSQL, for all pods but proxies: best its own address.",
    )
    object_store: Internet = Field(
        default=Internet(),
        description="The lake's and logs' buckets. By default the internet.",
    )
    https: Internet = Field(
        default=Internet(),
        description=(
            "The internet, for code locations, runs, metrics (alerts) and proxies (sign-in): APIs,"
            " chat, providers."
        ),
    )
    kubernetes_api: KubernetesApi = Field(
        default=KubernetesApi(),
        description="The API, for who makes and ends runs: best its own address.",
    )
    cloud_identity: tuple[Peer, ...] = Field(
        default=(),
        description=(
            "Where pods get credentials of a cloud, if not over HTTPS: EKS Pod Identity is"
            " 169.254.170.23/32 port 80, GKE 169.254.169.252/32 port 988."
        ),
    )
    ingress_controller: From = Field(
        default=From(namespace="ingress-nginx"),
        description="Who may reach the proxies, or without them the webservers.",
    )
    prometheus: From = Field(
        default=From(namespace="monitoring"), description="Who may read metrics."
    )
