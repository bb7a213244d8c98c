"""`data-platform contract diff`: files, folders and git references, for people and for CI."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from factories import Project

CONTRACT = """staging:
  orders:
    from: raw.orders
    contract_version: 1.0.0
    columns:
      id: {type: bigint, nullable: false}
      price:
        type: bigint
analytics:
  totals:
    query: select sum(price)::bigint as total from staging.orders
destinations:
  totals: {from: analytics.totals, type: database, connection: shop, table: totals}
"""
REMOVED = CONTRACT.replace("      price:\n        type: bigint\n", "").replace(
    "sum(price)", "sum(id)"
)
ALLOWED = REMOVED.replace("1.0.0", "2.0.0")
ADDED = CONTRACT.replace("1.0.0", "1.1.0").replace("      price:", "      name: {}\n      price:")


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(
        ["git", *who, *arguments], cwd=folder, env=environ, check=True, capture_output=True
    )


@pytest.fixture
def kept(project: Project) -> Project:
    """A project whose one commit has the contract, on the branch main."""
    project.declare(CONTRACT)
    git(project.folder, "init", "--quiet", "--initial-branch=main")
    git(project.folder, "add", "pipelines")
    git(project.folder, "commit", "--quiet", "--message=one")
    return project


def test_nothing_changed(kept: Project, command) -> None:
    result = command("contract", "diff", "main")
    assert result.exit_code == 0
    assert result.output == "main -> working tree, 1 contract: no contract changed\n"


def test_a_column_that_is_gone_breaks_its_readers(kept: Project, command) -> None:
    kept.declare(REMOVED)
    result = command("contract", "diff", "main")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "staging/shop/orders  1.0.0  BREAKING",
        "  was main:pipelines/shop/pipeline.yaml:12",
        "                        was   is",
        "breaks  column change  line line",
        "readers price  is gone   12    -",
        "price is read by analytics/shop/totals, destinations/shop/totals",
        "warning: the contract changed, and contract_version is still 1.0.0",
        'contract_version: "2.0.0" would allow it',
        "",
        "main -> working tree, 1 contract: 1 breaking",
    ]


def test_a_new_major_number_allows_it(kept: Project, command) -> None:
    kept.declare(ALLOWED)
    result = command("contract", "diff", "main")
    assert result.exit_code == 0
    assert "staging/shop/orders  1.0.0 -> 2.0.0  breaking, allowed by 2.0.0\n" in result.output
    assert result.output.endswith("1 contract: 1 breaking with a new major version\n")


def test_a_new_column_breaks_nobody(kept: Project, command) -> None:
    kept.declare(ADDED)
    result = command("contract", "diff", "HEAD")
    assert result.exit_code == 0
    assert "staging/shop/orders  1.0.0 -> 1.1.0  not breaking\n" in result.output
    assert "-      name   is new" in result.output


def test_json_tells_all_of_it(kept: Project, command) -> None:
    kept.declare(REMOVED)
    result = command("contract", "diff", "main", "--format", "json")
    assert result.exit_code == 1
    told = json.loads(result.output)
    [asset] = told.pop("assets")
    assert told == {
        "format": 1,
        "old": "main",
        "new": "working tree",
        "contracts": 1,
        "exit_code": 1,
        "not_compared": [],
        "computed": [],
    }
    [change] = asset.pop("changes")
    assert asset["verdict"] == "breaking"
    assert asset["allowing_version"] == "2.0.0"
    assert change == {
        "kind": "column_removed",
        "column": "price",
        "text": "is gone",
        "breaking": True,
        "breaks": ["readers"],
        "old": "main:pipelines/shop/pipeline.yaml:12",
        "new": None,
        "readers": ["analytics/shop/totals", "destinations/shop/totals"],
    }


@pytest.mark.parametrize(
    "old",
    [
        "main",
        "main:pipelines",
        "main:pipelines/shop",
        "main:pipelines/shop/pipeline.yaml",
        "main:./pipelines",
        "refs/heads/main",
        "before.yaml",
        "before",
    ],
)
def test_ways_to_name_a_revision(kept: Project, command, old: str) -> None:
    (kept.folder / "before.yaml").write_text((kept.pipelines / "shop/pipeline.yaml").read_text())
    (kept.folder / "before/shop").mkdir(parents=True)
    (kept.folder / "before/shop/pipeline.yaml").write_text(
        (kept.folder / "before.yaml").read_text()
    )
    kept.declare(REMOVED)
    result = command("contract", "diff", old)
    assert result.exit_code == 1
    assert "readers price  is gone" in result.output


def test_two_references(kept: Project, command) -> None:
    kept.declare(REMOVED)
    git(kept.folder, "commit", "--quiet", "--all", "--message=two")
    assert command("contract", "diff", "HEAD~1", "HEAD").exit_code == 1
    back = command("contract", "diff", "HEAD", "HEAD~1")
    assert back.exit_code == 0
    assert "-      price  is new" in back.output


def test_a_pipeline_that_is_new_or_gone(kept: Project, command) -> None:
    kept.declare(CONTRACT, name="other")
    new = command("contract", "diff", "main")
    assert new.exit_code == 0
    assert "staging/other/orders  no version -> 1.0.0  not breaking" in new.output
    alone = command("contract", "diff", "main:pipelines/other/pipeline.yaml")
    assert alone.exit_code == 0
    assert "is new: 2 columns" in alone.output
    (kept.pipelines / "shop/pipeline.yaml").unlink()
    gone = command("contract", "diff", "main")
    assert gone.exit_code == 1
    assert "readers        is gone" in gone.output


def test_one_pipeline_says_nothing_of_the_others(kept: Project, command) -> None:
    kept.declare(CONTRACT, name="other")
    (kept.folder / "before.yaml").write_text((kept.pipelines / "shop/pipeline.yaml").read_text())
    result = command("contract", "diff", "before.yaml")
    assert result.output == "before.yaml -> working tree, 1 contract: no contract changed\n"


def test_a_pipeline_that_git_does_not_know_yet_can_be_read_from_disk(
    kept: Project, command
) -> None:
    kept.declare(ADDED, name="other")
    result = command("contract", "diff", "pipelines/shop", "pipelines/other")
    assert result.exit_code == 1
    assert "staging/shop/orders" in result.output
    assert "staging/other/orders" in result.output


def test_mistakes_elsewhere_are_nobodys_business_here(kept: Project, command) -> None:
    kept.declare(REMOVED + "nosuch: 1\n")
    (kept.pipelines / "broken").mkdir()
    (kept.pipelines / "broken/pipeline.yaml").write_text("zzz: [\n")
    result = command("contract", "diff", "main")
    assert result.exit_code == 1
    assert "readers price  is gone" in result.output
    assert "not compared: pipelines/broken/pipeline.yaml:2: " in result.output


def test_what_cannot_be_compared_is_neither_right_nor_wrong(kept: Project, command) -> None:
    kept.declare(CONTRACT.replace("type: bigint\n", "tpye: bigint\n"))
    result = command("contract", "diff", "main")
    assert result.exit_code == 2
    assert "not compared: pipelines/shop/pipeline.yaml:13: unknown key 'tpye'" in result.output
    assert result.output.endswith("1 not compared\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mian"], "'mian' is no file and no folder here, and git knows no reference 'mian'"),
        (["mian"], "; did you mean main?"),
        (["v1.2:pipelines"], "git knows no reference 'v1.2'"),
        (["--", "--output=x"], "git knows no reference '--output=x'"),
        ([":pipelines"], "':pipelines' names no file, no folder and no git reference"),
        (["main:nosuch"], "there is no pipeline.yaml in main:nosuch nor in working tree"),
        (["main:../elsewhere"], "isn't in the git repository"),
        (["pipelines", "nosuch.yaml"], "'nosuch.yaml' is no file and no folder here"),
    ],
)  # fmt: skip
def test_names_of_nothing(kept: Project, command, arguments: list[str], message: str) -> None:
    result = command("contract", "diff", *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_without_a_repository(project: Project, command) -> None:
    project.declare(CONTRACT)
    result = command("contract", "diff", "main")
    assert result.exit_code == 2
    assert "is in no git repository that git may read" in result.output


def test_without_git(kept: Project, command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(kept.folder))
    result = command("contract", "diff", "main")
    assert result.exit_code == 2
    assert "there is no program git, which git references need" in result.output
    assert command("contract", "diff", "pipelines").exit_code == 0


def test_nothing_of_a_revision_is_run(kept: Project, command) -> None:
    witness = kept.folder / "was_run"
    for name in ("cleaning.py", "assets.py"):
        (kept.pipelines / "shop" / name).write_text(f"open({str(witness)!r}, 'w').close()\n")
    kept.declare(
        CONTRACT.replace("    columns:", "    transformations: [python: assets:x]\n    columns:", 1)
    )
    git(kept.folder, "add", "pipelines")
    git(kept.folder, "commit", "--quiet", "--message=two")
    for name in ("cleaning.py", "assets.py"):
        (kept.pipelines / "shop" / name).unlink()
    kept.declare(REMOVED)
    assert command("contract", "diff", "HEAD").exit_code == 1
    assert not witness.exists()


HANDWRITTEN = """import dagster as dg

