"""A secret that is changed while a step uses it: the next try has the new one."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import psycopg2
import pytest
from dagster_steps import assets_of, failure_of, retries_of, run_assets
from factories import Project
from misbehaving_server import Asked, MisbehavingServer, Reply, misbehaving
from vault_server import TOKEN, Vault

from data_platform.plan.describing import describe_asset
from data_platform.resources import platform_resources
from data_platform.settings import Settings

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


def test_a_secret_is_nowhere_but_where_it_is_used(
    known: Vault,
    project: Project,
    instance: dg.DagsterInstance,
    settings: Settings,
    dagster_url: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    known.secrets["secret/team/shop"] = {"password": "a-canary-in-a-header"}
    shown: list[str] = []

    def answer(asked: Asked) -> Reply:
        return Reply([{"id": 1, "said": asked.headers["x-key"]}], 500)

    with misbehaving(answer) as server:
        project.platform(
            f"connections:\n  shop:\n    type: api\n    url: {server.url}\n"
            "    headers: {X-Key: '${vault:secret/team/shop#password}'}\n"
        )
        project.declare(
            "sources:\n  orders: {type: api, connection: shop, path: orders, partitions: none,"
            " retry: {total: 0}, retries: {attempts: 0}}\n"
        )
        result = run_assets(project, instance, "raw/orders")
        assert server.asked[0].headers["x-key"] == "a-canary-in-a-header"
    assert not result.success
    for asset in assets_of(project, "raw/orders"):
        shown += [str(spec) for spec in asset.specs]
    shown += [str(one) for one in platform_resources(project.workspace().platform).values()]
    shown += [str(describe_asset(project.node("raw/orders"))), *rows_of(dagster_url)]
    shown += [path.read_text("utf-8", "replace") for path in files_below(settings.data_dir)]
    shown += [path.read_text("utf-8", "replace") for path in files_below(project.folder)]
    shown += [*capfd.readouterr()]
    assert [text for text in shown if "canary" in text] == []
    assert any("vault:secret/team/shop#password" in text for text in shown)


def rows_of(url: str) -> Iterator[str]:
    """All rows of all tables of a database."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            yield from (row[0] for row in cursor.fetchall())


def files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
