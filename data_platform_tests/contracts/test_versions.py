"""A contract's version: held to its form, and told wherever somebody looks at the asset."""

import dagster as dg
import pytest
from dagster_steps import run_assets
from factories import Project

from data_platform.asset_specs import asset_spec
from data_platform.plan.explaining import explain_json, explain_text
from data_platform.spec.versions import numbers_of

STAGING = """staging:
  orders:
    from: raw.orders
    contract_version: {version}
    columns:
      id: {{type: bigint}}
"""


def wrong(project: Project) -> list[str]:
    """What reading says, as `line:column: message`."""
    folder = f"{project.pipelines}/shop/pipeline.yaml:"
    return [str(problem).replace(folder, "") for problem in project.workspace().problems]


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("1.2", "1.2 is a number: quote it; a version is three numbers with dots"),
        ("2", "2 is a number: quote it"),
        ('"1.2"', "'1.2' is no version: three numbers with dots between them, such as \"1.2.0\""),
        ('""', "'' is no version"),
        ("v1.2.0", "'v1.2.0' is no version"),
        ("1.02.0", "'1.02.0' is no version"),
        ("1.2.0-rc1", "'1.2.0-rc1' is no version"),
        ("-1.2.0", "'-1.2.0' is no version"),
        ('"\uff11.2.0"', "is no version"),
        ("true", "true is no version"),
        ("[1, 2, 0]", "a list is no version"),
    ],
)
def test_another_form_is_told_at_its_key(project: Project, version: str, message: str) -> None:
    project.declare(STAGING.format(version=version))
    [found] = wrong(project)
    assert found.startswith("9:5: ")
    assert message in found


@pytest.mark.parametrize("version", ["1.2.0", '"0.0.1"', "10.20.30"])
def test_three_numbers_are_a_version(project: Project, version: str) -> None:
    project.declare(STAGING.format(version=version))
    assert project.staging("orders").contract_version == version.strip('"')


def test_versions_are_compared_by_their_numbers() -> None:
    assert numbers_of("1.10.0") > numbers_of("1.9.9")


@pytest.mark.parametrize(
    "body",
    [
        "sources:\n  orders:\n    type: file\n    path: a.csv\n    contract_version: 1.0.0\n",
        "staging:\n  orders:\n    from: raw.orders\n    contract_version: 1.0.0\n",
        "analytics:\n  a:\n    query: select 1 as x\n    contract_version: 1.0.0\n",
        "analytics:\n  a:\n    query: select 1\n    columns: {}\n    contract_version: 1.0.0\n",
    ],
)
def test_a_version_of_no_contract_is_told_at_its_key(project: Project, body: str) -> None:
    project.declare(body)
    [found] = wrong(project)
    line = (project.pipelines / "shop/pipeline.yaml").read_text().split("\n").index
    assert found == (
        f"{line('    contract_version: 1.0.0') + 1}:5: a version is of a contract: say what leaves "
        "in `columns`"
    )


def test_a_contract_with_a_mistake_is_told_once(project: Project) -> None:
    text = STAGING.format(version="1.0.0").replace("bigint", "bigint, nulable: true")
    project.declare(text)
    [found] = wrong(project)
    assert "unknown key 'nulable'" in found


def test_a_destination_has_no_contract_of_its_own(project: Project) -> None:
    project.declare(
        "destinations:\n  d: {from: raw.orders, type: database, connection: shop, table: t, "
        "contract_version: 1.0.0}\n"
    )
    assert "unknown key 'contract_version'" in wrong(project)[0]


def test_a_version_is_told_by_explain_and_to_dagster(project: Project) -> None:
    project.declare(STAGING.format(version="1.2.0"))
    node, plan = project.staging("orders"), project.build().plan
    assert asset_spec(node).metadata["contract_version"] == "1.2.0"
    assert "  contract    version 1.2.0\n" in explain_text(plan, [node.key])
    [raw, told] = explain_json(plan)["pipelines"][0]["assets"]
    assert (raw["contract_version"], told["contract_version"]) == (None, "1.2.0")


def test_a_version_changes_no_rows(project: Project) -> None:
    project.declare(STAGING.format(version="1.2.0"))
    before = project.staging("orders").code_version
    project.declare(STAGING.format(version="2.0.0"))
    assert project.staging("orders").code_version == before


def test_a_commit_keeps_the_version_that_its_rows_were_held_to(
    project: Project, instance: dg.DagsterInstance
) -> None:
    project.declare(STAGING.format(version="1.2.0"))
    project.land("raw/orders", "SELECT 1::BIGINT AS id")
    assert run_assets(project, instance, "staging/orders").success
    [commit] = project.table("staging/orders").history()
    assert commit["contract_version"] == "1.2.0"
