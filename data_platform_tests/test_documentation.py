"""What README.md and docs say is run: files are written, commands give what is printed, YAML plans.

A page is a sequence of fenced blocks. In pages that are run (`RUN`) a block after a line that ends
with a path in backticks is that file, one after "Append to" is its end, and `console` blocks hold
commands with what they print: numbers may differ, `...` stands for any lines. In the reference each
YAML and SQL block must plan without problems over the orders that its examples are about, and unit
tests of pipelines must pass.
"""

import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from dagster_dev import PLAIN_PYTEST
from factories import DAY, Project
from forked_command import run_command
from kafka_cluster import KafkaCluster
from misbehaving_server import Asked, Reply, misbehaving
from object_storage import ACCESS_KEY, SECRET_KEY, Bucket, server_url

from data_platform.plan.building import build_plan
from data_platform.plan.nodes import RawNode
from data_platform.plan.schemas import Column, Schema
from data_platform.spec.pipeline import Pipeline
from data_platform.spec.platform import Platform
from data_platform.spec.reading import read_workspace
from data_platform.spec.reading_tests import read_tests
from data_platform.spec.rules import AnyRule
from data_platform.spec.tests import UnitTests
from data_platform.spec.transformations import AnyTransformation
from data_platform.spec.yaml_tree import parse_tree
from data_platform.unit_tests.planning import Planner
from data_platform.unit_tests.running import run_test

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
RUN = ["README.md", "docs/tutorial.md", "docs/python-assets.md"]
PLANNED = sorted(
    str(page.relative_to(ROOT)) for page in PAGES if str(page.relative_to(ROOT)) not in RUN
)
SHOWN_ONLY = re.compile(
    r"^(git|source|make|dagster|pip|psql|df|du|ls|kill|chmod|tail) |^make$|^dagster dev$"
)
"""Commands of `bash` blocks that the tests don't run."""
CLONE = "data-platform"
"""The folder in which a reader begins, as `git clone` makes it."""

