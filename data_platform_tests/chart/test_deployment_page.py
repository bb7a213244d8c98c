"""docs/deployment.md: its values render, its commands are about files and objects that exist."""

import re

import pytest
import yaml
from helm_chart import ROOT, broken, render

from helm.values.chart import ChartValues

PAGE = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
VALUES = [yaml.safe_load(text) for language, text in BLOCKS if language == "yml"]


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_values_render(number: int) -> None:
    ChartValues.model_validate(VALUES[number])
    render(VALUES[number])


def test_all_values_of_the_page_go_together() -> None:
    together: dict[str, object] = {}
    for one in VALUES:
        together |= one
    objects = render(together)
    assert objects.of("Ingress", "NetworkPolicy", "ServiceMonitor", "ExternalSecret")


def test_the_refusal_that_is_shown_is_what_helm_says() -> None:
    (shown,) = [text for language, text in BLOCKS if language == "text" and "can't be:" in text]
    said = broken(
        {
            "codeLocations": [{"name": "shop"}, {"name": "shop"}],
            "ingress": {"enabled": True, "host": "d.example.com"},
            "env": {"SHOP_PASSWORD": "x"},
        }
    )
    assert shown.strip() in said


def test_files_that_are_named_exist() -> None:
    named = set(re.findall(r"helm/[\w./-]+", PAGE))
    assert {"helm/data-platform/", "helm/environments/staging.yaml"} <= named
    for path in named:
        assert (ROOT / path.rstrip(".")).exists(), path


def test_values_that_are_named_exist() -> None:
    """Of tables and text: dotted names that begin with a value of the chart."""
    keys = {field.alias or name for name, field in ChartValues.model_fields.items()}
    named = {
        match for match in re.findall(r"`([a-zA-Z]+(?:\.[a-zA-Z]+)+)`", PAGE)
        if match.partition(".")[0] in keys
    }  # fmt: skip
    assert named
    for one in named:
        model: object = ChartValues
        for part in one.split("."):
            fields = {f.alias or n: f for n, f in model.model_fields.items()}  # pyright: ignore
            assert part in fields, one
            model = fields[part].annotation


def test_the_table_of_parts_has_all_of_them() -> None:
    table = PAGE.partition("| part |")[2].partition("\n\n")[0]
    for part in ("webserver", "read-only webserver", "daemon", "server of a code location",
                 "metrics of a code location", "run", "sign-in", "migration"):  # fmt: skip
        assert re.search(rf"^\| {part}[ ,|]", table, re.MULTILINE), part
