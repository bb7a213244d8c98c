"""`vault` is a server that speaks Vault's API, `environ` what a process would be told of it."""

from collections.abc import Iterator

import pytest
from vault_server import TOKEN, Vault, vault_server

from data_platform.secrets import stores


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_store", stores.Store())


@pytest.fixture
def vault() -> Iterator[Vault]:
    held = {
        "secret/team/shop": {"password": "s3cret-of-v2", "port": 5432, "both": {"a": 1}},
        "kv/old/bank": {"token": "s3cret-of-v1"},
    }
    with vault_server(Vault(held)) as server:
        yield server


@pytest.fixture
def environ(vault: Vault) -> dict[str, str]:
    return {"VAULT_ADDR": vault.url, "VAULT_TOKEN": TOKEN}
