"""Values that can't be are refused before anything is made, by a sentence that says what to do."""

from typing import Any

import pytest
from chart_cases import EXTERNAL, SIGN_IN, signed_in
from helm_chart import broken, render

BY_THE_SCHEMA = {
    "a misspelled key": ({"webservr": {}}, "'webservr' not allowed"),
    "a misspelled key of a location": (
        {"codeLocations": [{"name": "a", "imagee": {}}]},
        "'imagee' not allowed",
    ),
    "two daemons": ({"daemon": {"replicas": 2}}, "/daemon/replicas"),
    "no daemon": ({"daemon": {"replicas": 0}}, "/daemon/replicas"),
    "no webserver": ({"webserver": {"replicas": 0}}, "/webserver/replicas"),
    "no location": ({"codeLocations": []}, "/codeLocations"),
    "a location without a name": ({"codeLocations": [{}]}, "missing property 'name'"),
    "an underscore in a name": ({"codeLocations": [{"name": "a_b"}]}, "/codeLocations/0/name"),
    "a name that is too long": ({"codeLocations": [{"name": "a" * 41}]}, "/codeLocations/0/name"),
    "a lake on a disk": ({"lake": {"root": "/data"}}, "/lake/root"),
    "no lake": ({"lake": {"root": ""}}, "/lake/root"),
    "memory without a unit that exists": (
        {"daemon": {"resources": {"limits": {"memory": "2GB"}}}},
        "/daemon/resources/limits/memory",
    ),
    "a number as text": ({"webserver": {"replicas": "2"}}, "/webserver/replicas"),
    "a text that is a truth": ({"metrics": {"enabled": "yes"}}, "/metrics/enabled"),
    "a provider that is not known": (
        {"oauth2Proxy": {"provider": "okta"}},
        "/oauth2Proxy/provider",
    ),
    "a provider without TLS": (
        {"oauth2Proxy": {"oidc": {"issuerUrl": "http://id.example.com"}}},
        "/oauth2Proxy/oidc/issuerUrl",
    ),
    "a digest that is none": ({"image": {"digest": "abc"}}, "/image/digest"),
    "a port that is none": (
        {"networkPolicy": {"database": {"ports": [70000]}}},
        "/networkPolicy/database/ports/0",
    ),
    "a mode that is not known": ({"mode": "prod"}, "/mode"),
    "a variable that is none": ({"env": {"A-B": "1"}}, "/env"),
    "a variable that is a number": ({"env": {"A": 1}}, "/env/A"),
    "a value of the instance": (
        {"instance": {"queue": {"maxConcurrentRuns": 0}}},
        "/instance/queue/maxConcurrentRuns",
    ),
}  # fmt: skip


def sign_in(**changed: Any) -> dict[str, Any]:
    """Sign-in that works, but for what is changed."""
    return {key: {**SIGN_IN.get(key, {}), **changed.get(key, {})} for key in {*SIGN_IN, *changed}}


