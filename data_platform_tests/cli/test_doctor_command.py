"""`data-platform doctor`, as a person and a program see it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from factories import Project
from misbehaving_server import Reply, misbehaving
from screen import lines_in_pipe, lines_on_screen, too_wide

from data_platform.doctor.findings import Finding, connections, reached
from data_platform.terminal.doctor_tables import print_findings

CANARY = "a-canary"


@pytest.fixture
def environ(environ: dict[str, str], dagster_url: str, postgres_url: str) -> dict[str, str]:
    return {
        **environ,
        "DATA_PLATFORM_STORAGE_URL": dagster_url,
        "SHOP_URL": postgres_url,
        "BANK_TOKEN": CANARY,
        "LAKE_ROOT": ".data/lake",
    }


@contextmanager
def sound(project: Project) -> Iterator[None]:
    with misbehaving(Reply(body=b"")) as server:
        project.platform(
            "connections:\n  shop: {type: database, url: '${SHOP_URL}'}\n"
            f"  bank: {{type: api, url: {server.url}, headers: {{X-Key: '${{BANK_TOKEN}}'}}}}\n"
        )
        yield


def test_a_sound_platform(project: Project, command) -> None:
    with sound(project):
        result = command("doctor")
    assert result.exit_code == 0, result.output
    heads = [line for line in result.output.splitlines() if line and line[0] != " "]
    assert heads[:-1] == [
        "pipelines", "variables", "packages", "lake", "machine", "dagster",
        "connection shop", "connection bank",
    ]  # fmt: skip
    assert " fail" not in result.output
    assert CANARY not in result.output


def test_one_connection_alone(project: Project, command) -> None:
    with sound(project):
        result = command("doctor", "--connection", "shop", "--format", "json")
    told = json.loads(result.output)
    assert (told["format"], told["ok"]) == (1, True)
    assert {finding["area"] for finding in told["findings"]} == {"connection shop"}
    [reachable] = [f for f in told["findings"] if f["what"] == "reachable"]
    assert reachable["figures"]["seconds"] >= 0
    assert reachable["advice"] is None


def test_a_connection_that_there_is_not(project: Project, command) -> None:
    result = command("doctor", "--connection", "shops")
    assert result.exit_code == 1
    assert "no connection 'shops' in platform.yaml; there are: shop" in result.output


def test_what_fails_is_told_with_what_to_do_and_no_secret(
    project: Project, command, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "empty").write_text("\n")
    project.platform(
        "connections:\n"
        f"  shop: {{type: database, url: 'postgresql://me:{CANARY}@127.0.0.1:1/shop'}}\n"
        "  gone: {type: database, url: '${GONE_URL}'}\n"
        f"  bank: {{type: api, url: 'http://127.0.0.1:1', headers: "
        f"{{A: '${{file:{tmp_path}/empty}}',"
        " B: '${vault:secret/bank#token}'}}\n"
        "  other: {type: database, url: 'oracle://h/x'}\n"
    )
    result = command("doctor", "--format", "json")
    assert result.exit_code == 1
    findings = json.loads(result.output)["findings"]
    bad = {(f["area"], f["what"]): f for f in findings if f["level"] != "ok"}
    assert {key: f["level"] for key, f in bad.items() if key[0] != "dagster"} == {
        ("variables", "GONE_URL"): "fail",
        ("secrets", f"${{file:{tmp_path}/empty}}"): "warn",
        ("secrets", "${vault:secret/bank#token}"): "fail",
        ("packages", "oracledb"): "fail",
        ("connection shop", "reachable"): "fail",
        ("connection gone", "reachable"): "fail",
        ("connection bank", "reachable"): "fail",
        ("connection other", "reachable"): "fail",
    }
    assert all(finding["advice"] for finding in bad.values())
    assert "connection gone needs it" in bad["variables", "GONE_URL"]["found"]
    assert CANARY not in result.output


def test_a_platform_file_with_mistakes_is_a_finding(project: Project, command) -> None:
    project.platform("connections:\n  shop: {type: databas, url: x}\n")
    result = command("doctor", "--format", "json")
    assert result.exit_code == 1
    [found] = [f for f in json.loads(result.output)["findings"] if f["what"] == "platform.yaml"]
    assert "databas" in found["found"]


FINDINGS = [
    reached("connection warehouse", 0.012, "PostgreSQL 18.6"),
    connections("connection warehouse", 99, 100),
    Finding("lake", "disk of lake, scratch, data folder", "warn", "6 of 71 GB free", "make room"),
    Finding("lake", "written and read", "fail", "s3://a-bucket/" + "deep/" * 30, "ask " * 40),
]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_it_holds_at_the_terminals_width(width: int) -> None:
    lines = lines_on_screen(width, lambda console: print_findings(console, FINDINGS))
    assert too_wide(lines, width) == []
    assert "1 ok, 1 warning, 2 failures" in " ".join(lines)


def test_a_line_is_a_line_in_a_pipe() -> None:
    lines = lines_in_pipe(lambda console: print_findings(console, FINDINGS))
    [advice] = [line for line in lines if "-> let fewer steps" in line]
    assert advice.endswith("or raise the limit")
    [words] = [line for line in lines if "s3://a-bucket" in line]
    assert words.count("deep/") == 30
