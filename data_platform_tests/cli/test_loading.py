"""What is loaded, and how references of platform.yaml become real things."""

from pathlib import Path

import pytest
from factories import Project

from data_platform.embedded.server import server_url
from data_platform.errors import ConfigurationError, PermanentError
from data_platform.loading import Loaded, load
from data_platform.plan.nodes import RawNode
from data_platform.settings import Settings

STAGING = "staging:\n  orders:\n    from: raw.orders\n"


def loaded(project: Project, data_dir: Path | None = None, **environ: str) -> Loaded:
    settings = Settings(
        home=project.folder,
        data_dir=data_dir or project.folder / ".data",
        pipelines_dirs=(project.pipelines,),
        memory_limit="500MB",
        threads=3,
    )
    return load(settings, environ)


def test_problems_of_reading_and_planning_come_together(project: Project):
    project.declare("staging: 1\n", name="one")
    project.declare("staging:\n  orders:\n    from: raw.nothing\n", name="two")
    project.declare(STAGING, name="three")
    found = loaded(project)
    assert found.broken == ("one", "two")
    assert [pipeline.name for pipeline in found.plan.pipelines] == ["three"]
    folders = [problem.location.file.parent.name for problem in found.problems]
    assert list(dict.fromkeys(folders)) == ["one", "two"]


def test_columns_of_files_that_are_there_are_known(project: Project):
    (project.folder / "orders.csv").write_text("id,name\n1,a\n")
    project.declare(
        "sources:\n  orders: {type: file, path: orders.csv, partitions: none}\n" + STAGING
    )
    node = loaded(project).plan.nodes[0]
    assert isinstance(node, RawNode)
    assert node.schema.names == ("id", "name")


def test_a_pipeline_that_is_broken_tells_why(project: Project):
    project.declare("staging:\n  orders:\n    from: raw.nothing\n", name="two")
    with pytest.raises(ConfigurationError, match=r"two/pipeline.yaml:\d+:\d+: there is no asset"):
        loaded(project).pipeline("two")


def test_urls_are_expanded_when_asked_for(project: Project):
    project.platform("connections:\n  shop: {type: database, url: '${SHOP_URL}'}\n")
    found = loaded(project, SHOP_URL="postgresql://me:secret@db/shop")
    assert "secret" not in repr(found)
    assert found.connection_url("shop") == "postgresql://me:secret@db/shop"


def test_an_unset_variable_is_told_when_asked_for(project: Project):
    project.platform("connections:\n  shop: {type: database, url: '${SHOP_URL}'}\n")
    found = loaded(project)
    assert not found.problems
    with pytest.raises(PermanentError, match="SHOP_URL is not set"):
        found.connection_url("shop")


def test_embedded_urls_start_the_server(project: Project, data_dir: Path):
    project.platform("connections:\n  shop: {type: database, url: 'embedded://template1'}\n")
    found = loaded(project, data_dir)
    assert found.connection_url("shop") == server_url(data_dir, "template1")


def test_an_unknown_connection_lists_those_there_are(project: Project):
    with pytest.raises(PermanentError, match=r"no connection 'shpo' in .*; there are: shop"):
        loaded(project).connection_url("shpo")


@pytest.mark.parametrize(
    ("root", "expected"), [("lake", "{home}/lake"), ("/somewhere/else", "/somewhere/else")]
)
def test_a_relative_lake_starts_at_home(project: Project, root: str, expected: str):
    project.platform("lake:\n  root: ${ROOT}\n")
    lake = loaded(project, ROOT=root).lake()
    assert str(lake.root) == expected.format(home=project.folder)


def test_the_workbench_has_the_limits_of_the_settings(project: Project):
    workbench = loaded(project).workbench()
    assert (workbench.memory_limit, workbench.threads) == ("500MB", 3)


def test_a_broken_platform_yaml_opens_nothing(project: Project):
    """Defaults stand in for it while reading: a lake beside the real one must not be written."""
    project.platform("lake:\n  root: 7\n")
    found = loaded(project)
    with pytest.raises(ConfigurationError, match=r"platform\.yaml:2:"):
        found.lake()
    with pytest.raises(ConfigurationError, match=r"platform\.yaml:2:"):
        found.connection_url("shop")
