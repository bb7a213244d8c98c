"""A source whose server is stopped, until its circuit opens, and that is there again."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster_dev import free_port
from factories import Project
from handbook import Chapter, Operator, rehearses
from misbehaving_server import Asked, MisbehavingServer, Reply, misbehaving

from data_platform.instance.circuit_store import CircuitStore
from data_platform.sources.circuits import FAILURES, read

PLATFORM = "connections:\n  bank: {{type: api, url: 'http://127.0.0.1:{port}'}}\n"
BODY = """sources:
  rates:
    type: api
    connection: bank
    path: /rates
    retry: {total: 0}
    retries: {delays: [0s, 0s, 0s, 0s]}
    partitions: none
staging:
  rates: {from: raw.rates}
analytics:
  best: {query: SELECT MAX(rate) AS rate FROM staging.rates}
"""
BANK = "connection bank"


class Bank:
    """The server of rates, at one port whenever it is up."""

    def __init__(self) -> None:
        self.port = free_port()
        self.rate = 1.5
        self._up = ExitStack()
        self.server = self.start()

    def start(self) -> MisbehavingServer:
        self.server = self._up.enter_context(misbehaving(self._reply, self.port))
        return self.server

    def stop(self) -> None:
        self._up.close()

    def _reply(self, _: Asked) -> Reply:
        return Reply([{"currency": "USD", "rate": 1.25}, {"currency": "GBP", "rate": self.rate}])


@pytest.fixture
def bank(project: Project, operator: Operator) -> Iterator[Bank]:
    """Its rates were built once; then it is stopped."""
    one = Bank()
    project.platform(PLATFORM.format(port=one.port))
    project.declare(BODY, name="retail")
    operator.does("data-platform run retail")
    operator.is_green()
    one.stop()
    yield one
    one.stop()


@rehearses("a-source-is-down")
def test_a_server_that_was_stopped_is_asked_again(
    chapter: Chapter,
    operator: Operator,
    project: Project,
    bank: Bank,
    instance: dg.DagsterInstance,
) -> None:
    assert operator.type("data-platform run retail").returncode == 1
    page = operator.sees(chapter)
    assert "2 wait for it: staging/retail/rates, analytics/retail/best" in page
    looked = operator.looks(chapter)
    assert "-> data-platform doctor --connection bank" in looked["data-platform status retail"]
    assert re.search(r"fail reachable .* failed", looked["data-platform doctor --connection bank"])
    # Below it the last good version stands.
    assert project.column("analytics/retail/best", "rate") == [1.5]
    bank.rate = 2.5
    circuits = CircuitStore(instance)

    def wait() -> None:
        """As long as `status` says; the time is moved instead."""
        command = "data-platform backfill retail --failed-only --yes"
        refused = operator.type(command)
        assert (refused.returncode, len(bank.server.asked)) == (1, 1), refused.stdout
        circuit = read(circuits.get(BANK))
        assert circuit.failures == FAILURES
        assert circuit.until is not None
        until = datetime.fromisoformat(circuit.until)
        assert f"nobody asks it before {until:%H:%M:%S} UTC" in page
        assert until - datetime.now(UTC) < timedelta(seconds=30)
        over = replace(circuit, until=datetime.now(UTC).isoformat())
        circuits.set(BANK, json.dumps(asdict(over)))

    mended = operator.mends(chapter, bank.start, wait)
    assert re.search(r"ok +reachable .* HTTP 200", mended["data-platform doctor --connection bank"])
    assert "3 green of 3 assets" in operator.is_green()
    assert project.column("analytics/retail/best", "rate") == [2.5]
    assert read(circuits.get(BANK)).failures == 0
