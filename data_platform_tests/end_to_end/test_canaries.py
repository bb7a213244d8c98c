"""No value of a person leaves raw and the staging that is told to hold it.

Canaries are planted in personal columns of rows that are sound, held back, refused by a rule, and
that make SQL, a step and a rule in Python raise with them. Then every store is searched: Dagster's
database, compute logs, the lake below staging, the warehouse, what was printed, and scratch.
"""

import logging
import os
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import duckdb
import psycopg2
import pytest
from dagster_steps import assets_of
from factories import PLATFORM, Project

from data_platform.plan.nodes import StagingNode
from data_platform.resources import LAKE, LakeResource, platform_resources
from data_platform.settings import Settings

KEY = "kept by the canaries alone"
ROWS = 50
MAILS = [f"canary.{n:02}.zq@example.org" for n in range(ROWS)]
PHONES = [f"4917055{n:02}8181" for n in range(ROWS)]
NAMES = [f"Kanari Vogelsang{n:02}" for n in range(ROWS)]
CANARIES = [*MAILS, *PHONES, *NAMES]
PIPELINE = """
sources:
  people:
    type: file
    path: people.parquet
    settle: 0s
    partitions: none
    columns: {mail: {pii: true}, phone: {pii: true}, name: {pii: true}}
    quality:
      - unique: {columns: [mail], on_violation: warn}
  given:
    type: python
    function: own:give
    partitions: none
    columns: {mail: {pii: true}}
    retries: {attempts: 0}
  typed:
    type: file
    path: typed.csv
    settle: 0s
    partitions: none
    columns: {phone: {type: date, pii: true}}
    retries: {attempts: 0}
staging:
  people:
    from: raw.people
    transformations:
      - rename_columns: {mail: email}
      - mask: {email: hash, phone: partial}
      - drop_columns: [name]
    quality:
      - not_null: [id]
      - accepted_values: {column: city, values: [Rome], on_violation: warn}
      - foreign_key: {column: email, references: raw.people.mail, on_violation: warn}
    on_violation: quarantine
  open:
    from: raw.people
    transformations:
      - add_columns: {domain: "split_part(mail, '@', 2)"}
    quality:
      - unique: {columns: [domain], on_violation: warn, name: one_a_domain}
      - unique: {columns: [city], on_violation: warn, name: one_a_city}
      - accepted_values: {column: mail, values: [nobody], on_violation: warn}
      - expression: {condition: length(name) < 3, on_violation: warn}
      - reconcile:
          with: raw.people
          expression: max(mail)
          with_expression: min(mail)
          on_violation: warn
      - sql: {sql: "select max(mail) from {table}", expected_result: nobody, on_violation: warn}
      - python: {function: 'own:judge', on_violation: warn}
      - python: {function: 'own:trip', on_violation: warn}
  converting:
    from: raw.people
    transformations:
      - add_columns: {number: cast(mail as integer)}
  stepping:
    from: raw.people
    transformations:
      - python: {function: 'own:step'}
  sharing:
    from: raw.people
    transformations:
      - python: {function: 'own:step', chunk_size: 10, num_workers: 1}
  keeping:
    from: raw.people
    transformations:
      - python: {function: 'own:mixed'}
analytics:
  tokens:
    query: select email, phone, count(*) as n from staging.people group by all
  counts:
    query: select city, count(distinct mail) as people from staging.open group by city
  choosing:
    query: select count(*) as n from staging.open where cast(mail as integer) > 1
destinations:
  out: {from: analytics.tokens, type: database, connection: warehouse, table: tokens}
"""
FUNCTIONS = """
def give():
    raise ValueError("".join(reversed("BACKWARDS")))

def step(rows):
    raise ValueError(f"no good: {rows.mail.iloc[3]} of {rows.name.iloc[3]}")

def mixed(rows):
    rows = rows.astype(object)
    rows["mail"] = [m if n % 2 else n for n, m in enumerate(rows.mail)]
    return rows

def judge(rows):
    return {rows.mail.iloc[5]: {"passed": False, "detail": f"{rows.phone.iloc[5]} is no number"}}

def trip(rows):
    raise KeyError(rows.name.iloc[7])
"""


