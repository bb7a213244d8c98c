# ruff: noqa: E501 -- cases stand in tables, one a line
"""Every kind of change of a contract, both ways: what it is called, and whom it breaks."""

from pathlib import Path

import pytest
import yaml

from data_platform.plan.contracts.changes import AssetChanges, Change, compare
from data_platform.plan.contracts.widenings import widens
from data_platform.spec.contracts import WrittenContracts, written_contracts
from data_platform.spec.document import read_document

READERS, SOURCE, BOTH, NOBODY = {"readers"}, {"source"}, {"readers", "source"}, set()

COLUMNS = {
    "nullable": ("{nullable: false}", "{nullable: true}", ("nullable", READERS), ("required", SOURCE)),
    "nullable by leaving it out": ("{nullable: false}", "{}", ("nullable", READERS), ("required", SOURCE)),
    "unique": ("{unique: true}", "{}", ("unique_dropped", READERS), ("unique_added", SOURCE)),
    "type widened": ("{type: integer}", "{type: bigint}", ("type_widened", NOBODY), ("type_narrowed", BOTH)),
    "type of more digits": ("{type: 'decimal(10,2)'}", "{type: 'decimal(12,2)'}", ("type_widened", NOBODY), ("type_narrowed", BOTH)),
    "type changed": ("{type: varchar}", "{type: bigint}", ("type_changed", BOTH), ("type_changed", BOTH)),
    "type by other names": ("{type: datetime}", "{type: date}", ("type_changed", BOTH), ("type_changed", BOTH)),
    "type dropped": ("{type: bigint}", "{}", ("type_dropped", READERS), ("type_added", SOURCE)),
    "a type that there is not": ("{type: nosuch}", "{type: bigint}", ("type_changed", BOTH), ("type_changed", BOTH)),
    "min lower": ("{min: 0}", "{min: -1}", ("range_widened", READERS), ("range_narrowed", SOURCE)),
    "min dropped": ("{min: 0}", "{}", ("range_widened", READERS), ("range_narrowed", SOURCE)),
    "max higher": ("{max: 1}", "{max: 1.5}", ("range_widened", READERS), ("range_narrowed", SOURCE)),
    "max dropped": ("{max: 1}", "{}", ("range_widened", READERS), ("range_narrowed", SOURCE)),
    "a date earlier": ("{min: '2024-01-01'}", "{min: '2023-12-31'}", ("range_widened", READERS), ("range_narrowed", SOURCE)),
    "a moment later": ("{max: '2024-01-01T00:00:00'}", "{max: '2024-01-01T00:00:01'}", ("range_widened", READERS), ("range_narrowed", SOURCE)),
    "bounds that can't be compared": ("{min: 0}", "{min: ':least'}", ("range_changed", BOTH), ("range_changed", BOTH)),
    "moments with and without a zone": ("{min: '2024-01-01T00:00:00Z'}", "{min: '2024-01-01T00:00:00'}", ("range_changed", BOTH), ("range_changed", BOTH)),
    "one more value": ("{accepted_values: [a]}", "{accepted_values: [b, a]}", ("values_widened", READERS), ("values_narrowed", SOURCE)),
    "any value": ("{accepted_values: [a]}", "{}", ("values_widened", READERS), ("values_narrowed", SOURCE)),
    "other values": ("{accepted_values: [a, b]}", "{accepted_values: [b, c]}", ("values_changed", BOTH), ("values_changed", BOTH)),
    "true and 1": ("{accepted_values: [true]}", "{accepted_values: [1]}", ("values_changed", BOTH), ("values_changed", BOTH)),
    "pattern dropped": ("{matches: '[a-z]+'}", "{}", ("pattern_dropped", READERS), ("pattern_added", SOURCE)),
    "pattern changed": ("{matches: '[a-z]+'}", "{matches: '[a-z]*'}", ("pattern_changed", BOTH), ("pattern_changed", BOTH)),
    "pii": ("{}", "{pii: true}", ("pii_marked", READERS), ("pii_unmarked", NOBODY)),
    "pii that was denied": ("{pii: false}", "{pii: true}", ("pii_marked", READERS), ("pii_unmarked", NOBODY)),
    "description": ("{}", "{description: x}", ("description", NOBODY), ("description", NOBODY)),
}  # fmt: skip


