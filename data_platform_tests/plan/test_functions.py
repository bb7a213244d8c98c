# ruff: noqa: E501 -- cases stand in tables, one a line
"""Functions are found when definitions load; what is wrong with one stands at its place in YAML."""

from collections.abc import Callable
from pathlib import Path

import pytest
from factories import PIPELINE, Project

from data_platform.plan.checks.kinds import PythonCheck
from data_platform.plan.functions import UserFunction
from data_platform.plan.nodes import RawNode, StagingNode
from data_platform.plan.sources.kinds import PythonSource

Write = Callable[..., Path]


@pytest.fixture
def write(project: Project) -> Write:
    """Write modules beside the pipeline: `write(cleaning="...")`."""

    def files(pipeline: str = PIPELINE, **sources: str) -> Path:
        folder = project.pipelines / pipeline
        folder.mkdir(exist_ok=True)
        for name, source in sources.items():
            (folder / f"{name}.py").write_text(source)
        return folder

    return files


def source(function: str, *, partitions: str = "none") -> str:
    text = f"sources:\n  rates:\n    type: python\n    function: {function}\n"
    return f"{text}    partitions: none\n" if partitions == "none" else text


def step(function: str, more: str = "") -> str:
    return (
        "staging:\n  orders:\n    from: raw.orders\n    transformations:\n"
        f"      - python:\n          function: {function}\n{more}"
    )


def rule(function: str) -> str:
    return f"staging:\n  orders:\n    from: raw.orders\n    quality:\n      - python: {function}\n"


FETCH = "def fetch():\n  return []\n"


@pytest.mark.parametrize(
    ("code", "function", "message"),
    [
        (FETCH, "rates:fetsch", "module rates has no function 'fetsch'; did you mean fetch? It has: fetch"),
        (FETCH, "rate:fetch", "there is no module 'rate', neither beside the pipeline nor installed; did you mean rates? There are beside it: rates"),
        (FETCH, "rates.py:fetch", "there is no module 'rates.py', neither beside the pipeline nor installed; did you mean rates?"),
        (FETCH, "rates.deep:fetch", "there is no module 'rates.deep', neither beside"),
        ("def f(:\n", "rates:f", "module rates can't be imported: rates.py:1:7: no valid Python: invalid syntax"),
        ("\n1 / 0", "rates:f", "module rates can't be imported: rates.py:2:1: ZeroDivisionError: division by zero"),
        ("import nowhere_at_all", "rates:f", "module rates can't be imported: rates.py:1:1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("fetch = 3", "rates:fetch", "rates:fetch is int, not a function"),
        ("async def fetch(): ...", "rates:fetch", "rates:fetch is async: a plain function is needed"),
        ("def fetch(a): ...", "rates:fetch", "rates:fetch(a) can't be called: missing a required argument: 'a'; a source takes (partition) or no parameters"),
        ("def fetch(partition): ...", "rates:fetch", "rates:fetch needs a partition, but the asset has none: give it a default of None"),
        ("class A:\n  pass", "rates:A.b", "module rates has no function 'A.b'"),
        (FETCH, "data_platform.errors:nothing", "module data_platform.errors has no function 'nothing'"),
        (FETCH, "os:system", "module os is a part of Python itself"),
        (FETCH, "subprocess:run", "module subprocess is a part of Python itself"),
        (FETCH, "builtins:eval", "module builtins is a part of Python itself"),
        (FETCH, "os.path:join", "module os.path is a part of Python itself"),
        (FETCH, "jsonn:loads", "there is no module 'jsonn', neither beside the pipeline nor installed"),
    ],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_what_is_wrong_with_a_function_stands_at_its_place(
    project: Project, write: Write, code: str, function: str, message: str
) -> None:
    write(rates=code)
    project.declare(source(function))
    (problem,) = project.problems()
    assert problem.startswith(f"shop/pipeline.yaml:7:5: {message}")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("rates.fetch", "'rates.fetch' names no function: did you mean rates:fetch?"),
        ("rates.py/fetch", "'rates.py/fetch' names no function: did you mean rates:fetch?"),
        ("fetch", "'fetch' names no function: module:function, such as cleaning:only_sound"),
        ("'rates:'", "'rates:' names no function"),
        ("'rates:fetch()'", "'rates:fetch()' names no function"),
        ("../rates:fetch", "'../rates:fetch' names no function"),
    ],
)
def test_a_name_has_the_form_module_and_function(
    project: Project, function: str, message: str
) -> None:
    project.declare(source(function))
    (broken,) = project.workspace().broken
    assert f"pipeline.yaml:7:5: {message}" in str(broken.problems[0])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def f(): ...", "rates:f() can't be called: too many positional arguments; a transformation takes (rows), and `partition` if it likes"),
        ("def f(a, b): ...", "rates:f(a, b) can't be called: missing a required argument: 'b'"),
        ("def f(*, rows): ...", "rates:f(*, rows) can't be called: "),
    ],
)  # fmt: skip
def test_a_step_needs_a_function_of_rows(
    project: Project, write: Write, code: str, message: str
) -> None:
    write(rates=code)
    project.declare(step("rates:f"))
    (problem,) = project.problems()
    assert message in problem
    assert problem.startswith("shop/pipeline.yaml:11:11: ")