MONEY = "decimal(18,2)"


@dg.asset(metadata={"columns": {"spend": {"type": MONEY}, "n": {"type": "bigint"}}})
def sums():
    raise AssertionError


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            ["staging", "cleaned"], metadata={"contract_version": "1.0.0", "columns": {"a": {}}}
        )
    ]
)
def several():
    raise AssertionError


@dg.asset(metadata={"columns": dict(a={})})
def computed():
    raise AssertionError
"""


def test_contracts_of_handwritten_assets_are_read_off_their_text(kept: Project, command) -> None:
    file = kept.pipelines / "shop/assets.py"
    file.write_text(HANDWRITTEN)
    git(kept.folder, "add", "pipelines")
    git(kept.folder, "commit", "--quiet", "--message=two")
    file.write_text(
        HANDWRITTEN.replace('(18,2)"', '(12,2)"').replace('"a": {}}}', '"a": {}, "b": {}}}')
    )
    result = command("contract", "diff", "main")
    assert result.exit_code == 1
    assert "analytics/shop/sums  no version  BREAKING" in result.output
    assert "type decimal(18,2) -> decimal(12,2): some values don't fit" in result.output
    assert "staging/shop/cleaned  1.0.0  not breaking" in result.output
    assert "-      b      is new" in result.output
    assert "pipelines/shop/assets.py:22: what this asset promises is computed" in result.output


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ('@dg.asset(metadata={"columns": {"a": {"tpe": "x"}}})\ndef x(): ...\n', "a.tpe: "),
        (
            '@dg.asset(metadata={"columns": {"a": {}}, "contract_version": 1.2})\ndef x(): ...\n',
            "1.2 is a number: quote it",
        ),
    ],
)
def test_a_handwritten_contract_with_a_mistake_is_not_compared(
    kept: Project, command, code: str, message: str
) -> None:
    (kept.pipelines / "shop/assets.py").write_text(f"import dagster as dg\n{code}")
    result = command("contract", "diff", "main")
    assert result.exit_code == 2
    assert "not compared: pipelines/shop/assets.py:2: " in result.output
    assert message in result.output


def test_an_assets_file_that_is_no_python_is_told(kept: Project, command) -> None:
    (kept.pipelines / "shop/assets.py").write_text("def (:\n")
    result = command("contract", "diff", "main")
    assert result.exit_code == 0
    assert "pipelines/shop/assets.py:1: no valid Python" in result.output
