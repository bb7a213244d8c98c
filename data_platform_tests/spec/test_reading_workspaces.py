"""Pipelines folders: what is found in them, and which pipelines they give."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from data_platform.settings import PACKAGE_DIR
from data_platform.spec import reading
from data_platform.spec.partitions import Divided
from data_platform.spec.reading import (
    BrokenPipeline,
    PipelineFile,
    Workspace,
    read_pipeline,
    read_workspace,
)
from data_platform.spec.row_rules import ForeignKey
from data_platform.spec.set_rules import Reconcile, Unique
from data_platform.spec.transformations import AddColumns, ConvertTypes, DropColumns
from data_platform.spec.transformations import Union as UnionStep

HOME = Path("/somewhere/home")


def write(folder: Path, name: str, text: str = "", *, file: str = "pipeline.yaml") -> Path:
    path = folder / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or f"version: 1\npipeline: {name}\nowner: team:a\n")
    return path


def workspace(*dirs: Path) -> Workspace:
    return read_workspace(dirs, {}, HOME)


def messages(found: Workspace) -> list[str]:
    return [str(problem) for problem in found.problems]


def names(found: Workspace) -> list[str]:
    return [entry.spec.pipeline for entry in found.pipelines]


def test_the_pipelines_that_ship_are_sound() -> None:
    found = workspace(PACKAGE_DIR / "pipelines")
    assert messages(found) == []
    assert names(found) == ["marketing", "retail"]
    retail = found.pipelines[1]
    spec = retail.spec
    assert spec.partitions == Divided(every="day", start=date(2017, 1, 1), end=date(2018, 1, 1))
    steps = spec.staging["transactions"].transformations
    assert [type(step) for step in steps] == [ConvertTypes, AddColumns, DropColumns]
    unique, known = spec.staging["transactions"].quality
    assert isinstance(unique, Unique)
    assert unique.columns == ["basket_id", "product_id"]
    assert isinstance(known, ForeignKey)
    assert known.referenced_asset == "staging.products"
    assert spec.sources["products"].model_dump()["path"].startswith(".data/demo/files/")
    assert set(found.platform.connections) == {"shop", "warehouse"}
    assert found.platform.lake.root == "${LAKE_ROOT:-.data/lake}"


def test_relative_paths_start_at_home_for_the_pipelines_that_ship(tmp_path: Path) -> None:
    shipped = workspace(PACKAGE_DIR / "pipelines").pipelines
    assert {file.base_dir for file in shipped} == {HOME}
    write(tmp_path / "pipelines", "shop")
    [own] = workspace(tmp_path / "pipelines").pipelines
    assert own.base_dir == tmp_path
    assert own.folder == tmp_path / "pipelines" / "shop"


def test_a_file_is_located_by_its_keys(tmp_path: Path) -> None:
    path = write(tmp_path, "shop")
    [own] = workspace(tmp_path).pipelines
    assert str(own.locate("owner")) == f"{path}:3:1"


def test_no_folder_no_platform_file_and_no_pipelines(tmp_path: Path) -> None:
    assert workspace().pipelines == ()
    found = workspace(tmp_path)
    assert (found.pipelines, found.problems, found.platform_document) == ((), (), None)
    assert found.platform.lake.root == "${LAKE_ROOT:-.data/lake}"
    assert messages(workspace(tmp_path / "x")) == [
        f"{tmp_path / 'x'}:1:1: no pipelines folder that can be read"
    ]


def test_folders_without_yaml_are_left_alone(tmp_path: Path) -> None:
    for name in ("notes", "__pycache__", ".git"):
        write(tmp_path, name, "x", file="a.txt")
    write(tmp_path, ".hidden", "x")
    assert messages(workspace(tmp_path)) == []


@pytest.mark.parametrize("file", ["pipeline.yml", "tests.yaml"])
def test_a_folder_with_other_yaml_is_broken(tmp_path: Path, file: str) -> None:
    write(tmp_path, "shop", "a: 1", file=file)
    [entry] = workspace(tmp_path).broken
    assert str(entry.problems[0]).startswith(f"{tmp_path / 'shop'}:1:1: no pipeline.yaml in this")


def test_links_to_nowhere_are_broken(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "pipeline.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder" / "pipeline.yaml").mkdir(parents=True)
    found = workspace(tmp_path)
    assert [entry.name for entry in found.broken] == ["folder", "gone", "loop", "shop"]
    assert len(found.problems) == 4


def test_a_folder_that_cannot_be_looked_into_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "shop")
    write(tmp_path, "secret")
    entries = reading._entries
    monkeypatch.setattr(
        reading, "_entries", lambda path: None if path.name == "secret" else entries(path)
    )
    (tmp_path / "secret" / "pipeline.yaml").unlink()
    found = workspace(tmp_path)
    assert names(found) == ["shop"]
    assert [entry.name for entry in found.broken] == ["secret"]


def test_yaml_that_is_not_read_is_pointed_at(tmp_path: Path) -> None:
    for folder, file in (("one", "shop.yaml"), ("one", "platform.yml"), ("two", "platform.yaml")):
        write(tmp_path, folder, "{}", file=file)
    found = workspace(tmp_path / "one", tmp_path / "two")
    shop, second = f"{tmp_path}/one/shop.yaml:1:1", f"{tmp_path}/two/platform.yaml:1:1"
    assert messages(found) == [
        f"{tmp_path}/one/platform.yml:1:1: is not read: name it platform.yaml",
        f"{shop}: warning: is not read: a pipeline stands in <name>/pipeline.yaml",
        f"{second}: warning: is not read: only the first pipelines folder's platform.yaml is",
    ]


def test_the_second_pipeline_of_a_name_is_broken(tmp_path: Path) -> None:
    first = write(tmp_path / "one", "shop")
    second = write(tmp_path / "two", "shop")
    write(tmp_path / "two", "other")
    found = workspace(tmp_path / "one", tmp_path / "two")
    assert names(found) == ["shop", "other"]
    assert messages(found) == [f"{second}:2:1: pipeline 'shop' is declared already: {first}:1:1"]
    assert found.broken[0].assets == ()


def test_assets_of_two_broken_pipelines_of_a_name_are_there_once(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder, "shop", "sources: {a: 1}")
    found = workspace(tmp_path / "one", tmp_path / "two")
    assert [entry.assets for entry in found.broken] == [(("raw", "shop", "a"),), ()]


def test_a_copied_pipeline_does_not_claim_the_assets_of_the_first(tmp_path: Path) -> None:
    write(tmp_path, "shop")
    write(tmp_path, "copy", "version: 1\npipeline: shop\nowner: team:a\nsources: {a: 1}\n")
    [entry] = workspace(tmp_path).broken
    assert entry.assets == (("raw", "copy", "a"),)


def test_problems_come_file_by_file(tmp_path: Path) -> None:
    write(tmp_path, "", "lakes: 1\npools: {a: 0}\n", file="platform.yaml")
    write(tmp_path, "b", "version: 1\npipeline: b\nowner: x\n")
    write(tmp_path, "a", "version: 1\npipeline: a\nowner: y\n")
    found = workspace(tmp_path)
    lines = [text.removeprefix(f"{tmp_path}/")[:45] for text in messages(found)]
    assert lines == [
        "platform.yaml:1:1: unknown key 'lakes'; did y",
        "platform.yaml:2:9: expected at least 1, found",
        "a/pipeline.yaml:3:1: 'y' is no owner: team:<n",
        "b/pipeline.yaml:3:1: 'x' is no owner: team:<n",
    ]
    assert len(found.platform_problems) == 2


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a: [", "platform.yaml:2:1: expected a value"),
        ("lake: {root: 3}", "1:8: expected a text, found 3"),
        ("connections: {shop: {type: databse, url: x}}", "1:22: .* 'databse'; did you mean"),
        ("connections: {shop: {type: database}}", "1:15: 'url' is missing"),
        ("connections: {shop: {type: database, url: '${A B}'}}", "1:38: .* is no variable"),
    ],
)
def test_a_broken_platform_file(tmp_path: Path, text: str, match: str) -> None:
    write(tmp_path, "", text, file="platform.yaml")
    write(tmp_path, "shop")
    found = workspace(tmp_path)
    assert names(found) == ["shop"]
    with pytest.raises(AssertionError, match=match):
        assert messages(found) == []
    assert found.platform_problems == found.problems


def test_a_platform_file_that_is_a_link_to_nowhere_is_broken(tmp_path: Path) -> None:
    (tmp_path / "platform.yaml").symlink_to(tmp_path / "nowhere")
    assert "there is no such file" in str(workspace(tmp_path).platform_problems[0])


def test_texts_of_the_platform_stay_references(tmp_path: Path) -> None:
    text = "connections: {shop: {type: database, url: '${SHOP_URL}'}}"
    write(tmp_path, "", text, file="platform.yaml")
    found = read_workspace([tmp_path], {"SHOP_URL": "s3cr3t"}, HOME)
    assert messages(found) == []
    assert found.platform.connections["shop"].url == "${SHOP_URL}"
    assert "s3cr3t" not in repr(found)


def test_one_pipeline_is_read_by_folder_or_file(tmp_path: Path) -> None:
    file = write(tmp_path, "shop")
    for path in (file, file.parent):
        found = read_pipeline(path, {}, HOME)
        assert isinstance(found, PipelineFile)
        assert found.document.path == file
    missing = read_pipeline(tmp_path / "x", {}, HOME)
    assert isinstance(missing, BrokenPipeline)
    assert "there is no such file" in str(missing.problems[0])


def test_short_forms_mean_what_the_long_ones_mean(tmp_path: Path) -> None:
    text = """\