def contracts(folder: Path, text: str) -> WrittenContracts:
    """The contracts of a pipeline.yaml, of which only the sections are given."""
    file = folder / "pipeline.yaml"
    file.write_text(f"version: 1\npipeline: shop\nowner: team:shop\n{text}")
    return written_contracts(read_document(file), {}, "shop")


def changed(folder: Path, old: str, new: str) -> list[AssetChanges]:
    return compare(contracts(folder, old), contracts(folder, new))


def only_change(folder: Path, old: str, new: str) -> Change:
    [asset] = changed(folder, old, new)
    [change] = asset.changes
    return change


def staging(columns: str, more: str = "") -> str:
    return f"staging:\n  orders:\n    from: raw.orders\n    columns: {columns}\n{more}"


def analytics(columns: str, more: str = "") -> str:
    return f"analytics:\n  orders:\n    sql: a.sql\n    columns: {columns}\n{more}"


@pytest.mark.parametrize("case", COLUMNS)
def test_a_promise_of_a_column(tmp_path: Path, case: str) -> None:
    old, new, forth, back = COLUMNS[case]
    for before, after, expected in ((old, new, forth), (new, old, back)):
        found = only_change(tmp_path, staging(f"{{x: {before}}}"), staging(f"{{x: {after}}}"))
        assert (found.kind, set(found.breaks)) == expected
        assert found.column == "x"


@pytest.mark.parametrize("case", COLUMNS)
def test_what_breaks_readers_one_way_does_not_break_them_back(tmp_path: Path, case: str) -> None:
    """But for what is neither narrower nor wider than it was."""
    old, new = (staging(f"{{x: {text}}}") for text in COLUMNS[case][:2])
    forth, back = only_change(tmp_path, old, new), only_change(tmp_path, new, old)
    if forth.kind != back.kind:
        assert not ("readers" in forth.breaks and "readers" in back.breaks)


@pytest.mark.parametrize("case", COLUMNS)
def test_the_source_of_analytics_is_its_own_statement(tmp_path: Path, case: str) -> None:
    old, new, forth, back = COLUMNS[case]
    for before, after, (kind, breaks) in ((old, new, forth), (new, old, back)):
        found = only_change(tmp_path, analytics(f"{{x: {before}}}"), analytics(f"{{x: {after}}}"))
        assert (found.kind, set(found.breaks)) == (kind, breaks - SOURCE)


def test_the_same_words_in_another_way_are_no_change(tmp_path: Path) -> None:
    old = staging("{x: {type: int8, min: 1, accepted_values: [a, b], nullable: true}}")
    new = staging("{x: {accepted_values: [b, a], type: BIGINT, min: 1.0}}")
    assert changed(tmp_path, old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "kind", "breaks"),
    [
        ("{x: {}, y: {}}", "{x: {}}", "column_removed", READERS),
        ("{x: {}}", "{x: {}, y: {}}", "column_added", NOBODY),
        ("{x: {}}", "{x: {}, y: {nullable: false}}", "required_column_added", SOURCE),
        ("{x: {}}", "{X: {}}", "column_renamed", READERS),
    ],
)
def test_columns_come_and_go(
    tmp_path: Path, old: str, new: str, kind: str, breaks: set[str]
) -> None:
    found = only_change(tmp_path, staging(old), staging(new))
    assert (found.kind, set(found.breaks)) == (kind, breaks)


def test_the_order_of_columns_is_no_promise(tmp_path: Path) -> None:
    assert changed(tmp_path, staging("{x: {}, y: {}}"), staging("{y: {}, x: {}}")) == []


def test_a_column_that_promises_the_same_may_be_a_new_name(tmp_path: Path) -> None:
    [asset] = changed(tmp_path, staging("{x: {type: bigint}}"), staging("{y: {type: bigint}}"))
    assert [(each.kind, each.text) for each in asset.changes] == [
        ("column_removed", "is gone: perhaps it is y now"),
        ("column_added", "is new"),
    ]


