"""Fifty secrets in a project that shows them wherever it can: none is found on any surface."""

import base64
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import boto3
import dagster as dg
import pytest
from forked_command import run_command
from misbehaving_server import Asked, Reply, misbehaving
from object_storage import server_url
from sqlalchemy import text
from vault_server import TOKEN, Vault, vault_server

from data_platform.definitions import build_definitions
from data_platform.instance.own_tables import Tables, transaction
from data_platform.instance.storage import open_instance
from data_platform.secrets import masker
from data_platform.secrets.masker import Masker
from data_platform.settings import Settings, environment_with

PLATFORM = """
lake: {{root: {folder}/lake}}
masking: {{key: '${{HIDING}}'}}
webhooks: {{secret: '${{HOOKS}}'}}
alerts:
  channels:
    chat: {{url: '${{CHAT}}'}}
    mail: {{url: 'mailtos://ops:${{MAILER}}@mail.example.com'}}
connections:
  warehouse: {{type: database, url: 'postgresql://etl:${{WAREHOUSE}}@127.0.0.1:9/dwh'}}
  crm: {{type: database, url: 'mysql+pymysql://etl:${{CRM}}@127.0.0.1:9/crm?token=${{CRM_SESSION}}'}}
  bank:
    type: api
    url: http://127.0.0.1:9/v1
    headers: {{X-Api-Key: '${{BANK}}', Authorization: 'Token ${{BANK_OTHER}}'}}
    auth: {{type: bearer, token: '${{file:{folder}/bank}}'}}
  shop:
    type: api
    url: http://127.0.0.1:9/
    auth: {{type: basic, username: me, password: '${{SHOP}}'}}
  maps:
    type: api
    url: http://127.0.0.1:9/
    auth: {{type: api_key, name: key, value: '${{MAPS}}', in: query}}
  cloud:
    type: api
    url: http://127.0.0.1:9/
    headers: {{X-Api-Key: '${{vault:secret/team/shop#password}}', X-Token: '${{aws-secret:plain}}'}}
    auth:
      type: oauth2
      token_url: http://127.0.0.1:9/token
      client_id: me
      client_secret: '${{aws-secret:several#password}}'
  files:
    type: s3
    endpoint_url: http://127.0.0.1:9
    bucket: landing
    access_key_id: '${{FILES_ID}}'
    secret_access_key: '${{FILES}}'
  events:
    type: kafka
    bootstrap_servers: 127.0.0.1:9
    options: {{sasl.password: '${{EVENTS}}', sasl.username: me}}
"""
PIPELINE = """
version: 1
pipeline: leaks
owner: team:leaks
sources:
  prices: {{type: api, url: '{url}/prices', params: {{k: '${{PRICES}}'}}}}
"""
ASSETS = """
import base64
import json
import logging
import os
import subprocess
import sys
import traceback
import urllib.parse

import dagster as dg
import pandas as pd

from data_platform.resources import (
    DatabaseResource,
    HttpResource,
    KafkaResource,
    ObjectStoreResource,
)

log = logging.getLogger("people.own")


def planted():
    return [os.environ[name] for name in sorted(os.environ) if name.startswith("APP_")]


def forms():
    for value in planted():
        yield value
        yield urllib.parse.quote(value, safe="")
        yield urllib.parse.quote_plus(value)
        yield json.dumps({"k": value})
        yield repr({"k": value})
        yield base64.b64encode(f"user:{value}".encode()).decode()


@dg.asset
def printed() -> None:
    print(os.environ)
    print(*forms(), sep="\\n")
    print(*forms(), sep="\\n", file=sys.stderr)
    subprocess.run(["env"], check=True)
    raise RuntimeError("printed")


@dg.asset
def logged(context: dg.AssetExecutionContext) -> None:
    for form in forms():
        context.log.info(f"with {form}")
        log.warning("a library says %s", form)
    try:
        raise ValueError(planted()[0])
    except ValueError:
        log.exception("and fails")
    raise RuntimeError("logged")


@dg.asset
def raised() -> None:
    error = None
    for form in forms():
        try:
            raise ValueError(f"refused: {form}") from error
        except ValueError as caught:
            error = caught
    raise RuntimeError("all of them: " + " ".join(forms())) from error


@dg.asset
def told() -> None:
    raise dg.Failure(" ".join(planted()), metadata={"md": dg.MetadataValue.md(" ".join(forms()))})


@dg.asset
def shown(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    values = planted()
    return dg.MaterializeResult(
        metadata={
            "text": " ".join(forms()),
            "json": dg.MetadataValue.json({"found": values, "deep": {"er": values[0]}}),
            "url": dg.MetadataValue.url("http://h/?" + urllib.parse.urlencode({"x": values[1]})),
            "path": dg.MetadataValue.path("/tmp/" + values[2]),
        }
    )


@dg.asset
def connected(
    warehouse: DatabaseResource,
    crm: DatabaseResource,
    bank: HttpResource,
    shop: HttpResource,
    maps: HttpResource,
    cloud: HttpResource,
    files: ObjectStoreResource,
    events: KafkaResource,
) -> None:
    wrong = []
    for resource in (warehouse, crm, bank, shop, maps, cloud, files, events):
        found = resource.resolved()
        print(found.model_dump())
        wrong.append(str(found.model_dump_json()))
    for database in (warehouse, crm):
        try:
            with database.get_connection() as connection:
                connection.execute("SELECT 1")
        except Exception as error:
            wrong.append("".join(traceback.format_exception(error)))
    raise RuntimeError("\\n".join(wrong))
"""
NAMED = (
    *("HIDING", "HOOKS", "MAILER", "WAREHOUSE", "CRM", "CRM_SESSION", "BANK", "BANK_OTHER"),
    *("SHOP", "MAPS", "FILES_ID", "FILES", "EVENTS", "PRICES"),
)
"""Variables whose names don't tell: connections and sources refer to them."""
COMMANDS = ("run leaks", "check", "explain leaks", "status", "why leaks.raw.prices", "doctor")