version: 1
pipeline: shop
owner: a@example.com
tags: [x, y]
schedule: "@daily"
sources:
  a:
    type: database
    connection: c
    table: t
    retries: {delay: 5m}
    automation: {cron: 0 6 * * *}
staging:
  a:
    from: raw.a
    transformations:
      - filter_rows: a > 1
      - filter_rows: {condition: a > 1}
      - union: raw.b
      - union: {with: [raw.b]}
      - drop_columns: a
      - convert_types: {a: bigint, b: {type: date, format: "%d"}}
    quality:
      - not_null: a
      - not_null: {columns: [a]}
      - expression: a > 1
      - foreign_key:
          columns: [a, b]
          references: {asset: staging.b, columns: [c, d]}
      - reconcile: {with: raw.a, expression: sum(a), with_expression: sum(b)}
"""
    write(tmp_path, "shop", text)
    found = workspace(tmp_path)
    assert messages(found) == []
    spec = found.pipelines[0].spec
    assert spec.tags == {"x": "", "y": ""}
    assert spec.schedule == "0 0 * * *"
    assert spec.sources["a"].retries is not None
    assert spec.sources["a"].retries.delay == timedelta(minutes=5)
    staging = spec.staging["a"]
    first, second, union, long_union, drop, convert = staging.transformations
    assert first == second
    assert union == long_union
    assert isinstance(union, UnionStep)
    assert isinstance(drop, DropColumns)
    assert drop.columns == ["a"]
    assert isinstance(convert, ConvertTypes)
    assert [entry.type for entry in convert.columns.values()] == ["bigint", "date"]
    assert staging.quality[0] == staging.quality[1]
    key, reconcile = staging.quality[3:]
    assert isinstance(key, ForeignKey)
    assert key.referenced_columns == ("c", "d")
    assert isinstance(reconcile, Reconcile)
    assert reconcile.with_expression == "sum(b)"
