"""Secrets in texts: by their values in all forms, by their names, places and looks."""

import base64
import html
import json
import threading
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from factories import Project
from pydantic import BaseModel, Field

from data_platform.secrets import masker, stores
from data_platform.secrets.masker import Masker, mask
from data_platform.secrets.shapes import masked_shapes, names_secret
from data_platform.secrets.written import know_workspace
from data_platform.spec.reading import read_workspace

SECRET = "k9\"\\/ü%+Zq'&x=<7>"


@pytest.fixture(autouse=True)
def own_masker(monkeypatch: pytest.MonkeyPatch) -> Masker:
    """One that knows nothing of other tests, in the place of the process's."""
    fresh = Masker()
    monkeypatch.setattr(masker, "_masker", fresh)
    return fresh


def knowing(*values: str) -> Masker:
    """A masker that was told values."""
    told = Masker()
    told.know(*values)
    return told


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(SECRET, id="as it is"),
        pytest.param(quote(SECRET), id="in a path"),
        pytest.param(quote(SECRET, safe=""), id="in a URL"),
        pytest.param(quote(SECRET, safe="").lower(), id="in a URL, small hex digits"),
        pytest.param(quote_plus(SECRET), id="in a form"),
        pytest.param(json.dumps(SECRET), id="in JSON"),
        pytest.param(json.dumps(SECRET, ensure_ascii=False), id="in JSON with unicode"),
        pytest.param(json.dumps(json.dumps({"key": SECRET})), id="in JSON within JSON"),
        pytest.param(repr(SECRET), id="as Python shows it"),
        pytest.param(html.escape(SECRET), id="in HTML"),
        pytest.param(SECRET.replace("'", "''"), id="in SQL"),
    ],
)
def test_a_value_is_masked_however_it_is_quoted(form: str) -> None:
    masked = knowing(SECRET.lower() if form.islower() else SECRET).mask(f"before {form} after")

    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "***" in masked
    assert "Zq" not in masked
    assert "zq" not in masked


