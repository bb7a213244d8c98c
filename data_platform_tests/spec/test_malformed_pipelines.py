"""Every mistake gives one message, at the place that `§` marks, and hides no other pipeline."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.errors import ConfigurationError
from data_platform.spec.reading import BrokenPipeline, Workspace, read_workspace

HEADER = "version: 1\npipeline: shop\nowner: team:shop\n"
GOOD = "version: 1\npipeline: good\nowner: team:good\n"
SOURCE = """sources:
  sales:
    type: database
    connection: shop
    table: sales
"""
STAGING = """staging:
  sales:
    from: raw.sales
"""


def asset(line: str) -> str:
    """A staging asset with one more line."""
    return f"{STAGING}    {line}\n"


def rule(line: str) -> str:
    return f"{STAGING}    quality:\n      - {line}\n"


def step(line: str) -> str:
    return f"{STAGING}    transformations:\n      - {line}\n"


BODIES = {
    # keys
    "unknown key": (
        "§ownr: x\n",
        r"unknown key 'ownr'; did you mean 'owner'\? Allowed here: .*own",
    ),
    "unknown key, nothing near": ("§zzz: x\n", "unknown key 'zzz'; allowed here: analytics, "),
    "incomplete mapping of the header": ("§notify: {}\n", "'to' is missing"),
    "unknown key of a source": (SOURCE + "    §tabel: x\n", "'tabel'; did you mean 'table'"),
    "unknown key of staging": (asset("§colums: {}"), "'colums'; did you mean 'columns'"),
    "misspelled required key": (
        "staging:\n  sales:\n    §form: raw.sales\n",
        "unknown key 'form'; did you mean 'from'",
    ),
    "unknown key of a column": (
        asset("columns: {id: {type: bigint, §pi: true}}"),
        "unknown key 'pi'; did you mean 'pii'",
    ),
    "unknown key of a rule": (
        rule("unique: {columns: [id], §max_duplicate: 1}"),
        "'max_duplicate'; did you mean 'max_duplicates'",
    ),
    "unknown key of a transformation": (
        step("join: {with: raw.shops, on: [id], §hwo: left}"),
        "unknown key 'hwo'; did you mean 'how'",
    ),
    "unknown key of partitions": (
        "partitions: {every: day, start: 2017-01-01, §ende: 2018-01-01}\n",
        "unknown key 'ende'; did you mean 'end'",
    ),
    "unknown key of freshness": (
        asset("freshness: {fail_after: 2h, §warn: 1h}"),
        "unknown key 'warn'; did you mean 'warn_after'",
    ),
    "unknown key with a bracket": ("§concat(a: 1\n", r"unknown key 'concat\(a'; quote the expr"),
    "the key kind": (rule("§unique: {columns: [id], kind: range}"), "unique: unknown key 'kind'"),
    "duplicate key": (SOURCE + "§sources: {}\n", "duplicate key 'sources': .* lines 4 and 9"),
    "duplicate key deep below": (
        asset("columns: {id: {}, §id: {}}"),
        "duplicate key 'id': it stands in lines 7 and 7",
    ),
    "number as a key": (asset("columns: {§1: {}}"), "a key is a text; found 1: put it in quotes"),
    "word as a key": (asset("columns: {§true: {}}"), "a key is a text; found true"),
    "mapping as a key": (asset("columns: {§{ x }: 1}"), "a key is a text; found a mapping"),
    "nothing as a key": ("? §~\n: 1\n", "a key is a text; found nothing"),
    # missing
    "missing from": ("staging:\n  §sales: {}\n", "'from' is missing"),
    "missing connection": (
        "sources:\n  §sales: {type: database, table: sales}\n",
        "'connection' is missing",
    ),
    "missing type": (
        "sources:\n  §sales: {path: x}\n",
        "'type' is missing; there are: api, database",
    ),
    "missing start": ("§partitions: {every: day}\n", "`every` needs `start`"),
    "missing columns of a rule": (rule("§unique: {scope: asset}"), "'columns' is missing"),
    # forms
    "null where a mapping belongs": ("§sources:\n", r"expected a mapping \(.*\), found nothing"),
    "null where an asset belongs": ("staging:\n  §sales:\n", "expected a mapping .* found nothing"),
    "list where a mapping belongs": ("§staging: [a]\n", "expected a mapping .* found a list"),
    "text where a mapping belongs": (
        asset("columns: {§id: bigint}"),
        "expected a mapping .* found 'bigint'",
    ),
    "mapping where a list belongs": (
        asset("§quality: {unique: [id]}"),
        "expected a list .* found a mapping",
    ),
    "number where names belong": (rule("§unique: 3"), "expected a list of names, found 3"),
    "number among names": (rule("unique: [id, §3]"), "expected a text, found 3: put it in quotes"),
    "null where names belong": (rule("§not_null:"), "expected a list of names, found nothing"),
    "no names": (rule("§not_null: []"), "needs at least one entry"),
    "number as a text": ("§description: 3\n", "expected a text, found 3: put it in quotes"),
    "text as a number": (
        asset("retries: {§attempts: many}"),
        "expected a whole number, found 'many'",
    ),
    "quoted number": (asset("retries: {§attempts: '3'}"), "expected a whole number, found '3'"),
    "fraction of an attempt": (asset("retries: {§attempts: 1.5}"), "whole number, found 1.5"),
    "fewer than no attempts": (asset("retries: {§attempts: -1}"), "expected at least 0, found -1"),
    "percentage above 100": (
        asset("§max_quarantine_percentage: 101"),
        "expected at most 100, found 101",
    ),
    "text as a truth": (
        asset("retries: {§jitter: 'yes'}"),
        "expected true or false, found 'yes'",
    ),
    "yes is a text": (asset("retries: {§jitter: yes}"), "expected true or false, found 'yes'"),
    "infinity is a text": (rule("range: {column: a, §max: [.inf]}"), "date or time .* a list"),
    "null among values": (
        rule("accepted_values: {column: a, values: [x, §null]}"),
        "expected a text, a number, true or false; found nothing",
    ),
    # values
    "name with capitals": ("staging:\n  §Sales: {from: raw.a}\n", "'Sales' is no name: lower-case"),
    "bad owner": (asset("§owner: bob"), "'bob' is no owner: team:<name> or an e-mail address"),
    "bad timezone": (
        "partitions: {every: day, start: 2017-01-01, §timezone: europe/berlin}\n",
        "'europe/berlin' is no time zone: .* did you mean 'Europe/Berlin'",
    ),
    "bad tag": ("tags: {§a b: c}\n", "'a b' can't be a tag: at most 63 of"),
    "bad tag in a list": ("tags: [ok, §a b]\n", "'a b' can't be a tag"),
    "mapping in a list of tags": ("§tags: [{a: b}]\n", "a list of tags holds words; found a map"),
    "list in a list of tags": ("§tags: [[a]]\n", "a list of tags holds words; found a list"),
    "bad duration": (asset("retries: {§delay: 2 hours}"), "'2 hours' is no duration: a number and"),
    "duration without a unit": (asset("retries: {§delay: 30}"), "30 is no duration"),
    "duration too long": (asset("retries: {§delay: 9999999999d}"), "is no duration"),
    "bad cron": ("§schedule: 0 6 * *\n", r"'0 6 \* \*' is no cron expression \(wrong number"),
    "cron that can't be": ("§schedule: 0 0 31 2 *\n", "is no cron expression"),
    "cron out of range": ("schedule: {§cron: 0 99 * * *}\n", r"no cron expression \(bad hour\)"),
    "schedule of a number": (
        "§schedule: 6\n",
        "expected a cron expression, or a mapping .*; found 6",
    ),
    "bad date": ("partitions: {every: day, §start: 2017-02-30}\n", "'2017-02-30' is no date: year"),
    "a year alone": ("partitions: {every: day, §start: 2017}\n", "2017 is no date: year-month-day"),
    "end before start": (
        "§partitions: {every: day, start: 2018-01-01, end: 2017-01-01}\n",
        "`end` must be after `start`",
    ),
    "a month in the middle": (
        "§partitions: {every: month, start: 2017-01-15}\n",
        "`start` is 2017-01-15: months begin on their first day, as 2017-01-01",
    ),
    "no whole weeks": (
        "§partitions: {every: week, start: 2017-01-02, end: 2017-01-10}\n",
        "`end` is 2017-01-10, no whole weeks after `start`: Mondays are",
    ),
    "partitions of nothing": ("§partitions: {}\n", "partitions have `every: hour.day.week.month`"),
    "start without a length": ("§partitions: {start: 2017-01-01}\n", "`every: hour|day|week|mo"),
    "start of values": (
        "§partitions: {by: {shop: {values: [a]}}, start: 2017-01-01}\n",
        "`start` goes with `every`",
    ),
    "dynamic and more": (
        "§partitions: {dynamic: customers, every: day, start: 2017-01-01}\n",
        "`dynamic` partitions are registered as they come; leave the other keys out",
    ),
    "three dimensions": (
        "§partitions: {by: {a: {values: [x]}, b: {values: [x]}, c: {values: [x]}}}\n",
        "there are at most two dimensions, time included",
    ),
    "a value twice": (
        "partitions: {by: {§shop: {values: [a, b, a]}}}\n",
        "the value 'a' is there twice",
    ),
    "a value that parts keys": (
        "partitions: {by: {shop: {values: [a, §b|c]}}}\n",
        "'b|c'",
    ),
    "a dimension that has a meaning": (
        "partitions: {by: {§partition_key: {values: [a]}}}\n",
        "'partition_key' is a name that is taken",
    ),
    "unknown partitions": (
        "§partitions: dayly\n",
        "'dayly' is not allowed; allowed: none, or a map",
    ),
    "unknown length": (
        "partitions: {§every: minute, start: 2017-01-01}\n",
        "'minute' is not allowed; allowed: hour, day, week, month",
    ),
    "unknown automation": (asset("§automation: eagr"), "'eagr' .* did you mean 'eager'"),
    "automation of a list": (asset("§automation: [eager]"), r"expected eager \| .*; found a list"),
    "bad cron of an automation": (asset("automation: {§cron: daily}"), "'daily' is no cron"),
    "unknown word": (asset("§extra_columns: kep"), "'kep' .* did you mean 'keep'"),
    "unknown violation": (
        rule("unique: {columns: a, §on_violation: ignore}"),
        "allowed: fail, warn",
    ),
    "bad reference": ("staging:\n  sales: {§from: sales}\n", "'sales' is no reference: raw.<name>"),
    "bad reference as a key": (
        "analytics:\n  a: {query: x, inputs: {§sales: {last: 7}}}\n",
        "'sales' is no reference",
    ),
    "bad column reference": (
        rule("foreign_key: {column: a, §references: shops.id}"),
        "'shops.id' references no column: <layer>.<name>.<column>",
    ),
    "bad check name": (rule("unique: {columns: a, §name: a b}"), "'a b' can't be a check's name"),
    "bad table": (
        "destinations:\n  a: {from: raw.a, type: database, connection: w, §table: a.b.c}\n",
        "'a.b.c' names no table",
    ),
    "long value": (asset(f"§owner: {'x' * 500}"), r"^'x{57}\.\.\.' is no owner"),
    # choices
    "unknown type": (
        "sources:\n  a: {§type: ftp}\n",
        "there is no type 'ftp'; there are: database, ",
    ),
    "misspelled type": ("sources:\n  a: {§type: databse}\n", "did you mean 'database'"),
    "type of a number": ("sources:\n  a: {§type: 3}\n", "there is no type 3"),
    "unknown destination": (
        "destinations:\n  a: {from: raw.a, §type: s3, connection: w, table: t}\n",
        "there is no type 's3'; there are: database, redshift, file",
    ),
    "unknown rule": (rule("§uniqe: [id]"), "unknown rule 'uniqe'; did you mean 'unique'. Allowed"),
    "unknown transformation": (step("§filter_row: a"), "'filter_row'; did you mean 'filter_rows'"),
    "two rules in one": (
        rule("§unique: a\n        not_null: a"),
        "start each rule with its own `- `",
    ),
    "settings beside a rule": (
        rule("§unique: a\n        on_violation: warn"),
        "indent the settings of 'unique' below it",
    ),
    "rule without settings": (rule("§unique"), "`- unique: ...`; found 'unique' alone"),
    "rule of a text": (
        rule("§whatever"),
        "a rule is one key .* found 'whatever'; allowed: not_null",
    ),
    "rule of nothing": (rule("§{}"), "a rule is one key .* found the keys none"),
    "range without bounds": (rule("§range: {column: a}"), "a range needs min, max or both"),
    "range of a list": (rule("§range: [a]"), "range takes the keys name, .*; found a list"),
    "sql and query": (
        "analytics:\n  §a: {sql: a.sql, query: x}\n",
        "either `sql: .* or `query: |`",
    ),
    "neither sql nor query": ("analytics:\n  §a: {}\n", "either `sql: .* or `query: |`"),
    "window of both": (
        "analytics:\n  a: {query: x, inputs: {§raw.a: {last: 7, all: true}}}\n",
        "either `last: <number>` or `all: true`",
    ),
    "deadline without within": (
        asset("§freshness: {deadline: 0 9 * * *}"),
        "a `deadline` goes with `within`",
    ),
    "warning after failure": (
        asset("§freshness: {warn_after: 3h, fail_after: 2h}"),
        "`warn_after` must be shorter",
    ),
    "foreign key of nothing": (
        rule("§foreign_key: {references: staging.a.id}"),
        "either column or columns",
    ),
    "foreign key of other length": (
        rule("§foreign_key: {column: a, references: {asset: staging.a, columns: [b, c]}}"),
        "as many columns",
    ),
    # variables
    "unset variable": ("§description: ${NOWHERE}\n", "the variable NOWHERE is not set; set it, or"),
    "misspelled variable": ("§description: ${SECRT}\n", "SECRT is not set; did you mean 'SECRET'"),
    "unset variable in a list": (
        "tags: [a, '§${NOWHERE}']\n".replace("'§", "§'"),
        "NOWHERE is not set",
    ),
    "broken variable": ("§description: ${A B}\n", r"'\${A B}' is no variable: \${NAME}, "),
    "open variable": ("§description: ${A\n", r"'\${A' is no variable"),
    "file variable": ("§description: ${file:/run/x}\n", r"'\${file:/run/x}' can't stand here"),
    "secret as a number": (
        asset("retries: {§attempts: '${SECRET}'}"),
        r"expected a whole number, found '\${SECRET}': a variable is always a text",
    ),
    "secret as an owner": (asset("§owner: ${SECRET}"), r"'\${SECRET}' is no owner"),
    "secret as a choice": (asset("§automation: ${SECRET}"), r"'\${SECRET}' is not allowed"),
    "secret as a rule": (rule("§${SECRET}"), r"found '\${SECRET}'"),
    # yaml
    "split expression": (
        step("add_columns: {§x: concat(a, b)}"),
        r"quote the expression: inside { } and \[ \] YAML splits it at the comma after 'concat\(a'",
    ),
    "split expression with numbers": (
        step("add_columns: {§x: greatest(a, 2, b), y: c}"),
        "quote the",
    ),
    "split type": (step("convert_types: {§x: decimal(12,2)}"), "quote the expression"),
    "split in a list": (rule("unique: [§least(a, b), c]"), "comma after 'least\\(a'"),
    "tab": ("sources:\n§\tsales: {}\n", "a tab can't indent: use spaces"),
    "unclosed double quotes": (
        'description: §"abc\ntags: []\n',
        "the quote that opens here is nev",
    ),
    "unclosed single quotes": (
        "description: §'abc\ntags: []\n",
        "the quote that opens here is nev",
    ),
    "unclosed list": ("tags: [a, b\nrunbook§: x\n", r"expected ',' or '\]'.*starts in line 4"),
    "unquoted variable in flow": (
        "tags: {a: $§{X}}\n",
        "expected ',' or '}': put the text in quot",
    ),
    "unquoted at sign": (
        "schedule: §@daily\n",
        "a text can't start with '@': put the text in quot",
    ),
    "unquoted asterisk": ("schedule: *§ * * * *\n", r"a text can't start with '\*'"),
    "unquoted colon": ("description: a§: b\n", "a ':' where none fits"),
    "text after quotes": ("description: 'a' §b\n", "a text goes on after its quotes"),
    "wrong indentation": ("sources:\n  a: {}\n §b: {}\n", "the indentation doesn't fit"),
    "escape": ('description: "§\\d"\n', "use single quotes"),
    "unknown alias": ("description: §*nowhere\n", r"no anchor before the alias '\*nowhere'"),
    "alias of itself": ("tags: &a [§*a]\n", r"no anchor before the alias '\*a'"),
    "merge of a text": ("§<<: x\n", "`<<` takes over mappings"),
    "custom tag": ("description: §!env X\n", "tags such as '!env' are not part of the language"),
    "python tag": ("description: §!!python/object:os.system x\n", "tags such as 'tag:yaml.org"),
    "second document": ("§---\nversion: 1\n", "a second document starts here"),
    "control character": ('description: "a\\0"\n', "a control character in a text"),
    "deep nesting": ("tags: " + "[" * 39 + "§" + "[" * 9000 + "\n", "nested more than 40 levels"),
    "deep block nesting": (
        "tags:\n" + "\n".join(" " * n + "a:" for n in range(1, 600)),
        "nested more than 40 levels",
    ),
    "many values": ("tags: [" + "a," * 200_000 + "]\n", "more than 100,000 values"),
    "many unknown keys": ("".join(f"k{n}: 1\n" for n in range(2000)), "unknown key 'k0'"),
}
PLACELESS = {"control character", "deep block nesting", "many values", "many unknown keys"}

WHOLE = {
    "empty": ("§", "the file is empty"),
    "only a comment": ("# nothing\n§", "the file is empty"),
    "a text": ("§hello\n", "a file holds a mapping .*; found a text"),
    "a list": ("§- a\n", "a file holds a mapping .*; found a list"),
    "nothing": ("§null\n", "a file holds a mapping .*; found nothing"),
    "missing version": ("§pipeline: shop\nowner: team:shop\n", "'version' is missing"),
    "missing owner": ("§version: 1\npipeline: shop\n", "'owner' is missing"),
    "other version": (
        "§version: 2\npipeline: shop\nowner: team:a\n",
        "2 is not allowed; allowed: 1",
    ),
    "version as a text": ("§version: '1'\npipeline: shop\nowner: team:a\n", "'1' is not allowed"),
    "other name": (
        "version: 1\n§pipeline: shops\nowner: team:a\n",
        "pipeline 'shops' stands in the folder 'shop': both must have one name",
    ),
    "reserved name": (
        "version: 1\n§pipeline: staging\nowner: team:a\n",
        "'staging' is a reserved name, as are: analytics, destinations",
    ),
    "number as a name": ("version: 1\n§pipeline: 7\nowner: team:a\n", "expected a text, found 7"),
    "bad e-mail": ("version: 1\npipeline: shop\n§owner: a@b\n", "'a@b' is no owner"),
}
LAUGHS = "x0: &x0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
CONTENTS = {
    "binary": (b"version: 1\n\x00\x01", 2, 1, r"not text: the character U\+0000"),
    "latin-1": ("owner: é\nx: ö".encode("latin-1"), 1, 8, "not UTF-8 text"),
    "utf-16": (HEADER.encode("utf-16"), 1, 1, "not UTF-8 text"),
    "gzip": (b"\x1f\x8b\x08\x00", 1, 2, "not UTF-8 text"),
    "10 MB": (b"a: b\n" * 2_000_000, 1, 1, "larger than 1,000,000 bytes"),
    "billion laughs": (HEADER.encode() + LAUGHS.encode(), 9, 10, "more than 100,000 values"),
}


def read(tmp_path: Path, content: bytes, environ: Mapping[str, str] | None = None) -> Workspace:
    """The workspace of one good pipeline, and `shop` with the content."""
    for name, text in (("shop", content), ("good", GOOD.encode())):
        folder = tmp_path / "pipelines" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pipeline.yaml").write_bytes(text)
    secrets = {"SECRET": "s3cr3t value"} if environ is None else environ
    return read_workspace([tmp_path / "pipelines"], secrets, tmp_path)


def broken(workspace: Workspace) -> BrokenPipeline:
    """The broken pipeline, once it is sure that the good one is there."""
    assert [entry.spec.pipeline for entry in workspace.pipelines] == ["good"]
    [entry] = workspace.broken
    assert workspace.problems == entry.problems
    assert all("\n" not in str(problem) for problem in entry.problems)
    assert all(len(problem.message) <= 600 for problem in entry.problems)
    return entry


def assert_one_problem(tmp_path: Path, marked: str, match: str) -> None:
    before, _, after = marked.partition("§")
    found = broken(read(tmp_path, (before + after).encode()))
    [problem] = found.problems
    line = before.count("\n") + 1
    column = len(before) - before.rfind("\n")
    assert (problem.location.line, problem.location.column) == (line, column), str(problem)
    assert problem.location.file == tmp_path / "pipelines" / "shop" / "pipeline.yaml"
    assert re.search(match, problem.message)
    assert "s3cr3t" not in str(problem)


@pytest.mark.parametrize(
    ("text", "match"),
    [pytest.param(*case, id=name) for name, case in BODIES.items() if name not in PLACELESS],
)
def test_mistake_below_the_header(tmp_path: Path, text: str, match: str) -> None:
    assert_one_problem(tmp_path, HEADER + text, match)


@pytest.mark.parametrize(
    ("text", "match"), [pytest.param(*case, id=name) for name, case in WHOLE.items()]
)
def test_mistake_in_the_header(tmp_path: Path, text: str, match: str) -> None:
    assert_one_problem(tmp_path, text, match)


@pytest.mark.parametrize("name", sorted(PLACELESS))
def test_mistake_without_a_mark(tmp_path: Path, name: str) -> None:
    text, match = BODIES[name]
    found = broken(read(tmp_path, (HEADER + text).encode()))
    assert re.search(match, found.problems[0].message)
    assert len(found.problems) <= 101


@pytest.mark.parametrize(
    ("content", "line", "column", "match"),
    [pytest.param(*case, id=name) for name, case in CONTENTS.items()],
)
def test_content_that_is_no_text(
    tmp_path: Path, content: bytes, line: int, column: int, match: str
) -> None:
    [problem] = broken(read(tmp_path, content)).problems
    assert (problem.location.line, problem.location.column) == (line, column), str(problem)
    assert re.search(match, problem.message)


def test_all_problems_of_a_file_come_at_once_and_in_order(tmp_path: Path) -> None:
    text = (
        HEADER.replace("team:shop", "bob") + SOURCE + "    a: 1\n    a: 2\n    pool: ${NOWHERE}\n"
    )
    found = broken(read(tmp_path, text.encode()))
    lines = [(problem.location.line, problem.message[:11]) for problem in found.problems]
    assert lines == [
        (3, "'bob' is no"),
        (9, "unknown key"),
        (10, "duplicate k"),
        (11, "the variabl"),
    ]


def test_a_broken_pipeline_keeps_its_assets_in_sight(tmp_path: Path) -> None:
    text = HEADER + SOURCE + STAGING + "analytics: {revenue: {}}\ndestinations: {Bad: {}, out: }\n"
    assert broken(read(tmp_path, text.encode())).assets == (
        ("raw", "shop", "sales"),
        ("staging", "shop", "sales"),
        ("analytics", "shop", "revenue"),
        ("destinations", "shop", "out"),
    )


def test_assets_are_guessed_from_the_lines_of_a_text_that_is_no_yaml(tmp_path: Path) -> None:
    text = HEADER + SOURCE + "    path: 'x\n" + STAGING + "  other: {}\n"
    assert broken(read(tmp_path, text.encode())).assets == (
        ("raw", "shop", "sales"),
        ("staging", "shop", "sales"),
        ("staging", "shop", "other"),
    )


words = st.sampled_from(
    [
        *(HEADER + SOURCE + STAGING).split("\n"),
        *(
            " ",
            "  ",
            "\n",
            "\t",
            ": ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "&a ",
            "*a",
            "<<",
            "!x ",
            "#",
        ),
        *("'", '"', "|", ">", "? ", "---\n", "...\n", "%YAML 1.1\n", "${", "${SECRET}", "}", "$$"),
        *("sources", "staging", "quality", "unique", "type", "null", "1e3", "0x1", "@daily", "\\"),
    ]
)
relaxed = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def assert_never_raises(tmp_path: Path, content: bytes) -> None:
    workspace = read(tmp_path, content)
    assert "good" in {entry.spec.pipeline for entry in workspace.pipelines}
    assert not any("s3cr3t" in str(problem) for problem in workspace.problems)


@relaxed
@given(content=st.binary(max_size=200))
def test_no_bytes_raise(tmp_path: Path, content: bytes) -> None:
    assert_never_raises(tmp_path, content)


@relaxed
@given(parts=st.lists(words | st.text(max_size=5), max_size=30))
def test_no_text_raises(tmp_path: Path, parts: list[str]) -> None:
    assert_never_raises(tmp_path, "".join(parts).encode("utf-8", "replace"))


SECTIONS = ["partitions", "schedule", "sources", "staging", "analytics", "destinations", "tags"]
KEYS = ["type", "from", "query", "columns", "quality", "transformations", "tags"]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@relaxed
@given(
    data=st.dictionaries(
        st.sampled_from(SECTIONS),
        st.dictionaries(
            st.sampled_from(["a", "every", "cron"]),
            st.dictionaries(
                st.sampled_from(KEYS),
                values
                | st.lists(
                    st.dictionaries(
                        st.sampled_from(["unique", "range", "foreign_key", "join", "round"]),
                        values,
                        max_size=2,
                    ),
                    max_size=2,
                ),
            )
            | values,
            max_size=2,
        )
        | values,
    )
)
def test_no_values_raise(tmp_path: Path, data: dict[str, object]) -> None:
    import yaml

    text = HEADER + (yaml.safe_dump(data, allow_unicode=True) if data else "")
    assert_never_raises(tmp_path, text.encode("utf-8", "replace"))


def test_an_error_holds_all_problems(tmp_path: Path) -> None:
    found = broken(read(tmp_path, b"a: [\n"))
    assert str(found.problems[0]) in str(ConfigurationError(found.problems))
