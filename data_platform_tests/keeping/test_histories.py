"""Random histories of a table against a plain model: what readers see of every version."""

import contextlib
import random

import pytest
from erasures import erase
from factories import DAYS, Project, key_of
from grown import EVENTS, add_batch, data_version, read, snapshot
from later import later, retention_from
from test_compaction import optimize

from data_platform.errors import PermanentError
from data_platform.keeping.history import history_of
from data_platform.keeping.rollback import plan_rollback, roll_back
from data_platform.keeping.vacuum import Keep, plan_vacuum, vacuum
from data_platform.storage.commits import data_files

PEOPLE = ("ada", "bob", "eve", "zoë")
KEYS = DAYS[:3]
State = dict[str, frozenset[tuple[int, str]]]


class Model:
    """What a table of days should hold, version by version.

    Attributes:
        states: the rows of each partition, by version.
        erased: of whom no row may be anywhere: partitions that held one can't be read.
        kept: the oldest version that vacuum had to leave.
    """

    def __init__(self, project: Project, seed: int) -> None:
        self.project = project
        self.chance = random.Random(seed)
        self.states: list[State] = []
        self.lost: set[frozenset[tuple[int, str]]] = set()
        self.kept = 0
        self.log: list[str] = []

    @property
    def now(self) -> State:
        return self.states[-1]

    def step(self) -> None:
        doing = self.chance.choices(
            [self.publish, self.rollback, self.optimize, self.erase, self.vacuum], [8, 3, 2, 1, 2]
        )[0]
        if not self.states:
            doing = self.publish
        self.log.append(doing.__name__)
        before = len(self.states)
        doing()
        self.follow(before)

    def follow(self, before: int) -> None:
        """Commits of which the model knows nothing change nothing for readers."""
        version = snapshot(self.project, "raw/orders").version
        while len(self.states) <= version:
            self.states.append(self.now)
        assert len(self.states) >= before

    def publish(self) -> None:
        keys = self.chance.sample(KEYS, self.chance.randint(1, len(KEYS)))
        made = {key: self._rows() for key in keys}
        parts = {key: self._sql(rows) for key, rows in made.items()}
        published = self.project.land_all("raw/orders", parts)
        self.lost -= set(made.values())
        if published.changed:
            self.states.append({**(self.now if self.states else {}), **made})

    def rollback(self) -> None:
        to = self.chance.randrange(len(self.states))
        then = self.states[to]
        keys = self.chance.sample(sorted(then), 1) if self.chance.random() < 0.5 else []
        lake = self.project.workbench.lake
        # Only what is current, past the retention or erased may be refused.
        wanted = {then[key] for key in keys or then}
        if to == len(self.states) - 1 or to < self.kept or wanted & self.lost:
            refused = contextlib.suppress(PermanentError)
        else:
            refused = contextlib.nullcontext()
        planned = None
        with refused:
            planned = plan_rollback(lake, key_of("raw/orders"), to, keys)
        if planned is None:
            return
        if planned.files:
            roll_back(lake, planned, "model")
            restored = {key: then[key] for key in keys} if keys else then
            self.states.append({**self.now, **restored} if keys else dict(restored))

    def optimize(self) -> None:
        versions = {key: data_version(self.project, "raw/orders", key) for key in self.now}
        optimize(self.project, "raw/orders")
        assert versions == {key: data_version(self.project, "raw/orders", key) for key in self.now}

    def erase(self) -> None:
        name = self.chance.choice(PEOPLE)
        erase(self.project, f"name = '{name}'", "raw/orders")
        for state in self.states:
            self.lost |= {rows for rows in state.values() if any(n == name for _, n in rows)}
        left = {
            key: frozenset(row for row in rows if row[1] != name) for key, rows in self.now.items()
        }
        if left != self.now:
            self.states.append(left)
        self.lost -= set(left.values())

    def vacuum(self) -> None:
        kept = self.chance.randint(max(self.kept, len(self.states) - 4), len(self.states) - 1)
        now, lake = later(), self.project.workbench.lake
        retention = retention_from(self.project, "raw/orders", kept, now)
        table = self.project.table("raw/orders")
        there = set(data_files(table))
        planned = plan_vacuum(lake, key_of("raw/orders"), retention, now, Keep())
        assert planned is not None
        assert planned.kept_from >= kept
        assert set(data_files(table)) == there
        if self.chance.random() < 0.7:
            done = vacuum(lake, planned, retention, now, Keep(), "model")
            assert set(data_files(table)) == there - set(done.files)
            self.kept = kept

    def check(self) -> None:
        history = history_of(self.project.workbench.lake, key_of("raw/orders"))
        lines = {line.version: line for line in history.lines}
        for version, state in enumerate(self.states):
            readable = not set(state.values()) & self.lost
            if version >= self.kept and readable:
                assert lines[version].readable, (version, self.log)
            if version in lines and lines[version].readable:
                expected = sorted(row for rows in state.values() for row in rows)
                found = read(self.project, "raw/orders", version)
                seen = sorted((row["id"], row["name"]) for row in found)
                assert seen == expected, (version, self.log)

    def _rows(self) -> frozenset[tuple[int, str]]:
        return frozenset(
            (self.chance.randint(0, 9), self.chance.choice(PEOPLE))
            for _ in range(self.chance.randint(0, 4))
        )

    @staticmethod
    def _sql(rows: frozenset[tuple[int, str]]) -> str:
        values = ", ".join(f"({n}, '{name}')" for n, name in sorted(rows)) or "(0, '')"
        tail = "" if rows else " WHERE FALSE"
        return f"SELECT * FROM (VALUES {values}) t(id, name){tail}"


def histories(project: Project, seed: int, steps: int) -> None:
    project.declare("staging: {}\n", daily=True)
    model = Model(project, seed)
    for _ in range(steps):
        model.step()
    model.check()


@pytest.mark.parametrize("seed", range(2))
def test_every_version_within_the_retention_reads_as_it_was(project: Project, seed: int) -> None:
    histories(project, seed, 12)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100, 160))
def test_every_version_of_long_histories_reads_as_it_was(project: Project, seed: int) -> None:
    histories(project, seed, 40)


@pytest.mark.parametrize("seed", range(2))
def test_batches_read_the_same_whatever_became_of_their_files(project: Project, seed: int) -> None:
    chance = random.Random(seed)
    known: list[tuple[list[dict[str, object]], str, object]] = []

    def note() -> None:
        held = snapshot(project, EVENTS)
        assert held.batches is not None
        while len(known) <= held.version:
            version = held.partitions[""].data_version
            known.append((project.rows(EVENTS), version, held.batches.position))

    for number in range(10):
        rows = ", ".join(
            f"({chance.randint(0, 3)}, {chance.choice([number, number - 2, 'NULL'])}, '{number}')"
            for _ in range(chance.randint(1, 3))
        )
        sql = f'SELECT id::INT AS id, "at"::INT AS "at", v FROM (VALUES {rows}) t(id, "at", v)'
        add_batch(project, sql, {"watermark": number})
        note()
        before = known[-1]
        if chance.random() < 0.4:
            optimize(project, EVENTS)
            note()
            assert known[-1] == before
        if chance.random() < 0.3:
            to = chance.randrange(len(known))
            if to != len(known) - 1:
                lake = project.workbench.lake
                planned = plan_rollback(lake, key_of(EVENTS), to)
                if planned.files:
                    roll_back(lake, planned, "model")
                    note()
                    assert known[-1] == known[to]
    for version, (rows_then, _, _) in enumerate(known):
        assert read(project, EVENTS, version) == rows_then
