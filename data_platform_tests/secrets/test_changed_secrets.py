"""A secret that is changed while a step uses it: the next try has the new one."""

import dagster as dg
import pytest
from dagster_steps import failure_of, retries_of, run_assets
from factories import Project
from misbehaving_server import Asked, MisbehavingServer, Reply, misbehaving
from vault_server import TOKEN, Vault

DECLARED = """
sources:
  orders:
    type: api
    url: {url}/orders
    partitions: none
    auth: {{type: bearer, token: '${{vault:secret/team/shop#password}}'}}
    retries: {{delays: [0s], jitter: false}}
"""


@pytest.fixture
def known(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Vault:
    monkeypatch.setenv("VAULT_ADDR", vault.url)
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    return vault


def shop(vault: Vault, rotate: bool) -> MisbehavingServer:
    """Lets in who has the second password; the first one is changed while it is used."""

    def answer(asked: Asked) -> Reply:
        if rotate:
            vault.secrets["secret/team/shop"] = {"password": "second-canary"}
        let_in = asked.headers.get("authorization") == "Bearer second-canary"
        return Reply([{"id": 1}]) if let_in else Reply({"you sent": dict(asked.headers)}, 401)

    vault.secrets["secret/team/shop"] = {"password": "first-canary"}
    return misbehaving(answer)  # type: ignore[return-value]


def test_a_refused_login_takes_the_secret_anew(
    known: Vault, project: Project, instance: dg.DagsterInstance
) -> None:
    with shop(known, rotate=True) as server:
        project.declare(DECLARED.format(url=server.url))
        result = run_assets(project, instance, "raw/orders")
    assert result.success
    [(_, told)] = retries_of(result)
    assert "answered 401" in told
    assert "${vault:secret/team/shop#password} was changed meanwhile" in told
    assert "canary" not in told
    assert project.rows("raw/orders")


def test_a_refused_login_with_the_same_secret_stays_refused(
    known: Vault, project: Project, instance: dg.DagsterInstance
) -> None:
    with shop(known, rotate=False) as server:
        project.declare(DECLARED.format(url=server.url))
        result = run_assets(project, instance, "raw/orders")
    assert not result.success
    assert retries_of(result) == []
    assert "answered 401" in failure_of(result)
    assert "canary" not in "".join(map(str, result.all_events))
