"""`data-platform check`: which mistakes it tells, where, and what it exits with."""

from pathlib import Path

import pytest
from adbc_driver_postgresql import dbapi
from click.testing import Result
from factories import DAILY_SOURCE, Project

STAGING = "staging:\n  orders:\n    from: raw.orders\n"
UNKNOWN_KEY = "staging:\n  orders:\n    form: raw.orders\n"
UNKNOWN_ASSET = "staging:\n  orders:\n    from: raw.oders\n"


def lines(result: Result) -> list[str]:
    return result.stdout.splitlines()


def test_sound_pipelines_give_a_closing_line(command, project: Project):
    project.declare(STAGING)
    result = command("check")
    assert (result.exit_code, lines(result)) == (0, ["1 pipeline, 0 problems"])


def test_mistakes_of_all_pipelines_come_at_once(command, project: Project):
    project.declare(UNKNOWN_KEY, name="one")
    project.declare(UNKNOWN_ASSET, name="two")
    project.declare(STAGING, name="three")
    result = command("check")
    assert result.exit_code == 1
    assert lines(result)[0].startswith("pipelines/one/pipeline.yaml:8:5: ")
    assert lines(result)[-2].startswith(
        "pipelines/two/pipeline.yaml:8:5: there is no asset raw.oders"
    )
    assert lines(result)[-1] == f"3 pipelines, {len(lines(result)) - 1} problems"


def test_files_outside_the_working_directory_are_named_in_full(
    command, project: Project, tmp_path_factory, monkeypatch
):
    path = project.declare(UNKNOWN_ASSET)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert lines(command("check"))[0].startswith(f"{path}:8:5: ")


@pytest.mark.parametrize("scope", ["pipelines/two", "pipelines/two/pipeline.yaml"])
def test_one_pipeline_is_told_alone(command, project: Project, scope: str):
    project.declare(UNKNOWN_KEY, name="one")
    project.declare(UNKNOWN_ASSET, name="two")
    result = command("check", scope)
    assert [line.partition(":")[0] for line in lines(result)[:-1]] == [
        "pipelines/two/pipeline.yaml"
    ]
    assert lines(result)[-1] == "1 pipeline, 1 problem"


def test_a_sound_pipeline_passes_beside_a_broken_one(command, project: Project):
    project.declare(UNKNOWN_KEY, name="one")
    project.declare(STAGING, name="two")
    assert command("check", "pipelines/two").exit_code == 0


def test_a_pipeline_checked_alone_may_name_another(command, project: Project):
    project.declare(STAGING, name="one")
    project.declare("staging:\n  orders:\n    from: one.staging.orders\n", name="two")
    assert command("check", "pipelines/two").exit_code == 0


def test_a_file_of_sql_is_told_alone(command, project: Project):
    body = f"{STAGING}analytics:\n  totals:\n    sql: totals.sql\n  others:\n    sql: others.sql\n"
    project.declare(body, totals="select * from staging.nothing", others="selec 1")
    result = command("check", "pipelines/shop/totals.sql")
    assert lines(result)[0].startswith("pipelines/shop/totals.sql:1:23: there is no asset")
    assert lines(result)[-1] == "1 pipeline, 1 problem"


def test_a_folder_outside_the_settings_can_be_checked(command, project: Project, tmp_path: Path):
    project.declare(STAGING)
    other = tmp_path / "other"
    (other / "mine").mkdir(parents=True)
    (other / "mine" / "pipeline.yaml").write_text("version: 1\n")
    result = command("check", "other/mine")
    assert result.exit_code == 1
    assert lines(result)[-1].startswith("1 pipeline, ")
    assert all(line.startswith("other/mine/") for line in lines(result)[:-1])


def test_warnings_alone_pass(command, project: Project):
    project.declare(STAGING)
    (project.pipelines / "loose.yaml").write_text("a: 1\n")
    result = command("check")
    assert result.exit_code == 0
    assert lines(result)[0].startswith("pipelines/loose.yaml:1:1: warning: ")
    assert lines(result)[-1] == "1 pipeline, 0 problems, 1 warning"


def test_platform_yaml_is_checked(command, project: Project):
    project.platform("lake:\n  rot: x\n")
    result = command("check", "pipelines/platform.yaml")
    assert result.exit_code == 1
    assert lines(result)[0].startswith("pipelines/platform.yaml:2:3: ")


def test_a_folder_without_pipelines_is_an_error(command, project: Project):
    (project.folder / "empty").mkdir()
    result = command("check", "empty")
    assert result.exit_code == 1
    assert "there is no pipeline in this folder" in result.stderr


def test_a_path_that_is_not_there_is_wrong_usage(command):
    assert command("check", "nowhere").exit_code == 2


@pytest.fixture
def shop(project: Project, postgres_url: str) -> Project:
    """A partitioned source in a database that has its table."""
    project.platform(f"connections:\n  shop: {{type: database, url: '{postgres_url}'}}\n")
    with dbapi.connect(postgres_url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE orders (id bigint, at timestamp, note text)")
        connection.commit()
    return project


def test_without_connect_no_database_is_asked(command, project: Project):
    project.declare(STAGING, daily=True)
    assert command("check").exit_code == 0


def test_connect_holds_a_pipeline_to_the_tables_columns(command, shop: Project):
    body = f"{STAGING}    transformations:\n      - add_columns: {{short: nose}}\n"
    shop.declare(body, daily=True)
    result = command("check", "--connect")
    assert result.exit_code == 1, result.output
    assert "nose" in lines(result)[0]
    assert command("check").exit_code == 0


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (DAILY_SOURCE.replace("table: orders", "table: oders"), "oders"),
        (
            DAILY_SOURCE.replace("cursor: at", "cursor: when"),
            "table orders has no column when to be the cursor",
        ),
        (DAILY_SOURCE.replace("table: orders", 'query: "SELECT id, noze, at FROM orders"'), "noze"),
        (
            DAILY_SOURCE.replace("table: orders", 'query: "SELECT id FROM orders"'),
            "has no column at",
        ),
        (DAILY_SOURCE.replace("cursor: at", "cursor: id"), "cursor id of table orders is BIGINT"),
    ],
)
def test_connect_finds_what_the_database_does_not_have(
    command, shop: Project, source: str, message: str
):
    shop.declare(source + STAGING, daily=True)
    result = command("check", "--connect")
    assert result.exit_code == 1
    assert lines(result)[0].startswith("pipelines/shop/pipeline.yaml:")
    assert message in lines(result)[0]


def test_a_database_out_of_reach_is_a_warning_without_its_password(command, project: Project):
    url = "postgresql://me:secret@127.0.0.1:1/shop"
    project.platform(f"connections:\n  shop: {{type: database, url: '{url}'}}\n")
    project.declare(STAGING, daily=True)
    result = command("check", "--connect")
    assert result.exit_code == 0
    assert "warning: postgresql://127.0.0.1:1/shop" in lines(result)[0]
    assert "secret" not in result.output


def test_connect_tells_files_that_are_not_there(command, project: Project):
    project.declare(STAGING)
    result = command("check", "--connect")
    assert result.exit_code == 1
    assert "no file matches" in lines(result)[0]
