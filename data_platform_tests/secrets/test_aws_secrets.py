"""`${aws-secret:name#key}`, over moto's Secrets Manager."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from object_storage import server_url

from data_platform.errors import SecretsUnavailable
from data_platform.secrets.stores import Store, expand
from data_platform.spec.references import Reference, VariableError


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in {
        "AWS_ENDPOINT_URL": server_url(),
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-tests",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("secretsmanager", region_name="eu-central-1", endpoint_url=server_url())
    made: list[str] = []

    def create(name: str, **content: Any) -> None:
        client.create_secret(Name=name, **content)
        made.append(name)

    client.make = create  # type: ignore[attr-defined]
    yield client
    for name in made:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def test_a_secret_and_a_key_of_one(manager: Any) -> None:
    manager.make("shop/plain", SecretString="s3cret")
    manager.make("shop/json", SecretString=json.dumps({"user": "me", "password": "p:w", "n": 5}))
    text = "${aws-secret:shop/json#user}:${aws-secret:shop/json#password}/${aws-secret:shop/plain}"
    assert expand(text, environment()) == "me:p:w/s3cret"
    assert expand("${aws-secret:shop/json#n}", environment()) == "5"


def test_an_arn_names_one_too(manager: Any) -> None:
    manager.make("shop/arn", SecretString="s3cret")
    arn = manager.describe_secret(SecretId="shop/arn")["ARN"]
    assert expand(f"${{aws-secret:{arn}}}", environment()) == "s3cret"


@pytest.mark.parametrize(
    ("name", "key", "match"),
    [
        ("nowhere", None, "no secret 'nowhere' in this account and region"),
        ("text", "a", r"is no JSON object, so it has no key 'a': leave #a out"),
        ("json", "pasword", "no key 'pasword'; its keys are password$"),
        ("binary", None, "the secret is binary"),
    ],
)
def test_what_is_wrong_is_told_without_values(
    manager: Any, name: str, key: str | None, match: str
) -> None:
    manager.make("text", SecretString="s3cret")
    manager.make("json", SecretString='{"password": "s3cret"}')
    manager.make("binary", SecretBinary=b"s3cret")
    with pytest.raises(VariableError, match=match) as raised:
        Store().value(Reference("aws-secret", name, key), environment())
    assert "s3cret" not in str(raised.value)


def test_a_store_that_is_away_may_be_asked_again(manager: Any, monkeypatch) -> None:
    monkeypatch.setattr("data_platform.secrets.aws.SECONDS", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(SecretsUnavailable, match=r"Manager can't be reached \(Endpoint"):
        Store().value(Reference("aws-secret", "shop"), environment())


def test_a_region_must_be_known(manager: Any, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(VariableError, match="set AWS_REGION"):
        Store().value(Reference("aws-secret", "shop"), environment())


def test_without_the_package_it_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(VariableError, match=r"pip install 'data-platform\[aws\]'"):
        Store().value(Reference("aws-secret", "shop"), {})
