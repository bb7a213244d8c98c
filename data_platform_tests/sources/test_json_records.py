import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from data_platform.engine.session import Session, open_session
from data_platform.errors import SourceError
from data_platform.sources.json_records.query import records_query
from data_platform.sources.json_records.structure import MAX_DEPTH, MAX_KEYS, MAX_PATHS

Row = dict[str, Any]
Read = Callable[..., tuple[dict[str, str], list[Row]]]

TEXTS = ["2024-01-01", "2024-01-01T00:00:00Z", "007", "1e5", "true", "null", "", " ", "NaN", "😀"]
TEXTS += ["3ff3bd5c-6b0f-4d4e-9c0e-0f5f0c1d2e3f", '{"a": 1}', "[1]", "a\x00b", "\ud7ff"]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with open_session(tmp_path / "scratch", [tmp_path], "1GB", 1) as opened:
        yield opened


@pytest.fixture
def read(session: Session, tmp_path: Path) -> Read:
    def reading(
        *records: Any,
        types: dict[str, str] | None = None,
        text: str | bytes | None = None,
        lines: bool = True,
        data_path: str | None = None,
    ) -> tuple[dict[str, str], list[Row]]:
        path = tmp_path / ("in.jsonl" if lines else "in.json")
        written = "\n".join(map(json.dumps, records)) if lines else json.dumps(list(records))
        whole = written if text is None else text
        path.write_bytes(whole.encode() if isinstance(whole, str) else whole)
        return rows_of(session, [path], types, lines=lines, data_path=data_path)

    return reading


def rows_of(
    session: Session, paths: list[Path], types: dict[str, str] | None = None, **how: Any
) -> tuple[dict[str, str], list[Row]]:
    query = records_query(session, paths, types or {}, **how)
    columns = session.columns(query)
    return columns, [dict(zip(columns, row, strict=True)) for row in session.rows(query)]


class TestNames:
    def test_objects_become_columns_of_joined_keys(self, read: Read):
        columns, rows = read({"id": 1, "at": {"city": "Bern", "geo": {"lat": 1.5}}}, {"id": 2})

        assert list(columns) == ["id", "at__city", "at__geo__lat"]
        assert rows == [
            {"id": 1, "at__city": "Bern", "at__geo__lat": 1.5},
            {"id": 2, "at__city": None, "at__geo__lat": None},
        ]

    def test_keys_keep_the_order_in_which_records_have_them(self, read: Read):
        assert list(read({"z": 1, "a": 2}, {"z": 1, "a": 2, "m": 3})[0]) == ["z", "a", "m"]

    @pytest.mark.parametrize(
        "key", ["a.b", "a b", 'a"b', "a'b", "é", "a/b", "a~1b", "*", "0", "$.a", "#", "[0]", "a\nb"]
    )
    def test_any_key_can_be_a_column(self, read: Read, key: str):
        assert read({key: 5, "outer": {key: "x"}})[1] == [{key: 5, f"outer__{key}": "x"}]

    def test_the_empty_key_has_a_name(self, read: Read):
        assert read({"": 5})[1] == [{"_": 5}]

    def test_a_key_with_the_name_of_a_joined_column_is_refused(self, read: Read):
        with pytest.raises(SourceError, match=r"keys 'a\.b' and 'a__b' would both be column a__b"):
            read({"a__b": 1}, {"a": {"b": 2}})

    def test_keys_that_differ_by_case_alone_are_refused(self, read: Read):
        with pytest.raises(SourceError, match="keys 'ID' and 'id' would both be column id"):
            read({"ID": 1}, {"id": 2})

    def test_a_known_column_keeps_its_spelling(self, read: Read):
        assert read({"ID": 1}, types={"id": "BIGINT"})[1] == [{"id": 1}]

    def test_a_key_twice_in_one_object_is_refused(self, read: Read):
        with pytest.raises(SourceError, match=r"key 'a\.b' stands twice in one object"):
            read(text='{"a": {"b": 1, "b": 1}}\n{"a": {}}')

    def test_the_same_key_in_many_objects_is_one_column(self, read: Read):
        assert read({"a": {"b": 1}, "c": {"b": 2}}, {"b": 3})[1] == [
            {"a__b": 1, "c__b": 2, "b": None},
            {"a__b": None, "c__b": None, "b": 3},
        ]


