"""Secrets that are written out in pipeline.yaml or platform.yaml are warned of."""

from factories import Project

SOURCE = """
sources:
  orders:
    type: api
    url: http://localhost/orders
    partitions: none
    headers:
      Accept: text/plain
      X-Api-Key: {header}
      Authorization: Bearer ${{TOKEN:-x}}
    auth: {{type: basic, username: me, password: {password}}}
"""


def test_a_secret_in_a_source_is_a_warning_at_its_place(project: Project) -> None:
    project.declare(SOURCE.format(header="abc", password="hunter2"))
    workspace = project.workspace()
    assert not workspace.broken
    assert [(p.location.line, p.warning) for p in workspace.problems] == [(12, True), (14, True)]
    key, password = workspace.problems
    assert "'X-Api-Key' is written out here" in key.message
    assert "hunter2" not in password.message


def test_references_and_empty_texts_are_none(project: Project) -> None:
    project.declare(SOURCE.format(header="${KEY}", password='""'))
    assert project.workspace().problems == ()


def test_a_secret_in_platform_yaml_is_a_warning_that_breaks_nothing(project: Project) -> None:
    project.platform(
        "connections:\n  shop: {type: api, url: http://x, auth: {type: bearer, token: abc}}\n"
    )
    workspace = project.workspace()
    assert workspace.platform_problems == ()
    (problem,) = workspace.problems
    assert (problem.location.line, problem.warning) == (2, True)
