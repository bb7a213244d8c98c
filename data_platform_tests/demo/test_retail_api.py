"""The demo's marketing system, over a real socket."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from data_platform.demo.retail_api import LARGEST_PAGE, TOKEN, RetailApi, serving


@pytest.fixture(scope="module")
def api() -> Iterator[RetailApi]:
    with serving(RetailApi(0)) as server:
        yield server


def ask(api: RetailApi, path: str, token: str = TOKEN) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"{api.url}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_campaigns_come_by_pages(api: RetailApi) -> None:
    pages = [ask(api, f"/campaigns?page={n}&per_page=10")[1]["data"] for n in (1, 2, 3, 4)]
    assert [len(page["items"]) for page in pages] == [10, 10, 7, 0]
    assert {page["total"] for page in pages} == {27}
    assert pages[0]["items"][0] == {
        "campaign_id": 1,
        "type": "Type B",
        "period": {"start": "2017-03-03", "end": "2017-04-09"},
    }


def test_all_coupons_come_once_over_all_pages(api: RetailApi) -> None:
    records: list[dict[str, int]] = []
    number = 1
    while page := ask(api, f"/coupons?page={number}&per_page={LARGEST_PAGE}")[1]["data"]["items"]:
        records += page
        number += 1
    assert len(records) == 116_204
    assert len({tuple(record.values()) for record in records}) == 116_204 - 4_872


@pytest.mark.parametrize(
    ("path", "token", "status", "error"),
    [
        ("/campaigns", "", 401, "a bearer token is needed"),
        ("/campaigns", "wrong", 401, "a bearer token is needed"),
        ("/nothing", TOKEN, 404, "there are /campaigns, /coupons"),
        ("/campaigns?page=0", TOKEN, 400, "page counts from 1"),
        ("/campaigns?per_page=5001", TOKEN, 400, "per_page is 1 to 5000"),
        ("/campaigns?page=x", TOKEN, 400, "page counts from 1"),
    ],
)
def test_what_it_refuses(api: RetailApi, path: str, token: str, status: int, error: str) -> None:
    found, body = ask(api, path, token)
    assert found == status
    assert error in body["error"]


def test_a_taken_port_is_an_error(api: RetailApi) -> None:
    with pytest.raises(OSError, match="in use"):
        RetailApi(api.server_address[1])
