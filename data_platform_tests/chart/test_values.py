"""Values: what is written down is what the models say, and each value says what it is for."""

import re
import shutil
from itertools import pairwise
from pathlib import Path

import helm_python
import pytest
import yaml
from helm_chart import CHART, chart, render
from pydantic import BaseModel

from helm.values.chart import ChartValues
from helm.values.schema import written


@pytest.mark.parametrize("name", ["values.yaml", "values.schema.json"])
def test_files_are_as_the_models_make_them(name: str) -> None:
    assert (CHART / name).read_text() == written()[CHART / name], "run `make chart`"


def test_defaults_of_models_are_those_of_the_chart() -> None:
    defaults = ChartValues().model_dump(mode="json", by_alias=True)
    defaults["codeLocations"] = [{"name": "pipelines"}]
    assert chart().values == defaults
    assert yaml.safe_load((CHART / "values.yaml").read_text()) == defaults


def test_every_value_says_what_it_is_for() -> None:
    silent = []

    def look(model: type[BaseModel]) -> None:
        for name, field in model.model_fields.items():
            if not field.description or not field.description.endswith((".", ":")):
                silent.append(f"{model.__name__}.{name}")
            for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if isinstance(part, type) and issubclass(part, BaseModel):
                    look(part)

    look(ChartValues)
    assert silent == []


def test_every_line_of_values_stands_below_what_it_means() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    silent = [
        line
        for before, line in pairwise(lines)
        if re.match(r" *[\w]+:", line) and not before.lstrip().startswith("#")
    ]
    assert silent == []


def test_a_packaged_chart_gives_what_the_folder_gives(tmp_path: Path) -> None:
    values = {"monitoring": {"prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}}}
    archive = helm_python.package(CHART, destination=tmp_path)
    with helm_python.Chart.load(archive) as packaged:
        texts = packaged.render(values, name="demo", namespace="prod")
    assert texts == chart().render(values, name="demo", namespace="prod")


def test_the_chart_may_be_part_of_another(tmp_path: Path) -> None:
    """Which gives it `global`, and its values below its name."""
    (tmp_path / "charts").mkdir()
    shutil.copytree(CHART, tmp_path / "charts" / "data-platform")
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: all\nversion: 1.0.0\n")
    values = {"global": {"team": "x"}, "data-platform": {"webserver": {"replicas": 3}}}
    with helm_python.Chart.load(tmp_path) as whole:
        texts = whole.render(values, name="demo", namespace="prod")
    found = [
        document
        for name, text in texts.items()
        if name.endswith("webserver/webserver.yaml")
        for document in yaml.safe_load_all(text)
        if document and document["kind"] == "Deployment"
    ]
    assert [one["spec"]["replicas"] for one in found] == [3]
    assert found[0]["spec"]["template"]["spec"] == (
        render({"webserver": {"replicas": 3}}).get("Deployment", "demo-webserver").pod
    )
