"""Loads of PostgreSQL that break off anywhere: the network, the process, the answer of COMMIT."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from breaking import Fault, Story, campaign, disturb
from cutting_proxy import LOST_ANSWER, Cut, CuttingProxy, How, Way
from delivering import Nodes, Sending
from delivering_process import DeliveringProcess
from held_tables import PostgresTables
from versions_of_rows import PARTITIONED, Held, after

from data_platform.errors import StorageUnavailable
from data_platform.spec.destinations import WriteMode

CUTS, KILLS = 6, 4
FULL_FAULTS = int(os.environ.get("CAMPAIGN_BROKEN_LOADS", "100"))
PATIENCE = 60.0
MODES: tuple[WriteMode, ...] = get_args(WriteMode)


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[CuttingProxy]:
    with CuttingProxy(postgres_url) as opened:
        yield opened


class Cuts:
    """Breaks the network after some byte, or at some moment.

    Args:
        proxy: that does it.
        seed: decides where and how.
    """

    def __init__(self, proxy: CuttingProxy, seed: random.Random) -> None:
        self._proxy, self._seed = proxy, seed
        self._bytes: dict[Way, int] = {"up": 0, "down": 0}
        self._seconds = 0.0

    def __call__(self, sending: Sending) -> str | None:
        cut = self._next() if self._seconds else None
        at_moment = cut is not LOST_ANSWER and self._seed.random() < 0.25
        self._proxy.break_at(None if at_moment else cut)
        timer = None
        if cut is not None and at_moment:
            moment = self._seed.uniform(0, self._seconds)
            timer = threading.Timer(moment, self._proxy.break_now, [cut.how])
            timer.start()
        began = time.monotonic()
        try:
            replace(sending, url=self._proxy.url).deliver()
        except StorageUnavailable:
            assert self._proxy.broken.is_set()
            if cut is None or cut is LOST_ANSWER:
                return "COMMIT without an answer"
            return f"{cut.how} {'at a moment' if at_moment else 'after bytes'}"
        finally:
            if timer is not None:
                timer.cancel()
                timer.join()
            if not self._proxy.broken.is_set():
                self._learn(time.monotonic() - began)
        return None

    def _next(self) -> Cut:
        if self._seed.random() < 0.1:  # few of the bytes come after it
            return LOST_ANSWER
        way: Way = self._seed.choice(("up", "down"))
        how: How = self._seed.choice(get_args(How))
        return Cut(self._seed.randint(1, self._bytes[way]), way, how)

    def _learn(self, seconds: float) -> None:
        """From a load that went through."""
        self._seconds = seconds
        for way, passed in self._proxy.passed.items():
            self._bytes[way] = max(self._bytes[way], passed)


class Kills:
    """Kills the process that loads once it has sent or got some byte.

    Args:
        proxy: that sees the bytes.
        seed: decides which.
    """

    def __init__(self, proxy: CuttingProxy, seed: random.Random) -> None:
        self._proxy, self._seed = proxy, seed
        self._bytes: dict[Way, int] = {"up": 0, "down": 0}
        self._process: DeliveringProcess | None = None

    def __call__(self, sending: Sending) -> str | None:
        process = self._process = self._process or DeliveringProcess()
        way: Way = self._seed.choice(("up", "down"))
        cut = (
            Cut(self._seed.randint(1, self._bytes[way]), way, "close") if self._bytes[way] else None
        )
        self._proxy.break_at(cut, process.kill)
        process.begin(replace(sending, url=self._proxy.url))
        outcome = process.outcome(PATIENCE)
        if outcome is None:
            self.end()
            return "killed"
        assert outcome[0] == "loaded", outcome
        for each, passed in self._proxy.passed.items():
            self._bytes[each] = max(self._bytes[each], passed)
        return None

    def end(self) -> None:
        """Leave no process."""
        if self._process is not None:
            self._process.end()
            self._process = None


@pytest.fixture
def kills(proxy: CuttingProxy) -> Iterator[Callable[[random.Random], Fault]]:
    made: list[Kills] = []

    def make(seed: random.Random) -> Kills:
        made.append(Kills(proxy, seed))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.mark.parametrize("mode", MODES)
def test_a_network_that_is_cut_anywhere(
    nodes: Nodes, postgres_url: str, tmp_path: Path, proxy: CuttingProxy, mode: WriteMode
) -> None:
    seed = random.Random(1)
    tables = PostgresTables(postgres_url)
    disturb(tables, nodes, Story(mode, seed), Cuts(proxy, seed), CUTS, tmp_path)


@pytest.mark.parametrize("mode", MODES)
def test_a_process_that_is_killed_anywhere(
    nodes: Nodes,
    postgres_url: str,
    tmp_path: Path,
    kills: Callable[[random.Random], Fault],
    mode: WriteMode,
) -> None:
    seed = random.Random(2)
    tables = PostgresTables(postgres_url)
    disturb(tables, nodes, Story(mode, seed), kills(seed), KILLS, tmp_path)


@pytest.mark.parametrize("mode", MODES)
def test_a_load_whose_commit_was_not_answered_is_not_done_twice(
    nodes: Nodes, postgres_url: str, tmp_path: Path, proxy: CuttingProxy, mode: WriteMode
) -> None:
    tables, story, held = PostgresTables(postgres_url), Story(mode, random.Random(3)), Held()
    for _ in range(3):
        table, numbers = story.next()
        wanted = after(held if mode != "create" else Held(), mode, numbers)
        node = nodes.node(tables.target(mode, table), partitioned=PARTITIONED[mode])
        sending = Sending(node, numbers, tables.url, tmp_path)
        proxy.break_at(LOST_ANSWER)
        with pytest.raises(StorageUnavailable, match=r"127\.0\.0\.1"):
            replace(sending, url=proxy.url).deliver()
        assert tables.held(table) == wanted
        assert sending.deliver() == []
        held = tables.held(table)
        assert held == wanted
        assert tables.leftovers() == []


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", MODES)
def test_campaign_of_cut_networks(
    nodes: Nodes, postgres_url: str, tmp_path: Path, proxy: CuttingProxy, mode: WriteMode
) -> None:
    seed = random.Random(4)
    what = "a network cut anywhere in a load of a PostgreSQL table"
    tables, story = PostgresTables(postgres_url), Story(mode, seed)
    campaign(what, tables, nodes, story, Cuts(proxy, seed), FULL_FAULTS, tmp_path)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", MODES)
def test_campaign_of_killed_loads(
    nodes: Nodes,
    postgres_url: str,
    tmp_path: Path,
    kills: Callable[[random.Random], Fault],
    mode: WriteMode,
) -> None:
    seed = random.Random(5)
    what = "kill -9 anywhere in a load of a PostgreSQL table"
    tables, story = PostgresTables(postgres_url), Story(mode, seed)
    campaign(what, tables, nodes, story, kills(seed), FULL_FAULTS, tmp_path)
