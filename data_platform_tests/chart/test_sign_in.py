"""Who comes in: the Ingress, and a proxy for editors and one for viewers."""

from typing import Any

import pytest
from chart_cases import CASES, SIGN_IN, rendered, signed_in
from helm_chart import COMPONENT, Manifest, Rendered, render

KNOWN = {
    "http-address", "upstream", "redirect-url", "reverse-proxy", "trusted-proxy-ip",
    "skip-provider-button", "silence-ping-logging", "cookie-name", "cookie-secure",
    "cookie-httponly", "cookie-samesite", "cookie-expire", "cookie-refresh", "pass-user-headers",
    "pass-host-header", "pass-basic-auth", "pass-access-token", "pass-authorization-header",
    "email-domain", "provider", "google-group", "google-admin-email",
    "google-service-account-json", "github-org", "github-team", "oidc-issuer-url",
    "oidc-groups-claim", "scope", "code-challenge-method", "insecure-oidc-skip-nonce",
    "allowed-group",
}  # fmt: skip
"""Arguments, as oauth2-proxy 7.15 documents them."""


@pytest.mark.parametrize("case", CASES)
def test_proxies_are_told_only_what_they_know(case: str) -> None:
    for component in ("oauth2-proxy", "oauth2-proxy-viewers"):
        for one in rendered(case).component("Deployment", component):
            names = {argument.partition("=")[0] for argument in one.container["args"]}
            assert names <= {f"--{name}" for name in KNOWN}


def proxy(objects: Rendered, component: str = "oauth2-proxy") -> Manifest:
    (found,) = objects.component("Deployment", component)
    return found


def told(one: Manifest, name: str) -> list[str]:
    """All values of an argument."""
    arguments = [argument.partition("=") for argument in one.container["args"]]
    return [value for key, _, value in arguments if key == f"--{name}"]


def backends(objects: Rendered) -> dict[str, str]:
    """Components behind hosts."""
    (ingress,) = objects.of("Ingress")
    return {
        rule["host"]: objects.get(
            "Service", rule["http"]["paths"][0]["backend"]["service"]["name"]
        ).labels[COMPONENT]
        for rule in ingress.spec["rules"]
    }


def test_the_only_way_in_is_through_the_proxies() -> None:
    assert backends(rendered("google")) == {
        "d.example.com": "oauth2-proxy",
        "v.example.com": "oauth2-proxy-viewers",
    }
    assert backends(rendered("editors alone")) == {"d.example.com": "oauth2-proxy"}


def test_viewers_are_led_to_the_server_that_refuses_changes() -> None:
    objects = rendered("google")
    assert told(proxy(objects), "upstream") == ["http://demo-webserver:3000/"]
    viewers = proxy(objects, "oauth2-proxy-viewers")
    assert told(viewers, "upstream") == ["http://demo-webserver-readonly:3000/"]
    behind = objects.get("Deployment", "demo-webserver-readonly")
    assert "--read-only" in behind.container["args"]
    assert "--read-only" not in objects.get("Deployment", "demo-webserver").container["args"]


@pytest.mark.parametrize("case", CASES)
def test_the_server_believes_who_somebody_is_only_behind_a_proxy(case: str) -> None:
    objects = rendered(case)
    behind = bool(objects.component("Deployment", "oauth2-proxy"))
    for component in ("webserver", "webserver-readonly"):
        for one in objects.component("Deployment", component):
            assert ("--user-header=X-Forwarded-Email" in one.container["args"]) == behind
    assert not behind or objects.of("NetworkPolicy")


@pytest.mark.parametrize("case", ["google", "github", "oidc", "everything", "production"])
def test_a_viewers_cookie_is_none_of_an_editors(case: str) -> None:
    objects = rendered(case)
    editors, viewers = proxy(objects), proxy(objects, "oauth2-proxy-viewers")
    assert told(editors, "cookie-name") != told(viewers, "cookie-name")
    secrets = [one.variables()["OAUTH2_PROXY_COOKIE_SECRET"] for one in (editors, viewers)]
    assert secrets[0]["secretKeyRef"]["key"] == "cookie-secret"
    assert secrets[1]["secretKeyRef"]["key"] == "viewers-cookie-secret"
    for one in (editors, viewers):
        assert told(one, "cookie-secure") == told(one, "cookie-httponly") == ["true"]
        assert told(one, "cookie-samesite") == ["lax"]
        assert told(one, "pass-access-token") == told(one, "pass-authorization-header") == ["false"]
        assert told(one, "pass-user-headers") == ["true"]
        loose = [a for a in one.container["args"] if "skip-auth" in a or "insecure" in a]
        assert set(loose) <= {"--insecure-oidc-skip-nonce=false"}