def test_of_two_that_promise_the_same_nobody_guesses(tmp_path: Path) -> None:
    new = "{y: {type: bigint}, z: {type: bigint}}"
    [asset] = changed(tmp_path, staging("{x: {type: bigint}}"), staging(new))
    assert asset.changes[0].text == "is gone"


@pytest.mark.parametrize(
    ("old", "new", "forth", "back"),
    [
        ("keep", "drop", READERS, NOBODY),
        ("keep", "fail", BOTH, NOBODY),
        ("drop", "fail", SOURCE, NOBODY),
    ],
)
def test_extra_columns(tmp_path: Path, old: str, new: str, forth: set[str], back: set[str]) -> None:
    for before, after, breaks in ((old, new, forth), (new, old, back)):
        texts = [staging("{x: {}}", f"    extra_columns: {word}\n") for word in (before, after)]
        found = only_change(tmp_path, *texts)
        assert (found.kind, set(found.breaks)) == ("extra_columns", breaks)


def test_extra_columns_left_out_are_fail(tmp_path: Path) -> None:
    said = staging("{x: {}}", "    extra_columns: fail\n")
    assert changed(tmp_path, staging("{x: {}}"), said) == []


@pytest.mark.parametrize(
    ("old", "new", "kind", "forth", "back"),
    [
        ("none", "{every: day, start: 2024-01-01}", "partitions_changed", READERS, READERS),
        (
            "{every: day, start: 2024-01-01}",
            "{every: day, start: 2024-01-02}",
            "partitions_start",
            READERS,
            NOBODY,
        ),
        (
            "{every: day, start: 2024-01-01}",
            "{every: day, start: 2024-01-01, end: 2025-01-01}",
            "partitions_end",
            READERS,
            NOBODY,
        ),
        (
            "{every: day, start: 2024-01-01}",
            "{every: day, start: 2024-01-01, timezone: Europe/Berlin}",
            "partitions_changed",
            READERS,
            READERS,
        ),
    ],
)
def test_partitions(
    tmp_path: Path, old: str, new: str, kind: str, forth: set[str], back: set[str]
) -> None:
    for before, after, breaks in ((old, new, forth), (new, old, back)):
        texts = [analytics("{x: {}}", f"    partitions: {word}\n") for word in (before, after)]
        found = only_change(tmp_path, *texts)
        assert (found.kind, set(found.breaks)) == (kind, breaks)


def test_staging_has_the_partitions_of_what_it_is_made_from(tmp_path: Path) -> None:
    source = "sources:\n  orders: {type: file, path: a.csv, partitions: §}\n"
    text = staging("{x: {}}") + "  further:\n    from: shop.staging.orders\n    columns: {y: {}}\n"
    old = source.replace("§", "none") + text
    new = source.replace("§", "{every: day, start: 2024-01-01}") + text
    found = changed(tmp_path, old, new)
    assert [asset.asset[2] for asset in found] == ["further", "orders"]
    assert {change.kind for asset in found for change in asset.changes} == {"partitions_changed"}


def test_partitions_of_another_pipeline_are_not_compared(tmp_path: Path) -> None:
    other = staging("{x: {}}").replace("raw.orders", "elsewhere.raw.orders")
    assert changed(tmp_path, staging("{x: {}}"), other) == []


def test_assets_and_contracts_come_and_go(tmp_path: Path) -> None:
    bare = "staging:\n  orders:\n    from: raw.orders\n"
    for old, new, kind, breaks in (
        (staging("{x: {}}"), "", "asset_removed", READERS),
        ("", staging("{x: {}}"), "asset_added", NOBODY),
        (staging("{x: {}}"), bare, "contract_removed", READERS),
        (bare, staging("{x: {}}"), "contract_added", NOBODY),
        (staging("{x: {}}"), staging("{}"), "contract_removed", READERS),
    ):
        found = only_change(tmp_path, old, new)
        assert (found.kind, set(found.breaks)) == (kind, breaks)


def test_assets_without_a_contract_are_not_told(tmp_path: Path) -> None:
    assert changed(tmp_path, "staging:\n  orders:\n    from: raw.orders\n", "") == []


