"""Python beside a pipeline: each folder is a package, edits are seen, and mistakes have a place."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from data_platform.beside import file_beside, fingerprint_of, import_beside, modules_beside
from data_platform.errors import ConfigurationError, Problem

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files into a pipeline's folder: `write("shop", cleaning="...")` is `cleaning.py`."""

    def files(pipeline: str, **sources: str) -> Path:
        folder = tmp_path / pipeline
        for name, source in sources.items():
            file = folder / f"{name}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)
        return folder

    return files


def problem(folder: Path, module: str) -> Problem:
    with pytest.raises(ConfigurationError) as raised:
        import_beside(folder, folder.name, module)
    (found,) = raised.value.problems
    return found


def test_two_pipelines_have_a_module_of_one_name_each(write: Write) -> None:
    shop, stock = write("shop", cleaning="NAME = 'shop'"), write("stock", cleaning="NAME = 'stock'")
    modules = [import_beside(folder, folder.name, "cleaning") for folder in (shop, stock)]
    assert [module.NAME for module in modules] == ["shop", "stock"]
    assert modules[0].__name__ == "data_platform_pipelines.shop.cleaning"


def test_a_module_is_imported_once_while_its_file_stays(write: Write) -> None:
    folder = write("shop", cleaning="MADE = object()")
    first = import_beside(folder, "shop", "cleaning")
    assert import_beside(folder, "shop", "cleaning") is first


def test_an_edit_of_the_same_length_is_seen_at_once(write: Write) -> None:
    folder = write("shop", cleaning="VALUE = 1")
    assert import_beside(folder, "shop", "cleaning").VALUE == 1
    write("shop", cleaning="VALUE = 2")
    assert import_beside(folder, "shop", "cleaning").VALUE == 2
    assert not (folder / "__pycache__").exists()


def test_an_edit_of_a_neighbour_is_seen(write: Write) -> None:
    folder = write("shop", cleaning="import rates\nVALUE = rates.VALUE", rates="VALUE = 1")
    before = import_beside(folder, "shop", "cleaning")
    prints = fingerprint_of(before)
    write("shop", rates="VALUE = 2")
    after = import_beside(folder, "shop", "cleaning")
    assert (before.VALUE, after.VALUE) == (1, 2)
    assert fingerprint_of(after) != prints


def test_a_fingerprint_leaves_out_what_is_not_imported(write: Write) -> None:
    folder = write("shop", cleaning="X = 1", other="Y = 1")
    prints = fingerprint_of(import_beside(folder, "shop", "cleaning"))
    import_beside(folder, "shop", "other")
    write("shop", other="Y = 2")
    assert fingerprint_of(import_beside(folder, "shop", "cleaning")) == prints


@pytest.mark.parametrize(
    "statement",
    [
        "import rates as r",
        "from . import rates as r",
        "from rates import VALUE\nclass r: VALUE = VALUE",
        "from .rates import VALUE\nclass r: VALUE = VALUE",
        "import sub.deep\nclass r: VALUE = sub.deep.rates.VALUE",
        "from sub import deep\nclass r: VALUE = deep.rates.VALUE",
        "from sub.deep import rates as r",
    ],
)
def test_neighbours_are_imported_plainly_or_relatively(write: Write, statement: str) -> None:
    source = f"{statement}\nVALUE = r.VALUE"
    folder = write("shop", cleaning=source, rates="VALUE = 7", **{"sub/deep": "import rates"})
    module = import_beside(folder, "shop", "cleaning")
    prints = fingerprint_of(module)
    assert module.VALUE == 7
    write("shop", rates="VALUE = 8")
    assert fingerprint_of(import_beside(folder, "shop", "cleaning")) != prints


def test_nothing_leaks_to_other_modules(write: Write) -> None:
    path = list(sys.path)
    folder = write("shop", cleaning="import rates_of_shop", rates_of_shop="")
    import_beside(folder, "shop", "cleaning")
    assert sys.path == path
    assert "rates_of_shop" not in sys.modules
    with pytest.raises(ModuleNotFoundError):
        __import__("rates_of_shop")


def test_an_import_within_a_function_finds_its_neighbour(write: Write) -> None:
    folder = write("shop", cleaning="def f():\n  import rates\n  return rates.N", rates="N = 3")
    module = import_beside(folder, "shop", "cleaning")
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(module.f()))
    thread.start()
    thread.join()
    assert found == [3]