class TestObjects:
    def test_lists_stay_json(self, read: Read):
        assert read({"a": [1, {"b": [None]}, "é"]})[1] == [{"a": '[1,{"b":[null]},"é"]'}]

    def test_objects_that_are_sometimes_null_or_empty_are_flattened(self, read: Read):
        _, rows = read({"a": None}, {"a": {}}, {"a": {"b": 1}}, {})

        assert [row["a__b"] for row in rows] == [None, None, 1, None]

    def test_objects_that_are_always_empty_stay_json(self, read: Read):
        assert read({"a": {}}, {"a": None})[1] == [{"a": "{}"}, {"a": None}]

    def test_a_field_that_is_not_always_an_object_stays_json(self, read: Read):
        _, rows = read({"a": {"b": 1}}, {"a": 3}, {"a": "x"}, {"a": [1]}, {"a": None})

        assert [row["a"] for row in rows] == ['{"b":1}', "3", "x", "[1]", None]

    def test_the_last_record_of_many_decides_too(self, read: Read):
        records = [{"a": {"b": 1}, "n": 1}] * 5_000
        columns, rows = read(*records, {"a": "x", "n": 1.5, "late": True})

        assert columns == {"a": "VARCHAR", "n": "DOUBLE", "late": "BOOLEAN"}
        assert len(rows) == 5_001
        assert {"a": "x", "n": 1.5, "late": True} in rows

    def test_an_object_with_too_many_keys_is_a_map_and_stays_json(self, read: Read):
        many = {f"k{n}": n for n in range(MAX_KEYS + 1)}
        columns, rows = read({"id": 1, "map": many})

        assert columns == {"id": "BIGINT", "map": "VARCHAR"}
        assert json.loads(rows[0]["map"]) == many

    def test_keys_of_a_map_are_counted_over_all_records(self, read: Read):
        records = [{"map": {f"k{n}": n}} for n in range(2 * MAX_KEYS)]

        assert read(*records)[0] == {"map": "VARCHAR"}

    def test_an_object_with_just_not_too_many_keys_is_flattened(self, read: Read):
        assert len(read({"map": {f"k{n}": n for n in range(MAX_KEYS)}})[0]) == MAX_KEYS

    def test_records_with_too_many_keys_are_refused(self, read: Read):
        with pytest.raises(SourceError, match="more than 1,000 different keys"):
            read({f"k{n}": n for n in range(MAX_KEYS + 1)})

    def test_too_many_keys_on_all_levels_are_refused(self, read: Read):
        each = {f"k{n}": n for n in range(MAX_KEYS)}
        with pytest.raises(SourceError, match="more than 4,000 different keys"):
            read({f"o{n}": each for n in range(MAX_PATHS // MAX_KEYS + 1)})

    def test_what_is_nested_too_deep_stays_json(self, read: Read):
        record: Any = 7
        for _ in range(100):
            record = {"k": record}
        columns, rows = read(record)

        assert list(columns) == ["__".join(["k"] * MAX_DEPTH)]
        assert rows[0][next(iter(columns))].count("{") == 100 - MAX_DEPTH

    def test_nesting_without_an_end_is_read(self, read: Read):
        assert read({"a": 1}, text='{"a": ' + "[" * 5_000 + "]" * 5_000 + "}")[1] == [
            {"a": "[" * 5_000 + "]" * 5_000}
        ]


class TestTypes:
    @pytest.mark.parametrize("text", TEXTS)
    def test_a_text_stays_the_text_that_it_is(self, read: Read, text: str):
        assert read({"a": text, "b": {"c": text}})[1] == [{"a": text, "b__c": text}]

    def test_a_text_may_be_a_megabyte(self, read: Read):
        assert len(read({"a": "é" * 2**20})[1][0]["a"]) == 2**20

    def test_a_record_may_be_larger_than_usual(self, read: Read):
        assert len(read({"a": "x" * 20_000_000}, {"a": "y"})[1][0]["a"]) == 20_000_000

    def test_truth_is_boolean(self, read: Read):
        assert read({"a": True}, {"a": False}, {"a": None})[1] == [
            {"a": True},
            {"a": False},
            {"a": None},
        ]

    @pytest.mark.parametrize(
        ("written", "type_", "value"),
        [
            ("0", "BIGINT", 0),
            ("-0", "BIGINT", 0),
            (f"{2**63 - 1}", "BIGINT", 2**63 - 1),
            (f"{-(2**63)}", "BIGINT", -(2**63)),
            (f"{2**63}", "DECIMAL(38,0)", Decimal(2**63)),
            (f"{-(2**63) - 1}", "DECIMAL(38,0)", Decimal(-(2**63) - 1)),
            (f"{2**64}", "DECIMAL(38,0)", Decimal(2**64)),
            ("9" * 38, "DECIMAL(38,0)", Decimal("9" * 38)),
            ("9" * 39, "VARCHAR", "9" * 39),
            ("1.5", "DOUBLE", 1.5),
            ("1e2", "DOUBLE", 100.0),
            ("1.0", "DOUBLE", 1.0),
            ("5e-324", "DOUBLE", 5e-324),
            ("1e400", "VARCHAR", "1e400"),
        ],
    )
    def test_a_number_has_the_type_that_holds_it(
        self, read: Read, written: str, type_: str, value: object
    ):
        assert read(text=f'{{"a": {written}}}') == ({"a": type_}, [{"a": value}])

    @pytest.mark.parametrize(
        ("values", "type_"),
        [
            ([1, 2**63], "DECIMAL(38,0)"),
            ([1, 0.5], "DOUBLE"),
            ([2**53, 0.5], "DOUBLE"),
            ([2**53 + 1, 0.5], "VARCHAR"),
            ([2**70, 0.5], "VARCHAR"),
            ([1, "x"], "VARCHAR"),
            ([1, True], "VARCHAR"),
            ([None, 1], "BIGINT"),
            ([None], "VARCHAR"),
        ],
    )
    def test_a_column_has_the_type_that_holds_all(
        self, read: Read, values: list[object], type_: str
    ):
        columns, rows = read(*({"a": value} for value in values))

        assert columns == {"a": type_}
        if type_ == "VARCHAR":
            wanted = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
            assert [row["a"] for row in rows] == wanted

    def test_numbers_that_are_none_are_doubles(self, read: Read):
        values = [row["a"] for row in read(text='{"a": NaN}\n{"a": -Infinity}')[1]]

        assert str(values) == "[nan, -inf]"


class TestKnownTypes:
    @pytest.mark.parametrize(
        ("value", "type_", "kept"),
        [
            (5, "DOUBLE", 5.0),
            (5, "VARCHAR", "5"),
            (True, "VARCHAR", "true"),
            ({"b": 1}, "VARCHAR", '{"b":1}'),
            (5, "SMALLINT", 5),
            (5.0, "BIGINT", 5),
            (12.5, "DECIMAL(10,2)", Decimal("12.50")),
            ("12.50", "DECIMAL(10,2)", Decimal("12.50")),
            ("2024-01-02", "DATE", date(2024, 1, 2)),
            ("2024-01-02T03:04:05", "TIMESTAMP", datetime.fromisoformat("2024-01-02T03:04:05")),
            (
                "2024-01-02T03:04:05+02:00",
                "TIMESTAMP WITH TIME ZONE",
                datetime(2024, 1, 2, 1, 4, 5, tzinfo=UTC),
            ),
            ("true", "BOOLEAN", True),
            ([1, 2], "BIGINT[]", [1, 2]),
            (["a", 'b"'], "VARCHAR[]", ["a", 'b"']),
            (None, "DATE", None),
        ],
    )
    def test_a_known_type_takes_what_fits_it(
        self, read: Read, value: object, type_: str, kept: object
    ):
        assert read({"a": value}, types={"a": type_}) == ({"a": type_}, [{"a": kept}])

    @pytest.mark.parametrize(
        ("value", "type_", "named"),
        [
            (1.5, "BIGINT", "the number '1.5'"),
            (2**63, "BIGINT", "the number '9223372036854775808'"),
            (2**53 + 1, "DOUBLE", "the number '9007199254740993'"),
            (12.345, "DECIMAL(10,2)", r"the number '12\.345'"),
            ("x", "BIGINT", "the text 'x'"),
            ("", "BIGINT", "the text ''"),
            ("1.5", "BIGINT", r"the text '1\.5'"),
            (True, "BIGINT", "the truth value 'true'"),
            (1, "BOOLEAN", "the number '1'"),
            (1704067200, "TIMESTAMP", "the number '1704067200'"),
            ("yesterday", "DATE", "the text 'yesterday'"),
            ({"b": 1}, "BIGINT", "the object"),
            ([1], "BIGINT", "the list"),
            ([1, "x"], "BIGINT[]", "the list"),
            ([1.5], "BIGINT[]", "the list"),
            ("[1]", "BIGINT[]", "the text"),
        ],
    )
    def test_a_known_type_refuses_what_does_not_fit_it(
        self, read: Read, value: object, type_: str, named: str
    ):
        place = f"record 3 has {named}.* in a, but the column is {type_[:6]}"
        with pytest.raises(SourceError, match=place):
            read({"b": 1}, {"a": None}, {"a": value}, types={"a": type_})

    def test_a_refusal_names_file_and_record(self, session: Session, tmp_path: Path):
        for name, value in (("first", 1), ("second", "x")):
            (tmp_path / f"{name}.json").write_text(json.dumps([{"a": 1}, {"a": value}]))
        paths = [tmp_path / "first.json", tmp_path / "second.json"]

        with pytest.raises(SourceError, match=r"second\.json: record 2 has the text 'x' in a"):
            rows_of(session, paths, {"a": "BIGINT"}, lines=False)

    def test_a_long_value_is_cut_in_the_message(self, read: Read):
        with pytest.raises(SourceError, match=r"'x{60}\.\.\.' in a"):
            read({"a": "x" * 1_000}, types={"a": "BIGINT"})

    def test_a_known_column_that_no_record_has_is_null(self, read: Read):
        assert read({"a": 1}, types={"b": "DATE", "c__d": "VARCHAR"})[1] == [
            {"a": 1, "b": None, "c__d": None}
        ]

    def test_an_object_whose_column_is_known_stays_whole(self, read: Read):
        assert read({"a": {"b": 1}}, types={"a": "VARCHAR"})[1] == [{"a": '{"b":1}'}]

    @pytest.mark.parametrize("value", [5, "x", [1], True])
    def test_an_object_of_the_table_can_not_be_something_else(self, read: Read, value: object):
        with pytest.raises(SourceError, match=r"record 2 has .* in a, but the table has .* a__b"):
            read({"a": {"b": 1}}, {"a": value}, types={"a__b": "BIGINT"})

    @pytest.mark.parametrize("value", [None, {}])
    def test_an_object_of_the_table_may_be_null_in_all_records(self, read: Read, value: object):
        assert read({"a": value}, types={"a__b": "BIGINT"})[1] == [{"a__b": None}]

    def test_an_object_of_the_table_can_not_become_a_map(self, read: Read):
        with pytest.raises(SourceError, match=r"'map' has more keys.* table has .* map__k1"):
            read({"map": {f"k{n}": n for n in range(MAX_KEYS + 1)}}, types={"map__k1": "BIGINT"})


class TestRecords:
    def test_records_may_be_plain_values(self, read: Read):
        assert read(1, 2, None) == (
            {"value": "BIGINT"},
            [{"value": 1}, {"value": 2}, {"value": None}],
        )

    def test_records_may_be_lists(self, read: Read):
        assert read([1], ["x"])[1] == [{"value": "[1]"}, {"value": '["x"]'}]

    def test_a_record_that_is_null_is_a_row(self, read: Read):
        assert read({"a": 1}, None)[1] == [{"a": 1}, {"a": None}]

    def test_records_that_are_all_null_have_the_known_columns(self, read: Read):
        assert read(None, types={"a": "DATE"})[1] == [{"a": None}]

    def test_a_plain_value_among_objects_is_refused(self, read: Read):
        with pytest.raises(SourceError, match=r"record 2 has the number '5', but .* are objects"):
            read({"a": 1}, 5)

    @pytest.mark.parametrize("text", ["", "\n", "[]", " [ ] "])
    def test_no_record_has_the_known_columns(self, read: Read, text: str):
        lines = "[" not in text

        assert read(text=text, lines=lines, types={"a": "DATE"}) == ({"a": "DATE"}, [])

    def test_no_record_and_no_known_column_is_an_error(self, read: Read):
        with pytest.raises(SourceError, match="no record has a column, and none is known"):
            read(text="")

    def test_a_file_may_be_one_record(self, read: Read):
        assert read(text='{\n "a": 1\n}\n', lines=False)[1] == [{"a": 1}]

    def test_files_are_read_as_one_and_each_as_it_is(self, session: Session, tmp_path: Path):
        (tmp_path / "list.json").write_text('\ufeff[{"a": 1}]', encoding="utf-8")
        (tmp_path / "one.json").write_text('{"a": "x"}')
        with gzip.open(tmp_path / "packed.json.gz", "wt") as file:
            file.write('[{"b": {"c": 1}}]')
        with duckdb.connect() as packing:
            target = tmp_path / "packed.json.zst"
            packing.execute(f"COPY (SELECT 5 AS d) TO '{target}' (FORMAT json, COMPRESSION zstd)")
        paths = sorted(tmp_path.glob("*.json*"))

        columns, rows = rows_of(session, paths, lines=False)

        assert columns == {"a": "VARCHAR", "b__c": "BIGINT", "d": "BIGINT"}
        assert sorted(rows, key=str) == sorted(
            [
                {"a": "1", "b__c": None, "d": None},
                {"a": "x", "b__c": None, "d": None},
                {"a": None, "b__c": 1, "d": None},
                {"a": None, "b__c": None, "d": 5},
            ],
            key=str,
        )

    def test_each_record_may_tell_its_file(self, session: Session, tmp_path: Path):
        paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
        for path in paths:
            path.write_text('{"a": 1}\n{"a": 2}')

        query = records_query(session, paths, {}, lines=True, file_column="_from")

        assert sorted(session.rows(query)) == sorted((n, str(p)) for p in paths for n in (1, 2))

    def test_blank_lines_are_no_records(self, read: Read):
        assert read(text='\n{"a": 1}\r\n\r\n  \n{"a": 2}')[1] == [{"a": 1}, {"a": 2}]

    def test_a_byte_order_mark_is_passed_over(self, read: Read):
        assert read(text='\ufeff{"a": 1}\n{"a": 2}')[1] == [{"a": 1}, {"a": 2}]


class TestDataPath:
    def test_records_are_taken_from_where_they_are(self, read: Read):
        text = '{"meta": {"n": 2}, "data": {"items": [{"a": 1}, null, {"a": 2}]}}'

        _, rows = read(text=text, lines=False, data_path="data.items")

        assert sorted(rows, key=str) == [{"a": 1}, {"a": 2}, {"a": None}]

    def test_one_object_there_is_one_record(self, read: Read):
        assert read(text='{"d": {"a": 1}}', lines=False, data_path="d")[1] == [{"a": 1}]

    @pytest.mark.parametrize("there", ["[]", "null"])
    def test_nothing_there_is_no_record(self, read: Read, there: str):
        text = f'{{"d": {there}}}'

        assert read(text=text, lines=False, data_path="d", types={"a": "DATE"})[1] == []

    def test_each_line_may_have_records(self, read: Read):
        text = '{"d": [{"a": 1}, {"a": 2}]}\n{"d": [{"a": 3}]}'

        assert sorted(row["a"] for row in read(text=text, data_path="d")[1]) == [1, 2, 3]

    @pytest.mark.parametrize(
        ("text", "found"),
        [('{"e": 1}', "nothing"), ('{"d": 5}', "a number"), ('{"d": "x"}', "a text"), ("[]", None)],
    )
    def test_something_else_there_is_an_error(self, read: Read, text: str, found: str | None):
        match = (
            f"in.json: there is {found} at d"
            if found
            else "no record has a column, and none is known"
        )
        with pytest.raises(SourceError, match=match):
            read(text=text, lines=False, data_path="d")

    def test_each_record_there_may_tell_its_file(self, session: Session, tmp_path: Path):
        path = tmp_path / "a.json"
        path.write_text('{"d": [{"a": 1}, {"a": 2}]}')

        query = records_query(session, [path], {}, lines=False, data_path="d", file_column="_from")

        assert sorted(session.rows(query)) == [(1, str(path)), (2, str(path))]

    def test_a_value_that_does_not_fit_is_told_by_its_record(self, read: Read):
        text = '{"d": [{"a": 1}, {"a": "x"}]}'
        with pytest.raises(SourceError, match="record 2 has the text 'x' in a"):
            read(text=text, lines=False, data_path="d", types={"a": "BIGINT"})


class TestBroken:
    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ('{"a": 1}\n{"a": 2}\n{"a":\n', "line 3, byte 6: .* unexpected end of data"),
            ('{"a": 1}\n{"a": 2', "line 2, byte 8: .* unexpected end of data"),
            ('{"a": 1} {"a": 2}', "line 1, byte 9: .* unexpected content after document"),
            ('{"a": "\\ud83d"}', "line 1, byte 14: .* no low surrogate"),
            (b'{"a": "\xff"}', "line 1, byte 8: .* invalid UTF-8"),
            ("{'a': 1}", "line 1, byte 2: .* unexpected character"),
            ('{"a": "x\ny"}', "line 1"),
        ],
    )
    def test_a_line_that_is_no_json_is_named(self, read: Read, text: str | bytes, place: str):
        with pytest.raises(SourceError, match=rf"in\.jsonl: {place}"):
            read(text=text)

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ('[{"a": 1},\n{"b"}]', "record 2, byte 5"),
            ('[{"a": 1}', "record 2"),
            ('[{"a": 1},]', "record 2"),
            ('[{"a": 1}]x', "record 2"),
        ],
    )
    def test_a_record_of_a_list_that_is_no_json_is_named(self, read: Read, text: str, place: str):
        with pytest.raises(SourceError, match=rf"in\.json: {place}.*no valid JSON"):
            read(text=text, lines=False)

    def test_a_value_that_is_too_large_is_an_error(self, read: Read):
        with pytest.raises(SourceError, match=r"in\.json: a value of more than 32 MB"):
            read(text=json.dumps({"a": "x" * 2**26}), lines=False)