@pytest.mark.parametrize(
    ("old", "new", "verdict", "warning"),
    [
        ("1.2.0", "2.0.0", "allowed", None),
        ("0.9.0", "1.0.0", "allowed", None),
        (None, "1.0.0", "allowed", None),
        ("1.2.0", "1.3.0", "breaking", None),
        ("1.2.0", "1.2.0", "breaking", "contract_version is still 1.2.0"),
        ("1.10.0", "1.9.0", "breaking", "contract_version went back from 1.10.0 to 1.9.0"),
        ("2.0.0", None, "breaking", "has no contract_version"),
        (None, None, "breaking", "has no contract_version"),
    ],
)
def test_a_new_major_number_allows_what_breaks(
    tmp_path: Path, old: str | None, new: str | None, verdict: str, warning: str | None
) -> None:
    [asset] = changed(
        tmp_path,
        staging("{x: {}, y: {}}", f"    contract_version: {old}\n" if old else ""),
        staging("{x: {}}", f"    contract_version: {new}\n" if new else ""),
    )
    assert asset.verdict == verdict
    assert (warning is None) == (not asset.warnings)
    assert (warning or "") in "".join(asset.warnings)


@pytest.mark.parametrize(
    ("old", "new", "warned"),
    [("1.2.0", "1.3.0", False), ("1.2.0", "1.2.1", False), ("1.2.0", "1.2.0", True)],
)
def test_a_change_that_breaks_nobody_wants_some_new_version(
    tmp_path: Path, old: str, new: str, warned: bool
) -> None:
    [asset] = changed(
        tmp_path,
        staging("{x: {}}", f"    contract_version: {old}\n"),
        staging("{x: {}, y: {}}", f"    contract_version: {new}\n"),
    )
    assert asset.verdict == "compatible"
    assert bool(asset.warnings) == warned


def test_other_words_in_a_description_want_no_version(tmp_path: Path) -> None:
    version = "    contract_version: 1.2.0\n"
    old, new = (staging(f"{{x: {{description: {w}}}}}", version) for w in ("a", "b"))
    [asset] = changed(tmp_path, old, new)
    assert asset.warnings == ()


def test_the_version_that_would_allow_it_is_the_next_major_one(tmp_path: Path) -> None:
    old = staging("{x: {}, y: {}}", "    contract_version: 3.1.4\n")
    [asset] = changed(tmp_path, old, staging("{x: {}}"))
    assert asset.allowing_version == "4.0.0"
    [gone] = changed(tmp_path, old, "")
    assert gone.allowing_version is None


def test_what_breaks_comes_first(tmp_path: Path) -> None:
    old = staging("{a: {}, z: {}}") + "  more:\n    from: raw.orders\n    columns: {x: {}}\n"
    new = staging("{a: {description: b}, z: {nullable: false}}") + (
        "  more:\n    from: raw.orders\n    columns: {x: {}, y: {}}\n"
    )
    found = changed(tmp_path, old, new)
    assert [asset.asset[2] for asset in found] == ["orders", "more"]
    assert [change.column for change in found[0].changes] == ["z", "a"]


def test_places_are_those_of_both_sides(tmp_path: Path) -> None:
    old = "staging:\n  orders:\n    from: raw.orders\n    columns:\n      x: {type: bigint}\n"
    new = old.replace("    columns:", "    description: y\n    columns:").replace("bigint", "date")
    found = only_change(tmp_path, old, new)
    assert found.old is not None
    assert found.new is not None
    assert (found.old.line, found.new.line) == (8, 9)


# What can't be read ---------------------------------------------------------------------------