def test_neighbours_may_import_one_another(write: Write) -> None:
    folder = write(
        "shop", a="import b\ndef f():\n  return b.g()", b="import a\ndef g():\n  return 5"
    )
    assert import_beside(folder, "shop", "a").f() == 5


def test_a_neighbour_goes_before_an_installed_module_for_its_pipeline_only(write: Write) -> None:
    folder = write("shop", cleaning="import wave", wave="OWN = True")
    assert import_beside(folder, "shop", "cleaning").wave.OWN
    import wave

    assert not hasattr(wave, "OWN")


def test_a_folder_that_moved_is_read_anew(write: Write, tmp_path: Path) -> None:
    first = write("shop", cleaning="N = 1")
    assert import_beside(first, "shop", "cleaning").N == 1
    second = tmp_path / "elsewhere" / "shop"
    second.mkdir(parents=True)
    (second / "cleaning.py").write_text("N = 2")
    assert import_beside(second, "shop", "cleaning").N == 2


def test_a_syntax_error_has_its_place(write: Write) -> None:
    folder = write("shop", cleaning="x = 1\ndef f(:\n  pass\n")
    assert str(problem(folder, "cleaning")) == (
        f"{folder}/cleaning.py:2:7: no valid Python: invalid syntax"
    )


def test_a_syntax_error_of_a_neighbour_has_its_own_place(write: Write) -> None:
    folder = write("shop", cleaning="import rates", rates="x = (1,\n")
    assert str(problem(folder, "cleaning")) == (
        f"{folder}/rates.py:1:5: no valid Python: '(' was never closed"
    )


@pytest.mark.parametrize(
    ("source", "where", "message"),
    [
        ("import nowhere_to_be_found", "1:1", "ModuleNotFoundError: No module named 'nowhere_to"),
        ("\n\nx = 1 / 0", "3:5", "ZeroDivisionError: division by zero"),
        ("def f():\n  raise ValueError('no\\nway')\nf()", "2:3", "ValueError: no way"),
        ("import json\njson.loads('{')", "2:1", "JSONDecodeError: "),
        ("raise SystemExit(3)", "1:1", "SystemExit: 3"),
        ("import sys\nsys.exit()", "2:1", "SystemExit"),
        ("assert False", "1:1", "AssertionError"),
        ("raise RuntimeError('x' * 10_000)", "1:1", "RuntimeError: xxx"),
        ("import cleaning.rates", "1:1", "ModuleNotFoundError: "),
    ],
)
def test_what_an_import_raises_is_told_at_the_last_own_line(
    write: Write, source: str, where: str, message: str
) -> None:
    found = str(problem(write("shop", cleaning=source), "cleaning"))
    assert f"/shop/cleaning.py:{where}: {message}" in found
    assert len(found) < 800
    assert "\n" not in found


@pytest.mark.parametrize("content", [b"x = '\xff'\n", b"x = 1\0\n"])
def test_what_is_no_text_is_a_problem(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "cleaning.py").write_bytes(content)
    assert str(folder) in str(problem(folder, "cleaning"))


def test_a_module_that_was_mended_imports(write: Write) -> None:
    folder = write("shop", cleaning="import rates\nrates.N", rates="")
    assert "has no attribute 'N'" in problem(folder, "cleaning").message
    write("shop", rates="N = 1")
    assert import_beside(folder, "shop", "cleaning").rates.N == 1


def test_a_module_that_is_not_there_is_told_with_those_that_are(write: Write) -> None:
    folder = write("shop", cleaning="", __init__="", **{"rules/prices": ""})
    found = problem(folder, "claening")
    assert found.location.file == folder / "claening.py"
    assert found.message.endswith("beside the pipeline are: cleaning, rules.prices")


def test_only_python_names_name_a_file(write: Write) -> None:
    folder = write("shop", cleaning="", **{"sub/__init__": "", "sub/deep": ""})
    assert file_beside(folder, "cleaning") == folder / "cleaning.py"
    assert file_beside(folder, "sub") == folder / "sub" / "__init__.py"
    assert file_beside(folder, "../shop/cleaning") is None
    assert file_beside(folder, "") is None
    assert modules_beside(folder) == ["cleaning", "sub", "sub.deep"]
    assert modules_beside(folder / "nowhere") == []
