"""Parameters as a person meets them in the command: `check`, `explain`, `run --set`, Tab."""

from factories import Project

BODY = """
staging:
  orders:
    from: raw.orders
    parameters:
      least: {type: int, default: 1, description: Smaller ones are left out.}
    transformations:
      - filter_rows: id >= :least
analytics:
  total:
    parameters: {least: {type: int, default: 1}, since: {type: date, default: 2024-01-01}}
    query: SELECT :since AS since, COUNT(*) AS n FROM staging.orders WHERE id > :least
"""


def test_check_warns_of_a_parameter_that_nothing_uses(project: Project, command) -> None:
    project.declare(BODY.replace("id >= :least", "id >= 1"))
    result = command("check")
    assert result.exit_code == 0, result.output
    assert "nothing uses the parameter least" in result.output
    assert "1 warning" in result.output


def test_check_tells_an_unknown_one_with_the_nearest(project: Project, command) -> None:
    project.declare(BODY.replace("id >= :least", "id >= :leest"))
    result = command("check")
    assert result.exit_code == 1
    assert "unknown parameter :leest; did you mean :least?" in " ".join(result.output.split())


def test_explain_shows_them(project: Project, command) -> None:
    project.declare(BODY)
    words = " ".join(command("explain", "shop").output.split())
    assert "parameter least (int, 1 where the run doesn't say): Smaller ones are left out." in words
    assert 'parameter since (date, "2024-01-01" where the run doesn\'t say)' in words


def test_a_setting_that_is_wrong_ends_the_command_with_a_message(
    project: Project, command, environ: dict[str, str], dagster_url: str
) -> None:
    environ["DATA_PLATFORM_STORAGE_URL"] = dagster_url
    project.declare(BODY)
    result = command("run", "shop", "--set", "leest=1", "--set", "since=yesterday")
    assert result.exit_code == 1
    told = " ".join(result.stderr.split())
    assert "--set leest: there is no such parameter; did you mean least?" in told
    assert "--set since: analytics/shop/total: expected a day" in told
    assert "found 'yesterday'" in told
    assert "Traceback" not in result.output


def test_a_query_has_no_parameters(project: Project, command) -> None:
    project.declare(BODY)
    project.land("staging/orders", "SELECT 1 AS id")
    result = command("query", "select * from staging.orders where id > :least")
    assert result.exit_code == 1
    assert "unknown parameter :least" in result.stderr
    assert "declare" not in result.stderr
