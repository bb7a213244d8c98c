"""Records of an API that fails in three of ten requests come complete, and each once."""

import os
import random
import time
from collections import Counter

import pytest
from api_project import ApiProject
from factories import Project
from misbehaving_server import Asked, Reply, misbehaving
from reliability_report import Figures, record

RECORDS = 1000
PAGE = 50
FAULTY = 0.3
EXTRACTIONS = 8
FULL_EXTRACTIONS = int(os.environ.get("CAMPAIGN_EXTRACTIONS", "100"))
PAGINATIONS = (
    {"type": "page", "page_size": PAGE},
    {"type": "offset", "page_size": PAGE, "total_path": "total"},
    {"type": "cursor", "next_path": "next", "cursor_param": "after"},
    {"type": "link"},
)


class FaultyShop:
    """Pages of 1,000 records; three of ten requests fail."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.faults: Counter[str] = Counter()
        self.requests = 0

    def __call__(self, asked: Asked) -> Reply:
        self.requests += 1
        page = self.page(asked)
        if self.random.random() >= FAULTY:
            return page
        kind = self.random.choice(["429", "503", "time-out", "cut body"])
        self.faults[kind] += 1
        match kind:
            case "429":
                return Reply(status=429, headers={"Retry-After": "1"})
            case "503":
                return Reply(status=503)
            case "time-out":
                return Reply(wait=0.8, reset=True)
            case _:
                return self.cut(page)

    def cut(self, page: Reply) -> Reply:
        at = self.random.randrange(len(page.content))
        form = self.random.choice(["length", "chunks", "quiet"])
        return Reply(
            page.json, headers=page.headers, cut=at, chunks=form == "chunks",
            until_close=form == "quiet",
        )  # fmt: skip

    def page(self, asked: Asked) -> Reply:
        params = asked.params
        start = int(params.get("offset") or params.get("after") or 0)
        if "page" in params:
            start = (int(params["page"]) - 1) * PAGE
        end = start + PAGE
        body = {
            "items": [{"id": n, "name": f"n{n}"} for n in range(start, min(end, RECORDS))],
            "total": RECORDS,
            "next": str(end) if end < RECORDS else None,
        }
        link = {"Link": f'</orders?after={end}>; rel="next"'} if end < RECORDS else {}
        return Reply(body, headers=link)


def extract(project: Project, seed: int) -> FaultyShop:
    """One extraction; what is there must be complete."""
    api, shop = ApiProject(project), FaultyShop(seed)
    with misbehaving(shop) as server:
        api.declare(
            f"{server.url}/orders",
            data_path="items",
            pagination=PAGINATIONS[seed % len(PAGINATIONS)],
            retry={"total": 12},
        )
        came = api.ask(timeout=0.4)
    assert sorted(came.ids) == list(range(RECORDS)), f"seed {seed}"
    assert sum(shop.faults.values()) > 0
    return shop


def test_every_extraction_is_complete(project: Project) -> None:
    for seed in range(EXTRACTIONS):
        extract(project, seed)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_a_hundred_extractions_are_complete(project: Project) -> None:
    begin = time.monotonic()
    shops = [extract(project, 1000 + seed) for seed in range(FULL_EXTRACTIONS)]
    faults: Counter[str] = Counter()
    for shop in shops:
        faults += shop.faults
    told = ", ".join(f"{count:,} {kind}" for kind, count in sorted(faults.items()))
    requests = sum(shop.requests for shop in shops)
    outcome = (
        f"every extraction of {RECORDS:,} records was complete and without doubles; of "
        f"{requests:,} requests failed {sum(faults.values()):,}: {told}"
    )
    what = "an HTTP API that fails in 30% of its requests, by every kind of pagination"
    record(Figures(what, len(shops), outcome, time.monotonic() - begin))