def secret(number: int) -> str:
    """One of fifty."""
    return f"pw{number:02}{hashlib.sha256(str(number).encode()).hexdigest()[:14]}"


@dataclass
class Planted:
    """A project with its secrets."""

    folder: Path
    settings: Settings
    environ: dict[str, str]
    secrets: list[str] = field(default_factory=list[str])

    def found_in(self, surface: str) -> list[str]:
        """The secrets that stand in a text, also in base64."""
        return [
            value
            for value in self.secrets
            if value[4:] in surface
            or any(
                base64.b64encode(bytes(shift) + value.encode()).decode()[4:-4] in surface
                for shift in range(3)
            )
        ]


@pytest.fixture
def planted(
    settings: Settings, tmp_path: Path, dagster_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Planted]:
    """The project, a Vault and a Secrets Manager, and the environment that tells of them."""
    secrets = [secret(number) for number in range(50)]
    left = iter(secrets)
    variables = {name: next(left) for name in NAMED}
    variables["CHAT"] = f"slack://{next(left)}/{next(left)}/{next(left)}/#ops"
    (tmp_path / "bank").write_text(f"{next(left)}\n")
    held = {"secret/team/shop": {"password": next(left)}}
    with vault_server(Vault(held)) as vault, misbehaving(repeating) as prices:
        aws = {
            "AWS_ENDPOINT_URL": server_url(),
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": next(left),
            "AWS_SECRET_ACCESS_KEY": next(left),
        }
        for name, value in aws.items():
            monkeypatch.setenv(name, value)
        store = boto3.client("secretsmanager", region_name="eu-west-1", endpoint_url=server_url())
        store.create_secret(Name="plain", SecretString=next(left))
        several = json.dumps({"password": next(left), "host": "h"})
        store.create_secret(Name="several", SecretString=several)
        # What is special in URLs, JSON and SQL is in every other one.
        odd = {f"APP_{n:02}_TOKEN": f"{value}{'/+ &%' * (n % 2)}" for n, value in enumerate(left)}
        write_project(tmp_path, prices.url)
        yield Planted(
            tmp_path,
            replace(settings, pipelines_dirs=(tmp_path / "pipelines",)),
            {
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "DATA_PLATFORM_HOME": str(tmp_path),
                "DATA_PLATFORM_DATA_DIR": str(settings.data_dir),
                "DATA_PLATFORM_PIPELINES": str(tmp_path / "pipelines"),
                "DATA_PLATFORM_STORAGE_URL": dagster_url,
                "VAULT_ADDR": vault.url,
                "VAULT_TOKEN": TOKEN,
                **aws,
                **variables,
                **odd,
            },
            secrets,
        )
        for name in ("plain", "several"):
            store.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def repeating(asked: Asked) -> Reply:
    """A server that refuses, and says what it was asked."""
    return Reply({"refused": asked.params, "headers": dict(asked.headers)}, 403)