def test_all_mistakes_come_together_and_leave_other_pipelines_alone(
    project: Project, write: Write
) -> None:
    write(rates="def good(rows): return rows")
    write("stock", rates="def fetch(): return []")
    project.declare(source("rates:fetch"), name="stock")
    project.declare(
        step("rates:bad") + "    quality:\n      - python: rates:worse\n      - nothing: 1\n"
    )
    built = project.workspace()
    assert [entry.name for entry in built.broken] == ["shop"]
    project.declare(
        step("rates:bad")
        + "    quality:\n      - python: rates:worse\n      - python: rates:good\n"
    )
    assert len(project.problems()) == 1
    project.declare(
        step("rates:good") + "    quality:\n      - python: rates:worse\n      - python: other:f\n"
    )
    assert len(project.problems()) == 2
    assert project.build().plan.pipeline("stock") is not None


@pytest.mark.parametrize(
    ("code", "takes"),
    [
        ("def fetch(): ...", False),
        ("def fetch(partition): ...", True),
        ("def fetch(*, partition): ...", True),
        ("def fetch(partition=None): ...", True),
        ("def fetch(limit=3, partition=None): ...", True),
        ("def fetch(**options): ...", False),
        ("class fetch:\n  def __init__(self, partition): ...", True),
        ("import functools\ndef g(a, partition): ...\nfetch = functools.partial(g, 1)", True),
        ("import functools\ndef d(f):\n  @functools.wraps(f)\n  def w(*a, **k): return f(*a, **k)\n  return w\n@d\ndef fetch(partition): ...", True),
    ],
)  # fmt: skip
def test_a_parameter_partition_gets_the_partition(
    project: Project, write: Write, code: str, takes: bool
) -> None:
    write(rates=code)
    project.declare(source("rates:fetch", partitions="daily"), daily=True)
    assert function_of(project).takes_partition is takes
    named = function_of(project).named_arguments("2024-01-01")
    if takes:
        partition = named["partition"]
        assert partition.key == "2024-01-01"
        assert partition.start.isoformat() == "2024-01-01T00:00:00+00:00"
        assert partition.end.isoformat() == "2024-01-02T00:00:00+00:00"


def test_a_partition_is_none_where_there_is_none(project: Project, write: Write) -> None:
    write(rates="def fetch(partition=None): ...")
    project.declare(source("rates:fetch"))
    assert function_of(project).named_arguments("") == {"partition": None}


def function_of(project: Project) -> UserFunction:
    node = project.node("raw/rates")
    assert isinstance(node, RawNode)
    assert isinstance(node.source, PythonSource)
    return node.source.function


def test_an_installed_module_is_found_and_one_beside_goes_first(
    project: Project, write: Write
) -> None:
    project.declare(source("httpx:Client"))
    assert function_of(project).folder is None
    write(httpx="def Client(): return []")
    assert function_of(project).folder == project.pipelines / PIPELINE


