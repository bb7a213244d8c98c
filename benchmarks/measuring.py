"""Contestants, each in a new process, in turn over several rounds, and what they took.

Called by every benchmark. Nothing is reported of contestants whose results differ. What is timed
is the contestant's own work, as it marks it (`contestants/moving.py`), and beside it the whole
process with Python's start and the imports. Memory is the unique set size (USS) of the process and
all that it started, sampled every 50 ms; PostgreSQL, which all of them use, is left out, of memory
and of CPU seconds.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

SAMPLE_SECONDS = 0.05
TIMEOUT_SECONDS = 900
MIB = 2**20
CONTESTANTS = Path(__file__).parent / "contestants"

Results = Mapping[str, object]
"""What came out, by what it is: contestants that name the same thing must agree on it."""


@dataclass(frozen=True)
class Contestant:
    """One way to do the work.

    Attributes:
        name: in the table.
        command: that does it in a process of its own.
        results: reads what came out, after the process has ended and what it told.
        prepare: makes everything empty before each run.
        environment: variables besides the inherited ones.
        share: of the work that it does; its times are scaled up by it in the table.
        most_rounds: for one that is too slow to be run in each.
    """

    name: str
    command: Sequence[str]
    results: Callable[[Mapping[str, Any]], Results]
    prepare: Callable[[], None] = lambda: None
    environment: Mapping[str, str] = field(default_factory=dict)
    share: float = 1
    most_rounds: int | None = None


@dataclass(frozen=True)
class Run:
    """One run of a contestant.

    Attributes:
        seconds: of its work; scaled up where it did a share.
        process_seconds: with Python's start and imports, which aren't scaled.
        cpu_seconds: of its work; of the whole process where it marks no work.
        peak_mib: USS.
        above_mib: the peak during the work, above what the process held right before it.
        facts: what it told besides.
        results: what came out.
        process_cpu_seconds: with Python's start and imports, which aren't scaled.
    """

    seconds: float
    process_seconds: float
    cpu_seconds: float
    peak_mib: float
    above_mib: float
    facts: Mapping[str, Any]
    results: Results
    process_cpu_seconds: float = 0


Runs = Mapping[str, Sequence[Run]]


def compete(
    contestants: Sequence[Contestant],
    rounds: int,
    known: Results,
    may_differ: Collection[str] = (),
) -> Runs:
    """Run all in turn, in each round another one first.

    Args:
        contestants: who takes part.
        rounds: how often.
        known: what must come out, as far as it is known without any of them.
        may_differ: results that are shown, not compared.

    Raises:
        SystemExit: one failed, or results differ: no figures then.
    """
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    for number in range(rounds):
        turn = number % len(contestants)
        for contestant in [*contestants[turn:], *contestants[:turn]]:
            if number >= (contestant.most_rounds or rounds):
                continue
            run = measure(contestant)
            runs[contestant.name].append(run)
            told = f"{run.seconds:.2f} s, +{run.above_mib:.0f} MiB"
            print(f"  round {number + 1}: {contestant.name} {told}", file=sys.stderr, flush=True)
    require_agreement(runs, known, may_differ)
    return runs


def measure(contestant: Contestant) -> Run:
    """Run one contestant once."""
    contestant.prepare()
    samples: list[tuple[float, int]] = []
    stop = threading.Event()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    process = subprocess.Popen(
        contestant.command, env=_environment(contestant.environment), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    sampler = threading.Thread(target=_sample, args=(process.pid, samples, stop))
    sampler.start()
    try:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        whole = time.monotonic() - start
    finally:
        process.kill()
        stop.set()
        sampler.join()
    if process.returncode != 0:
        command = " ".join(contestant.command)
        raise SystemExit(
            f"{contestant.name} failed ({process.returncode}): {command}\n{output[-4000:]}"
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    facts = _told(output)
    began, ended = facts.get("began", start), facts.get("ended", start + whole)
    work, peak = ended - began, max((uss for _, uss in samples), default=0)
    own_cpu = facts.get("cpu_seconds", cpu)
    above = max((uss for at, uss in samples if began <= at <= ended), default=0)
    return Run(
        work / contestant.share,
        whole - work + work / contestant.share,
        own_cpu / contestant.share,
        peak / MIB,
        max(0, above - facts.get("uss_before", 0)) / MIB,
        facts,
        contestant.results(facts),
        cpu - own_cpu + own_cpu / contestant.share,
    )


def require_agreement(runs: Runs, known: Results, may_differ: Collection[str] = ()) -> None:
    """Refuse to report where results differ, between contestants, rounds, or from what is known."""
    claims = [("expected", known)]
    claims += [(name, run.results) for name, several in runs.items() for run in several]
    for what in {key: None for _, results in claims for key in results if key not in may_differ}:
        said = [(name, str(results[what])) for name, results in claims if what in results]
        if len({value for _, value in said}) > 1:
            listed = "\n".join(dict.fromkeys(f"  {name}: {value}" for name, value in said))
            raise SystemExit(f"Results differ in {what!r}, so nothing is reported:\n{listed}")


def median(runs: Sequence[Run], of: Callable[[Run], float]) -> float:
    """The median of a figure."""
    return statistics.median(of(run) for run in runs)


def contestant_program(name: str, *arguments: object, python: Path | None = None) -> list[str]:
    """The command of a program among `contestants/`."""
    program = CONTESTANTS / f"{name}.py"
    return [str(python or sys.executable), str(program), *map(str, arguments)]


def _environment(added: Mapping[str, str]) -> dict[str, str]:
    # Without compiled bytecode every run would pay for compiling its libraries anew.
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **added}


def _sample(pid: int, samples: list[tuple[float, int]], stop: threading.Event) -> None:
    """Keep the sum of USS over the process tree, PostgreSQL left out."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        while not stop.wait(SAMPLE_SECONDS):
            total = 0
            for member in [process, *process.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    if member.name() != "postgres":
                        total += member.memory_full_info().uss
            samples.append((time.monotonic(), total))


def _told(output: str) -> dict[str, Any]:
    """The last line of output that is a JSON object."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            with suppress(ValueError):
                return json.loads(line)
    return {}