def write_project(folder: Path, url: str) -> None:
    """A pipeline that shows all that it knows."""
    pipeline = folder / "pipelines" / "leaks"
    pipeline.mkdir(parents=True)
    (pipeline.parent / "platform.yaml").write_text(PLATFORM.format(folder=folder))
    (pipeline / "pipeline.yaml").write_text(PIPELINE.format(url=url))
    (pipeline / "assets.py").write_text(ASSETS)


def tables_of(instance: dg.DagsterInstance) -> dict[str, str]:
    """All that Dagster's database holds, by table; compressed definitions are unpacked."""
    with transaction(instance, Tables("planted", ())) as connection:
        names = connection.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ).all()
        found = {
            name: "\n".join(connection.scalars(text(f'SELECT t::text FROM "{name}" t')).all())
            for name in names
        }
        bodies = connection.scalars(text("SELECT snapshot_body FROM snapshots")).all()
    found["definitions"] = "\n".join(zlib.decompress(bytes(body)).decode() for body in bodies)
    return found


def logs_of(settings: Settings) -> dict[str, str]:
    """What steps have printed, by file."""
    files = [*(settings.data_dir / "compute_logs").rglob("*.*")]
    return {file.name: file.read_text() for file in files if file.is_file()}


def leaks(planted: Planted, surfaces: Mapping[str, str]) -> dict[str, list[str]]:
    """The secrets that were found, by surface."""
    found = {name: planted.found_in(surface) for name, surface in surfaces.items()}
    return {name: secrets for name, secrets in found.items() if secrets}


def test_none_of_fifty_secrets_is_found_anywhere(planted: Planted) -> None:
    assert len(set(planted.secrets)) == 50
    environ = {**planted.environ, "DATA_PLATFORM_LOG_FORMAT": "json"}

    printed = {
        command: run_command(["data-platform", *command.split()], planted.folder, environ).stdout
        for command in COMMANDS
    }
    with open_instance(planted.settings) as instance:
        tables = tables_of(instance)
    logs = logs_of(planted.settings)

    assert "all of them: ***" in tables["event_logs"]
    assert "a library says ***" in "".join(logs.values())
    assert "WAREHOUSE" in "".join(logs.values())
    assert "all of them: ***" in printed["run leaks"]
    assert "${vault:secret/team/shop#password}" in printed["doctor"]
    assert all(printed.values())
    assert leaks(planted, {**printed, **tables, **logs}) == {}


def test_the_same_search_finds_them_where_nothing_is_masked(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Masker, "mask", lambda _, text: text)
    monkeypatch.setattr(masker, "_masker", Masker())

    with environment_with(planted.environ), open_instance(planted.settings) as instance:
        job = build_definitions(
            planted.settings, planted.environ
        ).resolve_implicit_global_asset_job_def()
        job.execute_in_process(instance=instance, raise_on_error=False)
        tables = tables_of(instance)

    found = leaks(planted, {**tables, **logs_of(planted.settings)})
    assert {"event_logs", "asset_keys"} <= found.keys()
    shown = {secret for secrets in found.values() for secret in secrets}
    assert shown == set(planted.secrets)
