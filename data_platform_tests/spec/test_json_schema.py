"""The schemas that editors use say the same as the reader."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from data_platform.settings import PACKAGE_DIR
from data_platform.spec.document import read_document
from data_platform.spec.json_schema import pipeline_schema, platform_schema
from data_platform.spec.reading import PipelineFile, read_pipeline

PIPELINE = Draft202012Validator(pipeline_schema())
PLATFORM = Draft202012Validator(platform_schema())
HEADER = "version: 1\npipeline: shop\nowner: team:shop\n"
RULES = HEADER + "staging:\n  a:\n    from: raw.a\n    quality:\n"
STEPS = HEADER + "staging:\n  a:\n    from: raw.a\n    transformations:\n"


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for part in schema.values():
            yield from subschemas(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from subschemas(part)


def pipeline_folder(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(text)
    return folder


@pytest.mark.parametrize("schema", [pipeline_schema(), platform_schema()])
def test_it_is_a_schema(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    references = {part["$ref"] for part in subschemas(schema) if "$ref" in part}
    assert references == {f"#/$defs/{name}" for name in schema["$defs"]}


@pytest.mark.parametrize("schema", [pipeline_schema(), platform_schema()])
def test_every_key_is_described_as_it_is_written(schema: dict[str, Any]) -> None:
    keys = [
        (name, part)
        for below in subschemas(schema)
        if isinstance(below.get("properties"), dict) and below.get("type") == "object"
        for name, part in below["properties"].items()
    ]
    assert len(keys) > 3
    assert [name for name, part in keys if not part.get("description")] == []
    assert [name for name, part in keys if "None" in part["description"]] == []
    assert "kind" not in dict(keys)
    assert "from_" not in dict(keys)


def test_what_ships_is_valid() -> None:
    shipped = PACKAGE_DIR / "pipelines"
    assert [*PLATFORM.iter_errors(read_document(shipped / "platform.yaml").data)] == []
    files = sorted(shipped.glob("*/pipeline.yaml"))
    assert files
    for file in files:
        assert [*PIPELINE.iter_errors(read_document(file).data)] == []


SOUND = [
    HEADER + "partitions: none\n",
    HEADER + "partitions: {every: day, start: 2017-01-01}\n",
    HEADER + "partitions: {every: day, start: '${START:-2017-01-01}'}\n",
    HEADER + "partitions: {every: hour, start: 2017-01-01, by: {shop: {values: [a, b c]}}}\n",
    HEADER + "partitions: {by: {shop: {column: s, values: [a]}, kind: {values: [b]}}}\n",
    HEADER + "partitions: {dynamic: customers}\n",
    HEADER + "schedule: {cron: 0 6 * * *, timezone: Europe/Berlin}\n",
    HEADER + "tags: [a]\n",
    HEADER + "tags: {a: b}\n",
    HEADER + "criticality: ${LEVEL:-low}\n",
    HEADER + "sources: {a: {type: database, connection: c, table: t, retries: {delay: 5m}}}\n",
    HEADER + "analytics: {a: {query: x, inputs: {raw.a: {last: 7}}, automation: eager}}\n",
    RULES + "      - unique: a\n      - unique: [a]\n      - unique: {columns: [a], name: b}\n",
    RULES + "      - range: {column: a, min: 2017-01-01}\n      - expression: a > 1\n",
    RULES + "      - foreign_key: {column: a, references: staging.b.c}\n",
    RULES + "      - foreign_key: {column: a, references: {asset: raw.b, columns: [c]}}\n",
    RULES + "      - reconcile: {with: raw.b, expression: x, with_expression: y}\n",
    STEPS + "      - convert_types: {a: bigint, b: {type: date}}\n      - drop_columns: a\n",
    STEPS + "      - add_columns: {a: b}\n      - filter_rows: a\n      - union: raw.b\n",
    STEPS + "      - join: {with: raw.b, on: a}\n      - fill_nulls: {a: 0, b: x}\n",
]
BROKEN = [
    "pipeline: shop\nowner: team:a\n",
    HEADER + "ownr: x\n",
    HEADER.replace("shop\no", "raw\no"),
    HEADER.replace("team:shop", "bob"),
    HEADER + "partitions: {every: minute, start: 2017-01-01}\n",
    HEADER + "partitions: daily\n",
    HEADER + "partitions: {by: {shop: [a, b]}}\n",
    HEADER + "partitions: {by: {shop: {values: []}}}\n",
    HEADER + "partitions: {by: {shop: {values: ['a|b']}}}\n",
    HEADER + "partitions: {dynamic: 'A B'}\n",
    HEADER + "sources:\n",
    HEADER + "sources: {A: {type: database, connection: c, table: t}}\n",
    HEADER + "sources: {a: {type: ftp}}\n",
    HEADER + "sources: {a: {type: database, connection: c, table: t, path: x}}\n",
    HEADER + "sources: {a: {type: database, connection: c, table: t, retries: {delay: 5}}}\n",
    HEADER + "staging: {a: {}}\n",
    HEADER + "staging: {a: {from: b}}\n",
    HEADER + "analytics: {a: {query: x, inputs: {raw.a: {last: 0}}}}\n",
    RULES + "      - uniqe: [a]\n",
    RULES + "      - unique: {columns: [a], kind: unique}\n",
    RULES + "      - unique: []\n",
    RULES + "      - unique: {colums: [a]}\n",
    RULES + "      - unique: [a]\n        not_null: [a]\n",
    RULES + "      - range: [a]\n",
    RULES + "      - accepted_values: {column: a, values: [null]}\n",
    RULES + "      - foreign_key: {column: a, references: b}\n",
    STEPS + "      - convert_types: {a: 3}\n",
    STEPS + "      - add_columns: {columns: {a: b}}\n",
    STEPS + "      - add_columns: {}\n",
    STEPS + "      - join: raw.b\n",
    STEPS + "      - round: {a: x}\n",
]


@pytest.mark.parametrize(
    ("text", "sound"), [*((text, True) for text in SOUND), *((text, False) for text in BROKEN)]
)
def test_schema_and_reader_agree(tmp_path: Path, text: str, sound: bool) -> None:
    folder = pipeline_folder(tmp_path, text)
    data = read_document(folder / "pipeline.yaml").data
    errors = [error.message for error in PIPELINE.iter_errors(data)]
    found = read_pipeline(folder, {"LEVEL": "low"}, tmp_path)
    problems = () if isinstance(found, PipelineFile) else found.problems
    assert (not errors, not problems) == (sound, sound), (errors, problems)