def test_mistakes_elsewhere_hide_no_change(tmp_path: Path) -> None:
    wrong = "zzz: 1\nschedule: never\nsources:\n  orders: {type: nosuch}\n"
    asset = "    nosuch: 1\n    transformations: 7\n    quality: {a: b}\n"
    old = wrong + staging("{x: {}, y: {}}", asset)
    assert only_change(tmp_path, old, staging("{x: {}}")).kind == "column_removed"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("{x: {nulable: true}}", "unknown key 'nulable'"),
        ("{x: 7}", "expected a mapping"),
        ("[x]", "expected a mapping of columns"),
        ("7", "expected a mapping of columns"),
        ("{x: {nullable: 7}}", "expected true or false, found 7"),
    ],
)
def test_a_contract_that_cannot_be_read_is_not_compared(
    tmp_path: Path, columns: str, message: str
) -> None:
    text = staging(columns) + "  more:\n    from: raw.orders\n    columns: {x: {}}\n"
    found = contracts(tmp_path, text)
    [problem] = found.problems
    assert message in problem.message
    assert problem.location.line == 7
    assert compare(found, contracts(tmp_path, text.replace(columns, "{x: {}}"))) == []
    assert list(found.contracts) == [("staging", "shop", "more")]


def test_a_version_that_is_none_is_told_and_not_compared(tmp_path: Path) -> None:
    found = contracts(tmp_path, staging("{x: {}}", "    contract_version: 1.2\n"))
    assert "1.2 is a number: quote it" in found.problems[0].message
    assert found.unread == {("staging", "shop", "orders")}


@pytest.mark.parametrize("text", ["staging: 7\n", "staging: [a]\n", "staging:\n  orders: 7\n", "staging:\n  7: {columns: {x: {}}}\n"])  # fmt: skip
def test_what_is_no_asset_has_no_contract(tmp_path: Path, text: str) -> None:
    assert contracts(tmp_path, text).contracts == {}


def test_variables_are_those_of_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    columns = {"x": {"type": "${T:-bigint}"}, "y": {"type": "${UNSET}"}}
    file.write_text(yaml.dump({"pipeline": "shop", "staging": {"o": {"columns": columns}}}))
    document = read_document(file)
    told = [
        [each.type for each in found.contracts["staging", "shop", "o"].columns.values()]
        for found in (
            written_contracts(document, {}, ""),
            written_contracts(document, {"T": "date"}, ""),
        )
    ]
    assert told == [["bigint", "${UNSET}"], ["date", "${UNSET}"]]


# Types ----------------------------------------------------------------------------------------

WIDENINGS = [
    ("TINYINT", "SMALLINT"), ("SMALLINT", "INTEGER"), ("INTEGER", "BIGINT"), ("BIGINT", "HUGEINT"),
    ("UTINYINT", "SMALLINT"), ("UINTEGER", "BIGINT"), ("UBIGINT", "HUGEINT"), ("UBIGINT", "UHUGEINT"),
    ("SMALLINT", "FLOAT"), ("INTEGER", "DOUBLE"), ("UINTEGER", "DOUBLE"), ("FLOAT", "DOUBLE"),
    ("DECIMAL(10,2)", "DECIMAL(12,2)"), ("DECIMAL(10,2)", "DECIMAL(12,4)"),
    ("INTEGER", "DECIMAL(10,0)"), ("INTEGER", "DECIMAL(12,2)"), ("BIGINT", "DECIMAL(19,0)"),
    ("DECIMAL(9,0)", "INTEGER"), ("INTEGER[]", "BIGINT[]"),
]  # fmt: skip
NO_WIDENINGS = [
    ("BIGINT", "BIGINT"), ("BIGINT", "UBIGINT"), ("BIGINT", "DOUBLE"), ("INTEGER", "FLOAT"),
    ("DECIMAL(10,2)", "DECIMAL(10,4)"), ("DECIMAL(10,2)", "DOUBLE"), ("INTEGER", "DECIMAL(9,0)"),
    ("INTEGER", "DECIMAL(10,2)"), ("DECIMAL(10,0)", "INTEGER"), ("DECIMAL(10,2)", "INTEGER"),
    ("INTEGER", "VARCHAR"), ("DATE", "TIMESTAMP"), ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
    ("UUID", "VARCHAR"), ("BOOLEAN", "INTEGER"), ("INTEGER[]", "BIGINT"), ("INTEGER[]", "INTEGER[]"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), WIDENINGS)
def test_a_type_that_holds_every_value_exactly(old: str, new: str) -> None:
    assert widens(old, new)
    assert not widens(new, old)


@pytest.mark.parametrize(("old", "new"), NO_WIDENINGS)
def test_a_type_that_does_not(old: str, new: str) -> None:
    assert not widens(old, new)