@pytest.fixture
def planted(
    project: Project, settings: Settings, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Project:
    """The pipeline with its canaries."""
    monkeypatch.setenv("MASKING_KEY", KEY)
    monkeypatch.setenv("WAREHOUSE", postgres_url)
    monkeypatch.setattr("data_platform.resources.load_settings", lambda: settings)
    platform = PLATFORM.replace(
        "pools:", "  warehouse: {type: database, url: '${WAREHOUSE}'}\npools:"
    )
    project.platform(f"{platform}masking:\n  key: ${{MASKING_KEY}}\n")
    project.declare(PIPELINE)
    # A log shows lines of code: what stands in one isn't data.
    functions = FUNCTIONS.replace("BACKWARDS", f"{MAILS[1]} of {NAMES[1]}"[::-1])
    (project.pipelines / "shop" / "own.py").write_text(functions)
    with duckdb.connect() as connection:
        rows = ", ".join(
            f"({'NULL' if n % 5 == 0 else n}, '{MAILS[n]}', {PHONES[n]}, '{NAMES[n]}', "
            f"'{'Rome' if n % 2 else 'Bari'}')"
            for n in range(ROWS)
        )
        connection.sql(
            f"SELECT * FROM (VALUES {rows}) t(id, mail, phone, name, city)"
        ).write_parquet(f"{project.folder}/people.parquet")
    (project.folder / "typed.csv").write_text("phone\n2024-01-01\n" + "\n".join(PHONES) + "\n")
    return project


def run_all(project: Project, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Everything in one run; what fails doesn't end it."""
    plan = project.build().plan
    resources = dict(platform_resources(project.workspace().platform))
    resources[LAKE] = LakeResource(root=project.workbench.lake.root, masking_key="${MASKING_KEY}")
    names = [f"{node.key.layer}/{node.key.name}" for node in plan.nodes]
    assert any(isinstance(node, StagingNode) for node in plan.nodes)
    return dg.materialize(
        assets_of(project, *names), instance=instance, resources=resources, raise_on_error=False
    )


def test_no_canary_leaves_the_places_that_may_hold_it(
    planted: Project,
    instance: dg.DagsterInstance,
    settings: Settings,
    dagster_url: str,
    postgres_url: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with logging_to_stderr():
        result = run_all(planted, instance)
    failed = {event.step_key for event in result.all_events if event.is_step_failure}
    lake = Path(planted.workbench.lake.root)
    # The control: what may hold them does, found by the same search.
    assert found_in(tables_below(lake / "raw" / "shop" / "people")) == set(CANARIES)
    assert set(MAILS) <= found_in(tables_below(lake / "staging" / "shop" / "open"))
    assert {step.rpartition("__")[2] for step in failed if step} == {
        "given",
        "typed",
        "converting",
        "stepping",
        "sharing",
        "keeping",
        "choosing",
    }
    assert planted.rows("quarantine/people")
    told = "".join(database(dagster_url))
    assert "\\u2022" in told or "•••" in told
    printed = capfd.readouterr()
    assert "KeyError" in "".join([*files_below(settings.data_dir), printed.err])
    stores: dict[str, Iterator[str]] = {
        "dagster": database(dagster_url),
        "warehouse": database(postgres_url),
        "printed": iter([printed.out, printed.err]),
        "logs": files_below(settings.data_dir),
        "scratch": files_below(planted.workbench.lake.scratch_root),
        "masked": tables_below(lake / "staging" / "shop" / "people"),
        "analytics": tables_below(lake / "analytics"),
        # Files that can't be read are kept whole beside it, as they came.
        "quarantine": tables_below(lake / "quarantine" / "shop"),
    }
    found = {name: sorted(found_in(texts)) for name, texts in stores.items()}
    assert found == {name: [] for name in stores}


@contextmanager
def logging_to_stderr() -> Generator[None]:
    """Log as a step's own process does: what it writes there is its compute log."""

    class ToStderr(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            os.write(2, self.format(record).encode())

    handler = ToStderr()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def found_in(texts: Iterator[str]) -> set[str]:
    """The canaries in texts, also in parts of them and in hexadecimal."""
    found: set[str] = set()
    for text in texts:
        found |= {c for c in CANARIES if c in text or c.encode().hex() in text.lower()}
    return found


def tables_below(folder: Path) -> Iterator[str]:
    """The rows of all Parquet files, and everything else as it is."""
    assert folder.exists()
    with duckdb.connect() as connection:
        for path in sorted(folder.rglob("*")):
            if path.suffix == ".parquet":
                rows = connection.execute(f"SELECT * FROM read_parquet('{path}')").fetchall()
                yield str(rows)
            elif path.is_file():
                yield text_of(path.read_bytes())


def files_below(folder: Path) -> Iterator[str]:
    """Everything that a folder holds."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield text_of(path.read_bytes())


def text_of(content: bytes) -> str:
    """Bytes as text, unpacked where they are packed."""
    for unpacked in (zlib.decompress, lambda packed: packed):
        try:
            return unpacked(content).decode("utf-8", "replace")
        except zlib.error:
            continue
    return ""


def database(url: str) -> Iterator[str]:
    """All rows of all tables, bytes unpacked."""
    tables = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = %s"
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(tables, ("BASE TABLE",))
            for schema, name in cursor.fetchall():
                if schema in {"pg_catalog", "information_schema"}:
                    continue
                cursor.execute(f'SELECT * FROM "{schema}"."{name}"')
                for row in cursor.fetchall():
                    yield " ".join(
                        text_of(bytes(value)) if isinstance(value, memoryview) else str(value)
                        for value in row
                    )
    finally:
        connection.close()
