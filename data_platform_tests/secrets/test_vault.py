"""`${vault:mount/path#key}`, over HTTP."""

import sys
from pathlib import Path

import pytest
from vault_server import Vault

from data_platform.errors import SecretsUnavailable
from data_platform.secrets import vault as module
from data_platform.secrets.stores import Store, expand
from data_platform.spec.references import Reference, VariableError, referred

PASSWORD = "${vault:secret/team/shop#password}"


def reference(text: str) -> Reference:
    [found] = referred(text)
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (PASSWORD, "s3cret-of-v2"),
        ("${vault:secret/team/shop#port}", "5432"),
        ("${vault:kv/old/bank#token}", "s3cret-of-v1"),
        (f"postgresql://me:{PASSWORD}@h/$${{x}}", "postgresql://me:s3cret-of-v2@h/${x}"),
    ],
)
def test_secrets_of_both_engines_are_read(text: str, value: str, environ: dict[str, str]) -> None:
    assert expand(text, environ) == value


def test_a_token_that_may_not_ask_for_engines_reads_version_2(
    vault: Vault, environ: dict[str, str]
) -> None:
    vault.closed_engines = True
    assert expand(PASSWORD, environ) == "s3cret-of-v2"


def test_a_namespace_is_sent(vault: Vault, environ: dict[str, str]) -> None:
    vault.namespace = "emea/shop"
    assert expand(PASSWORD, environ | {"VAULT_NAMESPACE": "emea/shop"}) == "s3cret-of-v2"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("${vault:secret/nowhere#a}", "no secret at secret/nowhere, or it was deleted"),
        ("${vault:secret/denied#a}", "denies it: .* policy doesn't let it read secret/denied"),
        ("${vault:secret/team/shop#pasword}", "no key 'pasword'; its keys are both, pass.*, port"),
        ("${vault:secret/team/shop#both}", "the value is no text"),
    ],
)
def test_what_lasts(text: str, match: str, environ: dict[str, str]) -> None:
    with pytest.raises(VariableError, match=match) as raised:
        expand(text, environ)
    assert str(raised.value).startswith(text)
    assert "s3cret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_another_token_is_denied_and_not_shown(environ: dict[str, str]) -> None:
    with pytest.raises(VariableError, match="the token has ended") as raised:
        expand(PASSWORD, environ | {"VAULT_TOKEN": "hvs.other"})
    assert "hvs.other" not in str(raised.value)


def test_a_sealed_vault_may_be_asked_again(vault: Vault, environ: dict[str, str]) -> None:
    vault.sealed = True
    with pytest.raises(SecretsUnavailable, match=r"password}: Vault is sealed"):
        expand(PASSWORD, environ)
    vault.sealed = False
    assert expand(PASSWORD, environ) == "s3cret-of-v2"


def test_nobody_at_the_address_may_be_asked_again(environ: dict[str, str]) -> None:
    with pytest.raises(SecretsUnavailable, match=r"can't be reached"):
        expand(PASSWORD, environ | {"VAULT_ADDR": "http://127.0.0.1:1"})


def test_what_must_be_set_is_named(environ: dict[str, str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where hvac looks for a token
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    with pytest.raises(VariableError, match="set VAULT_ADDR"):
        expand(PASSWORD, {})
    with pytest.raises(VariableError, match="who asks Vault: set VAULT_TOKEN"):
        expand(PASSWORD, {"VAULT_ADDR": environ["VAULT_ADDR"]})


def test_a_machine_logs_in_by_its_role(environ: dict[str, str]) -> None:
    by_role = {"VAULT_ADDR": environ["VAULT_ADDR"], "VAULT_ROLE_ID": "robot"}
    assert expand(PASSWORD, by_role | {"VAULT_SECRET_ID": "its-secret"}) == "s3cret-of-v2"
    with pytest.raises(VariableError, match="are role and secret of the login right") as raised:
        Store().value(reference(PASSWORD), by_role | {"VAULT_SECRET_ID": "wrong-one"})
    assert "wrong-one" not in str(raised.value)


def test_a_pod_logs_in_by_its_service_account(
    environ: dict[str, str], tmp_path: Path, monkeypatch
) -> None:
    pod = {"VAULT_ADDR": environ["VAULT_ADDR"], "VAULT_KUBERNETES_ROLE": "runs"}
    monkeypatch.setattr(module, "SERVICE_ACCOUNT", tmp_path / "token")
    with pytest.raises(VariableError, match=r"token can't be read: No such file"):
        Store().value(reference(PASSWORD), pod)
    (tmp_path / "token").write_text("token-of-the-pod\n")
    assert Store().value(reference(PASSWORD), pod) == "s3cret-of-v2"


def test_a_secret_is_asked_for_once_in_some_minutes(vault: Vault, environ: dict[str, str]) -> None:
    now = [1000.0]
    store = Store(clock=lambda: now[0])
    for key in ("password", "port", "password"):
        store.value(Reference("vault", "secret/team/shop", key), environ)
    assert vault.reads == 1
    now[0] += 301
    vault.secrets["secret/team/shop"] = {"password": "rotated"}
    assert store.value(reference(PASSWORD), environ) == "rotated"


def test_a_secret_that_was_changed_is_known_and_used(vault: Vault, environ: dict[str, str]) -> None:
    store = Store()
    store.value(reference(PASSWORD), environ)
    assert store.changed() == []
    vault.sealed = True
    assert store.changed() == []
    vault.sealed = False
    vault.secrets["secret/team/shop"] = {"password": "rotated"}
    assert store.changed() == [PASSWORD]
    assert store.value(reference(PASSWORD), environ) == "rotated"
    assert store.changed() == []


def test_without_the_package_it_is_named(environ: dict[str, str], monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "hvac", None)
    with pytest.raises(VariableError, match=r"pip install 'data-platform\[vault\]'"):
        Store().value(reference(PASSWORD), environ)
