"""How people come in: Ingress with TLS, and oauth2-proxy in front, which knows who they are."""

from typing import Literal

from pydantic import Field

from helm.values.kinds import Cidr, ExternalSecret, Labels, OptionalHost, OptionalName, Values
from helm.values.pods import Image, Resources, Tag, Workload, resources


class Tls(Values):
    """Encryption between browsers and the Ingress."""

    enabled: bool = Field(default=True, description="Without it, only in development.")
    secret_name: OptionalName = Field(
        default="", description="The Secret with the certificate. Empty: `<release>-tls`."
    )
    cluster_issuer: OptionalName = Field(
        default="", description="cert-manager's ClusterIssuer that makes it. Empty: you make it."
    )


class Ingress(Values):
    """The way in from outside."""

    enabled: bool = Field(default=False, description="Whether there is one.")
    class_name: OptionalName = Field(
        default="", description="The controller's class. Empty: the cluster's default."
    )
    host: OptionalHost = Field(default="", description="Of editors: dagster.example.com.")
    viewers_host: OptionalHost = Field(
        default="",
        description="Of viewers, if there is a read-only webserver: dagster-view.example.com.",
    )
    annotations: Labels = Field(
        default_factory=dict,
        description="For the controller. WebSockets need timeouts of an hour or so.",
    )
    tls: Tls = Field(default=Tls(), description="Encryption.")


class People(Values):
    """Who may sign in. With both domains and groups, both must fit."""

    email_domains: tuple[str, ...] = Field(
        default=(), description="Domains of addresses: example.com. `*` only together with groups."
    )
    groups: tuple[str, ...] = Field(
        default=(),
        description="Google groups, GitHub teams as org:team, or values of OIDC's groups claim.",
    )


class Google(Values):
    """Sign-in with Google; groups need an account that may ask for them."""

    admin_email: str = Field(default="", description="An administrator, for groups.")
    service_account_secret: OptionalName = Field(
        default="",
        description="Secret with `service-account.json`, of an account that may read groups.",
    )


class Github(Values):
    """Sign-in with GitHub."""

    organization: str = Field(default="", description="Of which people must be members.")


class Oidc(Values):
    """Sign-in with any provider of OpenID Connect."""

    issuer_url: str = Field(
        default="",
        pattern=r"^(https://.*)?$",
        description="Of the provider: https://id.example.com/realms/main.",
    )
    groups_claim: str = Field(default="groups", description="The claim that lists groups.")
    scope: str = Field(default="openid email profile groups", description="What is asked for.")


class ProxyImage(Image):
    """oauth2-proxy's image."""

    repository: str = Field(
        default="quay.io/oauth2-proxy/oauth2-proxy", description="Registry and name."
    )
    tag: Tag = Field(default="v7.15.3", min_length=1, description="The version.")


class OAuth2Proxy(Workload):
    """A proxy for editors and one for viewers: who isn't signed in reaches nothing behind them."""

    enabled: bool = Field(default=False, description="Whether there are any.")
    image: ProxyImage = Field(default=ProxyImage(), description="oauth2-proxy.")
    replicas: int = Field(default=2, ge=1, le=10, description="Pods of each proxy.")
    provider: Literal["google", "github", "oidc"] = Field(
        default="google", description="Who knows the people."
    )
    google: Google = Field(default=Google(), description="With provider google.")
    github: Github = Field(default=Github(), description="With provider github.")
    oidc: Oidc = Field(default=Oidc(), description="With provider oidc.")
    trusted_proxies: tuple[Cidr, ...] = Field(
        default=(),
        description=(
            "Addresses of the ingress controller's pods: whose X-Forwarded-* headers are believed."
            " Empty: of whoever the network policy lets in, that controller alone."
        ),
    )
    existing_secret: OptionalName = Field(
        default="",
        description=(
            "Secret with client-id, client-secret, cookie-secret and, for viewers,"
            " viewers-cookie-secret. Empty: `<release>-oauth2-proxy`, which you or `externalSecret`"
            " make."
        ),
    )
    external_secret: ExternalSecret = Field(
        default=ExternalSecret(), description="Makes the Secret from a store outside."
    )
    editors: People = Field(default=People(), description="Who may change things.")
    viewers: People = Field(default=People(), description="Who may look.")
    cookie_expire: str = Field(
        default="12h", pattern=r"^[0-9]+(m|h)$", description="After which people sign in again."
    )
    cookie_refresh: str = Field(
        default="1h",
        pattern=r"^[0-9]+(m|h)$",
        description="After which the provider is asked whether they still may; below cookieExpire.",
    )
    resources: Resources = Field(
        default=resources(cpu="50m", memory="64Mi", limit="256Mi"),
        description="CPU and memory of a pod.",
    )