@pytest.mark.parametrize("user", ["", "u", "us", "user", "ü"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_value_is_masked_wherever_it_begins_in_base64(user: str, encode: object) -> None:
    whole = encode(f"{user}:{SECRET}".encode()).decode()  # type: ignore[operator]

    masked = knowing(SECRET).mask(f"Authorization {whole}")

    assert "***" in masked
    assert len(masked.replace("***", "")) <= len("Authorization ") + len(user) * 2 + 8


def test_each_line_of_a_key_is_masked_since_logs_are_written_by_lines() -> None:
    begin, end = "-----BEGIN EC PRIVATE KEY-----", "-----END EC PRIVATE KEY-----"
    key = f"{begin}\nMHcCAQEEIBTd\nq1oAoGCCqGSM\n{end}\n"

    told = knowing(key)

    assert told.mask("q1oAoGCCqGSM") == "***"
    assert told.mask(repr(key)) == "'***'"
    assert told.mask("-----BEGIN PUBLIC KEY-----") == "-----BEGIN PUBLIC KEY-----"


@pytest.mark.parametrize("value", ["", "abc12", "123456", "2026-11-22", "postgres", "true"])
def test_what_stands_in_innocent_texts_is_not_looked_for(value: str) -> None:
    text = f"published 123456 rows of 2026-11-22 in postgres: true abc12 {value}"

    assert knowing(value).mask(text) == text


def test_a_value_that_begins_as_another_is_masked_as_a_whole() -> None:
    told = knowing("abcdefgh", "abcdefgh-and-more", "abcdxyz1")

    assert told.mask("1 abcdefgh-and-more 2 abcdefgh 3 abcdxyz1 4 abcd") == (
        "1 *** 2 *** 3 *** 4 abcd"
    )


def test_old_values_stay_known_when_new_ones_are_told() -> None:
    told = knowing("first-value")
    assert told.mask("first-value second-value") == "*** second-value"

    told.know("second-value")

    assert told.mask("first-value second-value") == "*** ***"


def test_several_threads_may_tell_and_ask_at_once() -> None:
    told, wrong = Masker(), list[str]()

    def work(number: int) -> None:
        for step in range(20):
            value = f"value-{number}-{step}-secret"
            told.know(value)
            if value in told.mask(f"a {value} b"):
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong


def test_a_value_of_a_thousand_characters_is_no_deep_pattern() -> None:
    value = "eyJhbGciOi" * 400 + "=="

    assert knowing(value, value[:-1]).mask(f"({value})") == "(***)"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://u:p%40ss@h/d", "postgresql://u:***@h/d"),
        ("at mysql+pymysql://u:p@ss@h:1/d.", "at mysql+pymysql://u:***@h:1/d."),
        ("https://h/x?api_key=a1&page=2&sig=b2", "https://h/x?api_key=***&page=2&sig=***"),
        ("s3://b/k?X-Amz-Signature=ab12&n=1", "s3://b/k?X-Amz-Signature=***&n=1"),
        ("host=h password=hunter2 dbname=d", "host=h password=*** dbname=d"),
        ("PGPASSWORD='a b'", "PGPASSWORD='*** b'"),
        ("{'password': 'x', 'n': 'y'}", "{'password': '***', 'n': 'y'}"),
        ('{"db_token": "x"}', '{"db_token": "***"}'),
        (r"{\"api_key\": \"x\"}", r"{\"api_key\": \"***\"}"),
        ("Authorization: Bearer abc.d-1", "Authorization: Bearer ***"),
        ("'authorization': 'Token abc'", "'authorization': 'Token ***'"),
        ("sent Bearer abcd1234.x=", "sent Bearer ***"),
        ("AKIAIOSFODNN7EXAMPLE!", "***!"),
        ("https://hooks.slack.com/services/T0/B0/x1", "https://hooks.slack.com/services/***"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.abc-_", "***"),
        (
            "-----BEGIN PRIVATE KEY-----\nab\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----",
        ),
    ],
)
def test_what_looks_like_a_secret_is_masked_though_nobody_told_it(text: str, masked: str) -> None:
    assert masked_shapes(text) == masked
    assert masked_shapes(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "password: must be set",
        "the token has ended; Basic authentication failed, bearer token expired",
        "postgresql://user@host:5432/database and me@example.com",
        "see http://localhost:3000/runs/1, or ask a@b.c",
        "'password': '${PG_PASSWORD}', password=${PG_PASSWORD}, token=***",
        "Authorization: ${API_TOKEN}",
        "authorization is needed: set it",
    ],
)
def test_words_about_secrets_stay(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    "name",
    [
        *("DB_PASSWORD", "PGPASSWORD", "API_KEY", "sasl.password", "X-Api-Key", "MY_TOKEN"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GITHUB_PAT", "VAULT_SECRET_ID"),
    ],
)
def test_names_tell_secrets(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize(
    "name", ["PWD", "LAKE_ROOT", "TOKEN_URL", "KEYBOARD", "SECRET_FILE", "HOME"]
)
def test_other_names_tell_none(name: str) -> None:
    assert not names_secret(name)


def test_the_environment_tells_secrets_by_names_and_passwords_in_urls() -> None:
    masker.know_environment(
        {
            "SHOP_API_TOKEN": "token-of-shop",
            "WAREHOUSE": "postgresql://etl:w%40rehouse1@db/dwh",
            "LAKE_ROOT": "/data/lake",
            "LIBPQ": "host=db password=libpq-pass",
        }
    )

    assert mask("token-of-shop w@rehouse1 w%40rehouse1 libpq-pass /data/lake etl dwh") == (
        "*** *** *** *** /data/lake etl dwh"
    )


@pytest.mark.parametrize(
    ("address", "text", "masked"),
    [
        (
            "https://chat.example.com/hooks/abcDEF123456",
            "POST chat.example.com /hooks/abcDEF123456",
            "POST chat.example.com /hooks/***",
        ),
        ("slack://TokenA123/TokenB123/TokenC123/#ops", "TokenA123 TokenC123 #ops", "*** *** #ops"),
        (
            "mailtos://me:hunter22@mail.example.com",
            "hunter22 mail.example.com",
            "*** mail.example.com",
        ),
    ],
)
def test_an_address_of_a_channel_tells_its_keys(address: str, text: str, masked: str) -> None:
    assert stores.expand_address("${CHANNEL}", {"CHANNEL": address}) == address

    assert mask(text) == masked
    assert address not in mask(f"can't reach {address}")


class Connection(BaseModel):
    """With secrets in places of several kinds."""

    url: str
    user: str
    secret_access_key: str
    headers: dict[str, str] = Field(default_factory=dict)
    options: dict[str, str] = Field(default_factory=dict)
    auth: dict[str, str] = Field(default_factory=dict)


def test_what_is_looked_up_for_a_connection_is_masked_where_it_is_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text("from-a-file\n")
    environ = {
        "PLAIN": "url-password",
        "WHO": "etl-user",
        "SOME": "access-value",
        "HEAD": "header-value",
        "OPTION": "option-value",
    }
    written = Connection(
        url=f"postgresql://${{WHO}}:${{PLAIN}}@h/${{file:{file}}}",
        user="${WHO}",
        secret_access_key="${SOME}",
        headers={"X-Api-Key": "${HEAD}", "Authorization": "Bearer ${HEAD}2"},
        options={"sasl.password": "${OPTION}", "client.id": "my-client"},
        auth={"type": "api_key", "value": "${OPTION}3"},
    )

    stores.expand_model(written, environ)

    text = "url-password from-a-file access-value header-value option-value option-value3"
    assert mask(f"{text} header-value2") == " ".join(["***"] * 7)
    assert mask("etl-user my-client api_key") == "etl-user my-client api_key"


def test_a_secret_of_several_values_is_masked_as_a_whole_and_by_its_keys(tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    file.write_text(json.dumps({"client_email": "etl@example.com", "private_key": "p-r-i-v-a-t-e"}))

    stores.expand(f"${{file:{file}}}", {})

    assert mask("etl@example.com p-r-i-v-a-t-e") == "etl@example.com ***"
    assert mask(file.read_text()) == "***"


def test_a_plain_variable_is_not_masked() -> None:
    stores.expand("${LAKE_ROOT}/x", {"LAKE_ROOT": "/data/lake"})

    assert mask("/data/lake/x") == "/data/lake/x"


def test_what_platform_yaml_names_is_masked_before_anything_connects(project: Project) -> None:
    project.platform(
        "connections:\n"
        "  dwh: {type: database, url: 'postgresql://etl:${DWH}@h/d'}\n"
        "  bank: {type: api, url: 'http://h', auth: {type: bearer, token: '${BANK}'}}\n"
        "  gone: {type: api, url: 'http://h', headers: {X-Key: '${GONE}'}}\n"
        "  kept: {type: api, url: 'http://h', headers: {X-Key: '${vault:a/b#c}'}}\n"
        "masking: {key: '${HIDING}'}\n"
        "alerts: {channels: {chat: {url: '${CHAT}'}}}\n"
    )
    project.declare(
        "sources:\n  prices: {type: api, url: 'http://h/${PLACE}', params: {k: '${PRICES}'}}\n"
    )
    environ = {
        "DWH": "dwh-value",
        "BANK": "bank-value",
        "HIDING": "hiding-value",
        "CHAT": "slack://TokenA123/TokenB123/TokenC123",
        "PRICES": "prices-value",
        "PLACE": "place-value",
    }

    know_workspace(read_workspace([project.pipelines], environ, project.folder), environ)

    assert mask("dwh-value bank-value hiding-value TokenC123 prices-value place-value etl") == (
        "*** *** *** *** *** place-value etl"
    )
    assert mask("${GONE} and ${vault:a/b#c} are to be set") == (
        "${GONE} and ${vault:a/b#c} are to be set"
    )