def test_the_code_version_follows_the_source_and_its_neighbours(
    project: Project, write: Write
) -> None:
    write(rates="import helpers\ndef fetch(): return []", helpers="X = 1", other="Y = 1")
    project.declare(source("rates:fetch"))
    first = project.node("raw/rates").code_version
    write(other="Y = 2")
    assert project.node("raw/rates").code_version == first
    write(helpers="X = 2")
    second = project.node("raw/rates").code_version
    assert second != first
    write(rates="import helpers\ndef fetch(): return [1]")
    assert project.node("raw/rates").code_version not in {first, second}


def test_the_code_version_of_a_step_follows_its_function_and_chunks(
    project: Project, write: Write
) -> None:
    def version(code: str, more: str = "") -> str:
        write(rates=code)
        project.declare(step("rates:f", more))
        return project.node("staging/orders").code_version

    code = "def f(rows): return rows"
    first = version(code)
    assert version(code, "          num_workers: 2\n") == first
    assert version(code, "          chunk_size: 5\n") != first
    assert version(f"{code} # other") != first


def test_the_code_version_of_a_rule_follows_its_function(project: Project, write: Write) -> None:
    def version(code: str) -> str:
        write(rates=code)
        project.declare(rule("rates:f"))
        return project.node("staging/orders").code_version

    assert version("def f(rows): return True") != version("def f(rows): return False")


def test_what_leaves_a_step_is_known_only_from_the_contract(project: Project, write: Write) -> None:
    write(rates="def f(rows): return rows")
    project.know(orders={"id": "BIGINT"})
    project.declare(step("rates:f"))
    node = project.staging("orders")
    assert (node.schema.columns, node.schema.closed) == ((), False)
    project.declare(step("rates:f") + "    columns:\n      total:\n        type: double\n")
    assert project.staging("orders").schema.names == ("total",)


def test_steps_after_a_function_name_what_they_like_and_those_before_do_not(
    project: Project, write: Write
) -> None:
    write(rates="def f(rows): return rows")
    project.know(orders={"id": "BIGINT"})
    project.declare(step("rates:f") + "      - add_columns:\n          x: anything + 1\n")
    assert project.problems() == []
    before = "    transformations:\n      - add_columns:\n          x: anything + 1\n"
    project.declare(step("rates:f").replace("    transformations:\n", before))
    assert "anything" in project.problems()[0]


@pytest.mark.parametrize(
    "quality",
    [
        "    on_violation: quarantine\n    quality:\n      - not_null: id\n",
        "    quality:\n      - not_null:\n          columns: id\n          on_violation: quarantine\n",
    ],
)
def test_quarantine_behind_a_function_is_a_load_error(
    project: Project, write: Write, quality: str
) -> None:
    write(rates="def f(rows): return rows")
    project.declare(step("rates:f") + quality)
    (problem,) = project.problems()
    assert "python multiplies or merges rows, so not_null_id can't quarantine them" in problem


def test_a_rule_in_python_does_not_quarantine(project: Project, write: Write) -> None:
    write(rates="def f(rows): return True")
    project.declare(rule("{function: rates:f, on_violation: quarantine}"))
    (problem,) = project.problems()
    assert "python judges the whole set: on_violation is fail or warn, not quarantine" in problem


def test_a_rule_says_by_its_annotation_that_it_takes_arrow(project: Project, write: Write) -> None:
    def takes_arrow(code: str) -> bool:
        write(rates=code)
        project.declare(rule("rates:f"))
        node = project.node("staging/orders")
        assert isinstance(node, StagingNode)
        (check,) = [check for check in node.checks if isinstance(check, PythonCheck)]
        return check.function.takes_arrow

    assert takes_arrow("import pyarrow as pa\ndef f(rows: pa.Table): ...")
    assert takes_arrow("import pyarrow as pa\ndef f(rows: 'pa.Table'): ...")
    assert takes_arrow("from __future__ import annotations\ndef f(rows: pa.Table): ...")
    assert not takes_arrow("import pandas as pd\ndef f(rows: pd.DataFrame): ...")
    assert not takes_arrow("def f(rows): ...")
