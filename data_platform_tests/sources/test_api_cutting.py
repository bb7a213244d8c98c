"""Records cut out of a JSON text are those that a reader finds; a cut text is never taken."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform.sources.http.cutting import Records, document_of
from data_platform.sources.http.requests import Answer, Request, origin_of
from data_platform.sources.http.troubles import CutShort

URL = httpx.URL("http://localhost/")
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=12,
)
RECORDS = st.lists(st.dictionaries(st.text(min_size=1), VALUES, max_size=4), max_size=5)
FORMS = st.sampled_from(
    [{}, {"indent": 2}, {"indent": "\t"}, {"separators": (",", ":")}, {"ensure_ascii": False}]
)


def read(body: bytes, *keys: str) -> Any:
    request = Request("GET", URL, origin_of(URL))
    return document_of(Answer(request, 200, httpx.Headers(), body), keys, str)


def encoded(value: Any, form: dict[str, Any]) -> bytes:
    return json.dumps(value, **form).encode("utf-8", "surrogatepass")


@given(RECORDS, FORMS)
def test_a_list_is_cut_into_its_records(
    records: list[dict[str, Any]], form: dict[str, Any]
) -> None:
    found = read(encoded(records, form))
    assert isinstance(found, Records)
    assert all("\n" not in text for text in found.texts)
    assert [json.loads(text) for text in found.texts] == records


@given(RECORDS, st.dictionaries(st.text(), VALUES, max_size=3), FORMS)
def test_what_is_around_the_records_is_read(
    records: list[dict[str, Any]], around: dict[str, Any], form: dict[str, Any]
) -> None:
    document = {**around, "data": {**around, "items": records, "z": 1}, "after": [around]}
    found = read(encoded(document, form), "data", "items")
    assert [json.loads(text) for text in found["data"].pop("items").texts] == records
    del document["data"]["items"]
    assert found == document


@settings(max_examples=25, deadline=None)
@given(RECORDS, FORMS)
def test_no_text_that_breaks_off_is_taken(
    records: list[dict[str, Any]], form: dict[str, Any]
) -> None:
    body = encoded({"data": records, "more": False}, form)
    for length in range(len(body)):
        with pytest.raises(CutShort):
            read(body[:length], "data")
