"""Worker processes: order, errors, deaths, and nobody left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_platform.engine.worker_process import Answer, Chunk, Work
from data_platform.engine.workers import Workers
from data_platform.plan.functions import UserFunction

MODULE = """
import os
import time
from pathlib import Path

def double(rows):
    rows["n"] = rows["n"] * 2
    return rows

def uneven(rows):
    other = Path(__file__).with_name("another chunk came")
    if rows["n"].iloc[0] > 0:
        other.touch()
    while not other.exists():
        time.sleep(0.01)
    time.sleep(0 if rows["n"].iloc[0] > 0 else 0.5)
    return rows

def breaks(rows):
    if 3 in set(rows["n"]):
        raise ValueError("three")
    return rows

def ends(rows):
    if 3 in set(rows["n"]):
        os._exit(7)
    return rows

def killed(rows):
    if 3 in set(rows["n"]):
        os.kill(os.getpid(), 9)
    return rows

def leaves(rows):
    raise SystemExit(4)

def writes(rows):
    print("said by the function")
    return rows

def hangs(rows):
    open(os.environ["PIDS"], "a").write(f"{os.getpid()}\\n")
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pipeline's folder with the module of this test."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "work.py").write_text(MODULE)
    return folder


def work_of(folder: Path, name: str) -> Work:
    function = UserFunction(f"work:{name}", "", False, False, "shop", folder, None, "")
    return Work(function, "pandas", folder.parent / "given")


def chunks(count: int, rows: int = 1) -> Iterator[Chunk]:
    for part in range(count):
        numbers = range(part * rows, (part + 1) * rows)
        yield Chunk("2024-01-01", 1, part + 1, part * rows + 1, pa.table({"n": list(numbers)}))


def run(work: Work, most: int, count: int) -> list[tuple[int, Answer]]:
    with Workers(work, most) as workers:
        return [(chunk.part, answer) for chunk, answer in workers.run(chunks(count))]


def values(answers: list[tuple[int, Answer]]) -> list[int]:
    paths = sorted(path for _, answer in answers for path in answer.files)
    return [n for path in paths for n in pq.read_table(path)["n"].to_pylist()]


def test_files_are_in_the_order_of_the_chunks_whoever_is_slow(folder: Path) -> None:
    answers = run(work_of(folder, "uneven"), 2, 6)
    assert next(part for part, _ in answers) != 1
    assert values(answers) == [0, 1, 2, 3, 4, 5]


def test_there_are_no_more_processes_than_chunks(folder: Path) -> None:
    with Workers(work_of(folder, "double"), 8) as workers:
        answers = [(chunk.part, answer) for chunk, answer in workers.run(chunks(2))]
        assert len(children()) == 2
    assert values(answers) == [0, 2]
    assert children() == []


def test_what_a_function_raises_names_its_line_and_leaves_the_others(folder: Path) -> None:
    answers = dict(run(work_of(folder, "breaks"), 2, 6))
    line = MODULE.splitlines().index('        raise ValueError("three")') + 1
    assert answers.pop(4) == Answer(
        [], f"work:breaks raised ValueError: three at {folder}/work.py:{line}"
    )
    assert all(answer.error is None for answer in answers.values())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ends", "ended by itself with exit code 7"),
        ("killed", "was killed by SIGKILL, as when memory runs out,"),
    ],
)
def test_a_death_names_the_function_and_the_chunk(folder: Path, name: str, words: str) -> None:
    answers = dict(run(work_of(folder, name), 2, 6))
    assert answers.pop(4).error == f"the process of work:{name} {words} at chunk 4 (rows 4 to 4)"
    assert sorted(answers) == [1, 2, 3, 5, 6]
    assert all(answer.error is None for answer in answers.values())
    assert children() == []


def test_leaving_by_sys_exit_is_an_error_like_others(folder: Path) -> None:
    ((_, answer),) = run(work_of(folder, "leaves"), 1, 1)
    assert (answer.error or "").startswith("work:leaves raised SystemExit: 4 at ")


def test_what_a_function_prints_does_no_harm(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert values(run(work_of(folder, "writes"), 1, 2)) == [0, 1]
    assert capfd.readouterr().out.count("said by the function") == 2


def test_a_module_that_is_gone_is_an_error_of_the_chunk(folder: Path) -> None:
    work = work_of(folder, "double")
    (folder / "work.py").unlink()
    ((_, answer),) = run(work, 1, 1)
    assert "there is no such module" in (answer.error or "")


def test_an_interrupt_leaves_no_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIDS", str(folder / "pids"))
    before = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 3, 0)
    try:
        with pytest.raises(KeyboardInterrupt), Workers(work_of(folder, "hangs"), 2) as workers:
            list(workers.run(chunks(2)))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert children() == []


def test_a_kill_of_the_step_leaves_no_process(folder: Path) -> None:
    pids = folder / "pids"
    script = f"""
        import sys
        from pathlib import Path
        sys.path[:] = {sys.path!r}
        import pyarrow as pa
        from data_platform.engine.worker_process import Chunk, Work
        from data_platform.engine.workers import Workers
        from data_platform.plan.functions import UserFunction
        folder = Path({str(folder)!r})
        function = UserFunction("work:hangs", "", False, False, "shop", folder, None, "")
        chunks = [Chunk("", 1, n, n, pa.table({{"n": [n]}})) for n in (1, 2)]
        with Workers(Work(function, "pandas", folder / "given"), 2) as workers:
            list(workers.run(chunks))
    """
    environ = {**os.environ, "PIDS": str(pids)}
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], env=environ)
    try:
        wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not any(map(psutil.pid_exists, map(int, pids.read_text().split()))))


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(1_200):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("not within two minutes")


def children() -> list[psutil.Process]:
    """The workers of this process that are alive."""
    found = psutil.Process().children()
    return [child for child in found if "worker_process" in " ".join(child.cmdline())]


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def test_a_worker_starts_without_what_only_steps_need() -> None:
    code = "import sys, data_platform.engine.worker_process; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "pyarrow" in imported
    assert imported.isdisjoint({"dagster", "duckdb", "pandas", "sqlglot", "sqlalchemy"})
