"""Values: what is written down is what the models say, and each value says what it is for."""

import pytest
import yaml
from helm_chart import CHART, chart
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