def test_people_are_sent_back_to_where_they_came_from() -> None:
    objects = rendered("google")
    hosts = {"oauth2-proxy": "d.example.com", "oauth2-proxy-viewers": "v.example.com"}
    for component, host in hosts.items():
        redirect = told(proxy(objects, component), "redirect-url")
        assert redirect == [f"https://{host}/oauth2/callback"]


def test_domains_and_groups_of_google() -> None:
    editors = proxy(rendered("everything"))
    assert told(editors, "provider") == ["google"]
    assert told(editors, "email-domain") == ["example.com"]
    assert told(editors, "google-group") == ["data@example.com"]
    assert told(editors, "google-admin-email") == ["a@example.com"]
    (file,) = told(editors, "google-service-account-json")
    (volume,) = editors.pod["volumes"]
    (mount,) = editors.container["volumeMounts"]
    assert volume["secret"]["secretName"] == "groups"
    assert file == f"{mount['mountPath']}/service-account.json"
    assert told(proxy(rendered("google"), "oauth2-proxy-viewers"), "email-domain") == [
        "example.com",
        "example.org",
    ]


def test_organization_and_teams_of_github() -> None:
    objects = rendered("github")
    editors, viewers = proxy(objects), proxy(objects, "oauth2-proxy-viewers")
    for one in (editors, viewers):
        assert told(one, "github-org") == ["example"]
    assert told(editors, "github-team") == ["example:data,example:platform"]
    assert told(editors, "email-domain") == ["*"]
    assert told(viewers, "github-team") == [], "members of the organization"


def test_issuer_and_groups_of_openid() -> None:
    editors = proxy(rendered("oidc"))
    assert told(editors, "oidc-issuer-url") == ["https://id.example.com/realms/main"]
    assert told(editors, "oidc-groups-claim") == ["roles"]
    assert told(editors, "allowed-group") == ["data engineers", "größe"]
    assert told(editors, "email-domain") == ["*"], "groups alone decide"
    assert told(editors, "code-challenge-method") == ["S256"]


@pytest.mark.parametrize("provider", ["google", "github", "oidc"])
def test_no_proxy_lets_everybody_in(provider: str) -> None:
    """`*` stands for all addresses, so something else must say who."""
    values = signed_in(
        provider,
        oidc={"issuerUrl": "https://id.example.com"},
        github={"organization": "example"},
        google={"adminEmail": "a@example.com", "serviceAccountSecret": "s"},
        editors={"groups": ["a:b"]},
        viewers={"groups": ["a:c"]},
    )
    for component in ("oauth2-proxy", "oauth2-proxy-viewers"):
        one = proxy(render(values), component)
        names = ("google-group", "github-team", "allowed-group")
        assert told(one, "email-domain") == ["*"]
        assert [value for name in names for value in told(one, name)]


@pytest.mark.parametrize(
    ("changed", "name"),
    [({}, "demo-oauth2-proxy"), ({"existingSecret": "sign-in"}, "sign-in")],
    ids=["own name", "another name"],
)
def test_secrets_come_by_reference(changed: dict[str, Any], name: str) -> None:
    one = proxy(render(signed_in("google", **changed)))
    assert one.variables() == {
        f"OAUTH2_PROXY_{variable}": {"secretKeyRef": {"name": name, "key": key}}
        for variable, key in (
            ("CLIENT_ID", "client-id"),
            ("CLIENT_SECRET", "client-secret"),
            ("COOKIE_SECRET", "cookie-secret"),
        )
    }


def test_the_ingress_is_encrypted() -> None:
    (ingress,) = rendered("google").of("Ingress")
    hosts = ["d.example.com", "v.example.com"]
    assert ingress.spec["tls"] == [{"secretName": "demo-tls", "hosts": hosts}]
    (ingress,) = rendered("certificates").of("Ingress")
    assert ingress.spec["tls"] == [{"secretName": "wildcard", "hosts": hosts}]
    assert ingress.spec["ingressClassName"] == "nginx"
    assert ingress.annotations == {"cert-manager.io/cluster-issuer": "letsencrypt", "a": "1"}


def test_without_anything_said_nobody_comes_in() -> None:
    assert not rendered("defaults").of("Ingress")
    assert {one.spec.get("type", "ClusterIP") for one in rendered("defaults").of("Service")} == {
        "ClusterIP"
    }
    assert SIGN_IN["ingress"]["enabled"]