_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"`(?P<path>[\w./-]+\.\w+)`[^`\n]*:$")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_COLUMNS = {
    "orders": {
        "order_id": "BIGINT", "ordered_at": "TIMESTAMP", "customer": "VARCHAR",
        "country": "VARCHAR",
        "quantity": "BIGINT", "amount": "DOUBLE", "discount": "DOUBLE", "note": "VARCHAR",
    },
    "shops": {"country": "VARCHAR", "shop_id": "BIGINT", "city": "VARCHAR"},
}  # fmt: skip
_SCAFFOLD = """
version: 1
pipeline: sales
owner: team:sales
sources:
  orders: {type: database, connection: shop, table: orders, cursor: ordered_at}
  shops: {type: file, settle: 0s, path: shops.parquet, partitions: none}
staging:
  orders: {from: raw.orders}
  shops:
    from: raw.shops
    columns: {country: {unique: true}, shop_id: {}, city: {}}
analytics:
  revenue: {query: "SELECT COUNT(*) AS orders FROM staging.orders"}
"""
_PLATFORM = """
connections:
  shop: {type: database, url: postgresql://nowhere}
  warehouse: {type: database, url: postgresql://nowhere}
  local: {type: database, url: "duckdb:///local.duckdb"}
  redshift: {type: database, url: redshift://nowhere}
  exports: {type: s3}
  backup: {type: s3}
  events: {type: kafka, bootstrap_servers: nowhere}
pools:
  database: 8
masking:
  key: ${MASKING_KEY}
external_assets:
  crm/people: {}
"""
_TESTED = """
staging:
  orders:
    from: raw.orders
    columns:
      order_id: {type: bigint}
      country: {type: varchar}
      amount: {type: "decimal(12,2)", min: 0}
    on_violation: quarantine
analytics:
  week:
    query: SELECT SUM(amount) AS revenue FROM staging.orders
    inputs:
      staging.orders: {last: 7}
"""
_PARTITIONS = {"every": "day", "start": "2024-01-01"}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and further words, its text, and the line of text before it."""

    page: str
    line: int
    words: tuple[str, ...]
    text: str
    before: str

    @property
    def language(self) -> str:
        return self.words[0] if self.words else ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str) -> Iterator[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        head = text[: match.start()].rstrip()
        paragraph = head.rpartition("\n\n")[2].replace("\n", " ")
        line = text.count("\n", 0, match.start()) + 1
        yield Block(page, line, tuple(match["info"].split()), match["text"], paragraph)


def blocks(language: str, pages: list[str]) -> list[Block]:
    return [block for page in pages for block in blocks_of(page) if block.language == language]


# Pages that are run ---------------------------------------------------------------------------


class Reader:
    """Does what a page says, in a folder of its own."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._folder = folder
        self._environ = environ

    def follow(self, block: Block) -> None:
        file = _FILE.search(block.before) or re.search(r"`(?P<path>[\w./-]+\.yaml)`", block.before)
        match block.language:
            case "console":
                self._console(block)
            case "bash":
                for line in block.text.splitlines():
                    self._shell(block, line)
            case "csv" | "sql" | "yaml" | "python" if file:
                path = self._folder / file["path"]
                path.parent.mkdir(parents=True, exist_ok=True)
                appended = path.read_text() + "\n" if block.before.startswith("Append to") else ""
                path.write_text(appended + block.text)
            case "mermaid":
                pass
            case other:
                pytest.fail(f"{block}: a block of {other or 'no language'} that nobody follows")

    def _shell(self, block: Block, line: str) -> None:
        line = line.partition("  #")[0].strip()
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            self._environ[name] = value
        elif line.startswith("cd "):
            self._enter(line.removeprefix("cd "))
        elif not SHOWN_ONLY.match(line):
            code, output = self._execute(shlex.split(line))
            assert code == 0, f"{block}: {line}\n{output}"

    def _enter(self, folder: str) -> None:
        if folder != CLONE:
            self._folder = (self._folder / folder).resolve(strict=True)

    def _console(self, block: Block) -> None:
        codes: list[int] = []
        for command, printed in _commands(block.text):
            if command.startswith(("export ", "cd ")):
                self._shell(block, command)
                continue
            code, output = self._execute(shlex.split(command))
            codes.append(code)
            _compare(f"{block}: $ {command}", printed, output)
        assert any(codes) == ("fails" in block.words), f"{block}: exit codes {codes}"

    def _execute(self, arguments: list[str]) -> tuple[int, str]:
        if arguments[0] == "pytest":
            arguments = [sys.executable, "-m", *arguments, "-p", "no:cacheprovider"]
        if arguments[0] in {"data-platform", "python"}:
            done = run_command(arguments, self._folder, self._environ)
        else:
            done = subprocess.run(
                arguments, cwd=self._folder, env=self._environ, text=True, timeout=120,
                check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        return done.returncode, done.stdout


def _commands(text: str) -> Iterator[tuple[str, list[str]]]:
    command, printed = "", []
    for line in text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, printed
            command, printed = line[2:], []
        else:
            printed.append(line)
    if command:
        yield command, printed


def _compare(what: str, printed: list[str], output: str) -> None:
    """Each printed line comes in its order; without `...` between them, one after the other."""
    found = [shape for line in output.splitlines() if (shape := _shape(line))]
    position, gap = 0, False
    for line in printed:
        if line.strip() == "...":
            gap = True
            continue
        if not (wanted := _shape(line)):
            continue
        rest = found[position:]
        place = next((n for n, shape in enumerate(rest) if shape == wanted), None)
        assert place is not None, f"{what}: no line {line!r} in\n{output}"
        assert gap or place == 0, f"{what}: {line!r} comes later, after {rest[0]!r}, in\n{output}"
        position, gap = position + place + 1, False
    assert gap or position == len(found) or not printed, f"{what}: more comes: {found[position:]}"


def _shape(line: str) -> str:
    """A line without what differs from run to run: ids, rates, seconds, padding."""
    line = re.sub(r"\b[0-9a-f]{8}(?=\s)", "<id>", line)
    line = re.sub(r"\s[\d,]+/s\b", "", line)
    line = re.sub(r"\b\d+\.\d s\b|\b\d+\.\d+s\b|\b\d+ ms\b", "<seconds>", line)
    return " ".join(line.split())


@pytest.fixture
def outside() -> Iterator[dict[str, str]]:
    """Systems that a page connects to: an API, a bucket, a cluster of Kafka."""

    def rates(asked: Asked) -> Reply:
        known = asked.path == "/rates" and asked.headers.get("x-key") == "a key"
        return Reply([{"currency": "USD", "rate": 1.08}] if known else {}, 200 if known else 401)

    bucket, cluster = Bucket(), KafkaCluster()
    bucket.put("prices/2024-03-01.csv", "article,price\n7,2.40\n")
    bucket.put("prices/2024-03-02.csv", "article,price\n7,2.50\n")
    with misbehaving(rates) as bank:
        yield {
            "BANK_URL": bank.url,
            "BANK_KEY": "a key",
            "EXPORTS_BUCKET": bucket.name,
            "AWS_ENDPOINT_URL": server_url(),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "EVENTS_SERVERS": cluster.servers,
        }


@pytest.mark.parametrize("page", RUN)
def test_a_page_that_is_followed_step_by_step_gives_what_it_prints(
    page: str, tmp_path: Path, dagster_url: str, postgres_url: str, outside: dict[str, str]
) -> None:
    # Without compiled bytecode every command takes twice as long.
    unwanted = {"FORCE_COLOR", "PYTHONDONTWRITEBYTECODE"}
    environ = {name: value for name, value in os.environ.items() if name not in unwanted}
    begin = tmp_path / CLONE
    begin.mkdir()
    reader = Reader(
        begin,
        {
            **environ,
            "PYTEST_ADDOPTS": PLAIN_PYTEST,
            "DATA_PLATFORM_STORAGE_URL": dagster_url,
            "WAREHOUSE_URL": postgres_url,
            **outside,
            "PYTHONPATH": str(ROOT),
        },
    )
    for block in blocks_of(page):
        reader.follow(block)


# The reference --------------------------------------------------------------------------------


def completed(text: str) -> tuple[str, str]:
    """A fragment as a whole pipeline, and platform.yaml."""
    whole = f"fragment:\n{textwrap.indent(text, '  ')}"
    written = parse_tree(whole, Path("fragment")).root.value["fragment"]
    scaffold = yaml.safe_load(_SCAFFOLD)
    if isinstance(written, list):
        kinds = {next(iter(entry)) for entry in written}
        section = "transformations" if kinds <= _kinds(AnyTransformation) else "quality"
        assert section == "transformations" or kinds <= _kinds(AnyRule), kinds
        scaffold["staging"]["orders"][section] = written
    elif written.keys() <= Platform.model_fields.keys():
        platform = yaml.safe_load(_PLATFORM)
        for name, value in written.items():
            platform[name] = {**platform.get(name, {}), **value}
        return _dumped(scaffold), _dumped(platform)
    elif written.keys() <= Pipeline.model_fields.keys():
        for name, value in written.items():
            known = scaffold.get(name)
            scaffold[name] = {**known, **value} if isinstance(known, dict) else value
    else:
        scaffold["analytics"]["revenue"].update(written)
    scaffold.setdefault("partitions", _PARTITIONS)
    return _dumped(scaffold), _PLATFORM


def _kinds(union: object) -> set[str]:
    return {member.model_fields["kind"].annotation.__args__[0] for member in union.__args__}  # type: ignore[attr-defined]


def _dumped(value: object) -> str:
    return str(yaml.safe_dump(value, sort_keys=False))


def problems(folder: Path, pipeline: str, platform: str) -> list[str]:
    (folder / "pipelines" / "sales").mkdir(parents=True)
    (folder / "pipelines" / "platform.yaml").write_text(platform)
    (folder / "pipelines" / "sales" / "pipeline.yaml").write_text(pipeline)
    for name, code in _modules().items():
        (folder / "pipelines" / "sales" / name).write_text(code)
    workspace = read_workspace([folder / "pipelines"], {}, folder)
    built = build_plan(workspace, _known_columns)
    return [problem.message for problem in (*workspace.problems, *built.problems)]


def _modules() -> dict[str, str]:
    """The Python of the reference, by the names of its files."""
    found: dict[str, str] = {}
    for block in blocks("python", ["docs/pipeline-language.md"]):
        if file := _FILE.search(block.before):
            found[file["path"]] = block.text
    return found


def _known_columns(node: RawNode) -> Schema | None:
    columns = _COLUMNS.get(node.key.name)
    if columns is None:
        return None
    return Schema(tuple(Column(name, kind) for name, kind in columns.items()), closed=True)


def yaml_blocks(*, tests: bool) -> list[Block]:
    """Blocks of the reference: fragments of `tests.yaml`, or of the other files."""
    return [b for b in blocks("yaml", PLANNED) if ("tests" in yaml.safe_load(b.text)) == tests]


@pytest.mark.parametrize("block", yaml_blocks(tests=True), ids=str)
def test_unit_tests_of_the_reference_pass(block: Block, project: Project) -> None:
    path = project.declare(_TESTED, daily=True).with_name("tests.yaml")
    path.write_text(block.text)
    file = read_tests(path, {})
    planner = Planner(file, project.build().plan)
    assert planner.problems() == ()
    for number in range(len(file.spec.tests) if file.spec else 0):
        ran = run_test(planner.planned(number), lambda *_: pytest.fail("no function"))
        assert ran.judgement.passed, ran.judgement


@pytest.mark.parametrize("block", yaml_blocks(tests=False), ids=str)
def test_yaml_of_the_reference_plans(block: Block, tmp_path: Path) -> None:
    assert problems(tmp_path, *completed(block.text)) == []


@pytest.mark.parametrize("block", blocks("sql", PLANNED), ids=str)
def test_sql_of_the_reference_plans(block: Block, tmp_path: Path) -> None:
    pipeline, platform = completed(yaml.safe_dump({"query": block.text}))
    assert problems(tmp_path, pipeline, platform) == []


def test_functions_of_the_reference_run(project: Project) -> None:
    reference = ["docs/pipeline-language.md"]
    (block,) = [block for block in blocks("yaml", reference) if "rates:in_cents" in block.text]
    folder = project.declare(block.text, daily=True).parent
    for name, code in _modules().items():
        (folder / name).write_text(code)
    assert not project.land_source("rates", DAY).failed
    for name in ("rates", "sound_rates"):
        assert not project.compute(f"staging/{name}", DAY).failed
    assert project.column("staging/rates", "cents") == [94, 1120]
    assert project.column("staging/sound_rates", "rate") == [0.94, 11.2]


def test_the_reference_names_every_key_of_the_language() -> None:
    text = (ROOT / "docs/pipeline-language.md").read_text(encoding="utf-8")
    quoted = " ".join(re.findall(r"`([^`\n]+)`", _FENCE.sub("", text)))
    named = set(re.findall(r"\w+", quoted))
    missing = sorted((_keys(Pipeline) | _keys(Platform) | _keys(UnitTests)) - named)
    assert missing == []


def _keys(model: type) -> set[str]:
    from data_platform.spec import json_schema

    schemas = {
        Pipeline: json_schema.pipeline_schema,
        Platform: json_schema.platform_schema,
        UnitTests: json_schema.tests_schema,
    }
    schema = schemas[model]()
    found: set[str] = set()

    def collect(part: object) -> None:
        if isinstance(part, dict):
            properties = part.get("properties")
            if isinstance(properties, dict):
                found.update(properties)
            for below in part.values():
                collect(below)
        elif isinstance(part, list):
            for below in part:
                collect(below)

    collect(schema)
    return found


# Commands and links ---------------------------------------------------------------------------


def test_commands_that_pages_name_exist() -> None:
    from data_platform.cli import main

    unknown = [
        f"{page.name}: data-platform {words}"
        for page in PAGES
        for words in re.findall(r"data-platform ([a-z]+)", page.read_text(encoding="utf-8"))
        if words not in main.commands
    ]
    assert unknown == []


def test_options_that_pages_name_exist() -> None:
    from data_platform.cli import main

    for page in PAGES:
        for line in re.findall(r"data-platform [^\n`]+", page.read_text(encoding="utf-8")):
            words = line.partition(" #")[0].split()
            command = main.commands.get(words[1])
            command = (
                getattr(command, "commands", {}).get(words[2], command) if words[2:] else command
            )
            known = {name for option in getattr(command, "params", ()) for name in option.opts}
            given = {word.partition("=")[0].rstrip(".,;:)") for word in words if word[:2] == "--"}
            assert given <= known | {"--help", "--version"}, f"{page.name}: {line}"


def test_make_targets_that_pages_name_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named: set[str] = set()
    for page in PAGES:
        prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
        named |= set(re.findall(r"`make ([a-z-]+)", prose))
    for block in blocks("bash", [str(page.relative_to(ROOT)) for page in PAGES]):
        named |= set(re.findall(r"^make ([a-z-]+)", block.text, re.MULTILINE))
    assert named <= targets


def test_links_between_pages_resolve() -> None:
    broken = []
    for page in PAGES:
        text = _FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in _LINK.findall(text):
            if target.startswith(("http://", "https://")):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists() or (anchor and anchor not in _anchors(file)):
                broken.append(f"{page.name}: {target}")
    assert broken == []


def _anchors(page: Path) -> set[str]:
    """Headings as GitHub turns them into anchors."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


# Coverage -------------------------------------------------------------------------------------


def test_coverage_has_a_row_for_each_requirement_in_order() -> None:
    text = (ROOT / "docs/coverage.md").read_text(encoding="utf-8")
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    assert numbers == [number for number in range(1, 152) if number not in {48, 49, 50}]


def test_coverage_names_tests_and_modules_that_exist() -> None:
    text = (ROOT / "docs/coverage.md").read_text(encoding="utf-8")
    sources = [
        file.read_text(encoding="utf-8") for file in Path(__file__).parent.rglob("test_*.py")
    ]
    tests = {name for source in sources for name in re.findall(r"def (test_\w+)", source)}
    assert set(re.findall(r"\b(test_\w+)", text)) <= tests
    paths = set(re.findall(r"`([\w/]+\.py)`", text))
    missing = [
        p for p in paths if not (ROOT / "data_platform" / p).exists() and not (ROOT / p).exists()
    ]
    assert missing == []