BY_WHAT_THEY_MEAN = {
    "two locations of one name": (
        {"codeLocations": [{"name": "shop"}, {"name": "shop"}]},
        'codeLocations has "shop" twice',
    ),
    "an image that moves": ({"image": {"tag": "latest"}}, "image.tag is latest"),
    "a location's image that moves": (
        {"codeLocations": [{"name": "shop", "image": {"tag": "latest"}}]},
        "codeLocations[shop].image.tag is latest",
    ),
    "a proxy's image that moves": (
        sign_in(oauth2Proxy={"image": {"tag": "latest"}}),
        "oauth2Proxy.image.tag is latest",
    ),
    "no TLS in production": (
        sign_in(ingress={"tls": {"enabled": False}}),
        "ingress.tls.enabled is false in production",
    ),
    "no sign-in in production": (
        {"ingress": {"enabled": True, "host": "d.example.com"}},
        "ingress is enabled without oauth2Proxy in production",
    ),
    "sign-in without TLS in development": (
        {"mode": "development", **sign_in(ingress={"tls": {"enabled": False}})},
        "nobody could sign in",
    ),
    "an ingress without a host": (
        {"mode": "development", "ingress": {"enabled": True}},
        "ingress is enabled without host",
    ),
    "sign-in without a host": (
        {"oauth2Proxy": SIGN_IN["oauth2Proxy"]},
        "oauth2Proxy is enabled without ingress.host",
    ),
    "viewers without a host": (
        sign_in(ingress={"viewersHost": ""}),
        "ingress has no viewersHost",
    ),
    "one host for both": (
        sign_in(ingress={"viewersHost": "d.example.com"}),
        'are both "d.example.com"',
    ),
    "viewers without a server": (
        sign_in(readOnlyWebserver={"enabled": False}),
        "enable readOnlyWebserver",
    ),
    "sign-in that can be gone around": (
        sign_in(networkPolicy={"enabled": False}),
        "oauth2Proxy is enabled without networkPolicy",
    ),
    "editors who may be anybody": (
        sign_in(oauth2Proxy={"editors": {}}),
        "oauth2Proxy.editors has neither emailDomains nor groups",
    ),
    "viewers who may be anybody": (
        sign_in(oauth2Proxy={"viewers": {}}),
        "oauth2Proxy.viewers has neither emailDomains nor groups",
    ),
    "all domains": (
        sign_in(oauth2Proxy={"editors": {"emailDomains": ["*"]}}),
        "oauth2Proxy.editors.emailDomains is *, which is anybody",
    ),
    "a domain of everybody": (
        sign_in(oauth2Proxy={"viewers": {"emailDomains": ["example.com", "gmail.com"]}}),
        "which is anybody",
    ),
    "groups that Google tells nobody": (
        sign_in(oauth2Proxy={"editors": {"groups": ["a@example.com"]}}),
        "oauth2Proxy.editors.groups needs google.adminEmail",
    ),
    "a team without its organization": (
        signed_in("github", editors={"groups": ["data"]}),
        'oauth2Proxy.editors.groups has "data": a team of GitHub is organization:team',
    ),
    "a provider without an address": (
        signed_in("oidc", editors={"groups": ["data"]}),
        "oauth2Proxy.provider is oidc without oidc.issuerUrl",
    ),
    "people who are never asked about again": (
        sign_in(oauth2Proxy={"cookieRefresh": "12h", "cookieExpire": "720m"}),
        "oauth2Proxy.cookieRefresh is 12h, no less than cookieExpire, 720m",
    ),
    "a secret twice": (
        {"storage": {"existingSecret": "x", "externalSecret": EXTERNAL}},
        'storage.existingSecret is "x" and storage.externalSecret is enabled',
    ),
    "a secret of sign-in twice": (
        sign_in(oauth2Proxy={"existingSecret": "x", "externalSecret": EXTERNAL}),
        "oauth2Proxy.externalSecret is enabled",
    ),
    "a secret from nowhere": (
        {"storage": {"externalSecret": {"enabled": True, "store": "vault"}}},
        "storage.externalSecret is enabled without store and path",
    ),
    "a quota that counts nothing": (
        {"codeLocations": [{"name": "a", "quota": {"enabled": True}}]},
        "codeLocations[a].quota is enabled without priorityClassName",
    ),
    "a password as a variable": (
        {"env": {"SHOP_PASSWORD": "x"}},
        "env.SHOP_PASSWORD looks like a secret",
    ),
    "a password in a URL": (
        {"codeLocations": [{"name": "a", "env": {"SHOP_URL": "mysql://u:p@h/d"}}]},
        "codeLocations[a].env.SHOP_URL holds a password",
    ),
    "a variable of the chart's": (
        {"env": {"DAGSTER_HOME": "/x"}},
        "env has DAGSTER_HOME, which the chart sets itself",
    ),
    "a variable twice": (
        {"env": {"A": "1"}, "secretEnv": [{"name": "A", "secret": "s", "key": "k"}]},
        "secretEnv has A, which is said already",
    ),
    "a variable of all and of a location": (
        {"env": {"A": "1"}, "codeLocations": [{"name": "a", "env": {"A": "2"}}]},
        "codeLocations[a].env has A, which env of all pods has too",
    ),
    "a grace that is longer than patience": (
        {"instance": {"runJobs": {"graceSeconds": 600}}},
        "instance.runMonitoring.cancelTimeoutSeconds",
    ),
}


@pytest.mark.parametrize("case", BY_THE_SCHEMA)
def test_the_schema_refuses(case: str) -> None:
    values, said = BY_THE_SCHEMA[case]
    assert said in broken(values)


@pytest.mark.parametrize("case", BY_WHAT_THEY_MEAN)
def test_what_contradicts_itself_is_refused(case: str) -> None:
    values, said = BY_WHAT_THEY_MEAN[case]
    assert said in broken(values)


def test_all_that_is_wrong_is_said_at_once() -> None:
    said = broken(
        {
            "image": {"tag": "latest"},
            "codeLocations": [{"name": "a"}, {"name": "a"}],
            "ingress": {"enabled": True, "tls": {"enabled": False}},
        }
    )
    assert "5 of the values can't be:" in said
    assert said.count("\n- ") == 5


@pytest.mark.parametrize("name", ["TOKEN_URL", "KEY_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "REGION"])
def test_what_only_sounds_secret_is_taken(name: str) -> None:
    render({"env": {name: "x"}})
