"""Records of any form, held against a plain reader in Python."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.engine.session import Session, open_session
from data_platform.errors import SourceError
from data_platform.sources.json_records.query import records_query

Row = dict[str, Any]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with open_session(tmp_path / "scratch", [tmp_path], "500MB", 1) as opened:
        yield opened


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
)
keys = st.sampled_from(["a", "b", "c.d", "e/f", "~", 'g"'])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
records = st.lists(st.dictionaries(keys, values, max_size=4), min_size=1, max_size=5)


def flattened(found: list[Any], path: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    """The columns of values: one each that isn't always an object, or is always an empty one."""
    there = [value for value in found if value is not None]
    objects = there and all(isinstance(value, dict) for value in there)
    if not objects or (path and not any(there)):
        return {"__".join(path): found} if path else {}
    names = sorted({key for value in there for key in value})
    columns: dict[str, list[Any]] = {}
    for key in names:
        columns |= flattened(
            [None if value is None else value.get(key) for value in found], (*path, key)
        )
    return columns


def as_json(value: Any) -> Any:
    """A cell as the value that it stands for."""
    if isinstance(value, Decimal):
        return int(value)
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


@given(records)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_value_is_lost_or_changed(session: Session, tmp_path: Path, written: list[Row]):
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(map(json.dumps, written)))
    wanted = flattened(written)
    if not wanted:
        with pytest.raises(SourceError, match="no record has a column"):
            records_query(session, [path], {}, lines=True)
        return
    query = records_query(session, [path], {}, lines=True)
    columns = session.columns(query)
    found = dict(zip(columns, zip(*session.rows(query), strict=True), strict=True))

    assert sorted(columns) == sorted(wanted)
    for name, expected in wanted.items():
        assert [as_json(value) for value in found[name]] == [as_json(value) for value in expected]
        if all(isinstance(value, str | None) for value in expected):
            assert list(found[name]) == expected


@given(records, records)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_records_that_made_a_table_fit_it(
    session: Session, tmp_path: Path, written: list[Row], others: list[Row]
):
    path, together = tmp_path / "in.jsonl", tmp_path / "together.jsonl"
    path.write_text("\n".join(map(json.dumps, written)))
    together.write_text("\n".join(map(json.dumps, [*others, *written])))
    try:
        first = records_query(session, [path], {}, lines=True)
    except SourceError:
        assert not flattened(written)
        return
    columns = session.columns(first)
    again = records_query(session, [path], columns, lines=True)

    assert session.columns(again) == columns
    assert repr(session.rows(again)) == repr(session.rows(first))

    # Whatever others bring: it is an error, or what was there stays as it was.
    try:
        both = records_query(session, [together], columns, lines=True)
    except SourceError as refused:
        told = f"{refused}"
    else:
        told = ""
    if told:
        assert f"{together}: record" in told or "would both be" in told
        return
    kept = {name: kind for name, kind in session.columns(both).items() if name in columns}
    named = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in columns)
    found = session.rows(f"SELECT {named} FROM ({both})")

    assert kept == columns
    assert [repr(row) for row in found[len(others) :]] == list(map(repr, session.rows(first)))
