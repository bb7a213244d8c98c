"""Steps that take several slots of their pool: all of them or none, also when runs are killed."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest
from dagster_dev import wait_until
from reliability_report import Figures, record

from data_platform.instance import launcher as run_launcher
from data_platform.instance.launcher import reap_dead_runs
from data_platform.instance.pool_slots import POOL_SLOTS_TAG
from data_platform.settings import Settings

POOL = "memory"


def waiting_steps(instance: dg.DagsterInstance, *slots: int) -> list[tuple[str, str]]:
    """Steps of a run each, which take so many slots: `(run_id, step_key)`."""
    steps = []
    for count in slots:
        tags = {POOL_SLOTS_TAG: str(count)} if count > 1 else {}
        asset = dg.asset(name="step", pool=POOL, op_tags=tags)(lambda: None)
        steps.append((instance.create_run_for_job(job_of(asset)).run_id, "step"))
    return steps


def job_of(asset: dg.AssetsDefinition) -> dg.JobDefinition:
    return dg.Definitions([asset]).resolve_implicit_global_asset_job_def()


def claim(instance: dg.DagsterInstance, step: tuple[str, str], priority: int = 0) -> bool:
    storage = instance.event_log_storage
    return storage.claim_concurrency_slot(POOL, *step, priority).is_claimed


def free(instance: dg.DagsterInstance, step: tuple[str, str]) -> None:
    instance.event_log_storage.free_concurrency_slot_for_step(*step)


def taken(instance: dg.DagsterInstance) -> int:
    return instance.event_log_storage.get_concurrency_info(POOL).active_slot_count


@pytest.fixture
def pool(instance: dg.DagsterInstance) -> dg.DagsterInstance:
    instance.event_log_storage.set_concurrency_slots(POOL, 4)
    return instance


def test_step_takes_all_its_slots_at_once_and_gives_them_all_back(pool: dg.DagsterInstance) -> None:
    [step] = waiting_steps(pool, 3)
    assert claim(pool, step)
    assert claim(pool, step)  # asked again, it has them
    assert taken(pool) == 3
    free(pool, step)
    assert taken(pool) == 0


def test_step_that_must_wait_holds_nothing(pool: dg.DagsterInstance) -> None:
    first, second = waiting_steps(pool, 3, 3)
    assert claim(pool, first)
    assert not claim(pool, second)
    assert taken(pool) == 3
    free(pool, first)
    assert claim(pool, second)


def test_small_steps_dont_overtake_a_large_one(pool: dg.DagsterInstance) -> None:
    first, large, small = waiting_steps(pool, 2, 3, 1)
    assert claim(pool, first)
    assert not claim(pool, large)
    assert not claim(pool, small)
    free(pool, first)
    assert claim(pool, small)  # three are left for the large one
    assert claim(pool, large)


def test_higher_priority_goes_first(pool: dg.DagsterInstance) -> None:
    first, early, urgent = waiting_steps(pool, 4, 4, 4)
    assert claim(pool, first)
    assert not claim(pool, early)
    assert not claim(pool, urgent, priority=1)
    free(pool, first)
    assert not claim(pool, early)
    assert claim(pool, urgent, priority=1)


def test_step_without_the_tag_takes_one(pool: dg.DagsterInstance) -> None:
    assert [claim(pool, step) for step in waiting_steps(pool, 1, 1, 1, 1, 1)] == [
        *[True] * 4,
        False,
    ]


def test_step_larger_than_its_pool_has_the_pool_for_itself(pool: dg.DagsterInstance) -> None:
    first, large, last = waiting_steps(pool, 1, 3, 1)
    pool.event_log_storage.set_concurrency_slots(POOL, 2)
    assert claim(pool, first)
    assert not claim(pool, large)
    free(pool, first)
    assert claim(pool, large)
    assert not claim(pool, last)


def test_closed_pool_lets_nobody_in(pool: dg.DagsterInstance) -> None:
    pool.event_log_storage.set_concurrency_slots(POOL, 0)
    [step] = waiting_steps(pool, 2)
    assert not claim(pool, step)
    pool.event_log_storage.set_concurrency_slots(POOL, 2)
    assert claim(pool, step)


def test_slots_of_a_dead_run_are_free_again(
    pool: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_launcher, "COMMAND_PATIENCE_SECONDS", 0.1)
    dead, waiting, next_one = waiting_steps(pool, 3, 3, 3)
    for run_id, _ in (dead, waiting):
        pool.report_dagster_event(started_event(), run_id)
    pool.run_storage._locks.release(dead[0])
    pool.run_storage._locks.release(waiting[0])
    assert claim(pool, dead)
    assert not claim(pool, waiting)
    assert not claim(pool, next_one)
    assert set(reap_dead_runs(pool)) == {dead[0], waiting[0]}
    assert claim(pool, next_one)


def started_event() -> dg.DagsterEvent:
    return dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "__ASSET_JOB")


def test_run_of_assets_holds_the_slots_while_it_works(pool: dg.DagsterInstance) -> None:
    seen = []

    @dg.asset(pool=POOL, op_tags={POOL_SLOTS_TAG: "3"})
    def large() -> None:
        seen.append(taken(pool))

    assert dg.materialize([large], instance=pool).success
    assert seen == [3]
    assert taken(pool) == 0


RUNS = """
    import os, random, sys, time
    from pathlib import Path
    import dagster as dg
    from data_platform.instance.pool_slots import POOL_SLOTS_TAG
    from data_platform.instance.storage import open_instance
    from data_platform.settings import load_settings

    folder, workers, steps = Path(sys.argv[1]), *map(int, sys.argv[2:])

    def step(slots, seconds):
        @dg.asset(name="step", pool="memory", op_tags={POOL_SLOTS_TAG: str(slots)})
        def asset(context):
            with (folder / f"{os.getpid()}.{context.run.run_id}").open("w") as file:
                file.write(f"{slots} {time.time()} ")
                file.flush()
                time.sleep(seconds)
                file.write(f"{time.time()}")
        return asset

    def work(seed):
        chance = random.Random(seed)
        with open_instance(load_settings()) as instance:
            for _ in range(steps):
                asset = step(chance.randint(1, 3), chance.uniform(0.0, 0.3))
                dg.materialize([asset], instance=instance)

    processes = []
    for seed in range(workers):
        processes.append(os.fork())
        if processes[-1] == 0:
            work(seed)
            os._exit(0)
    print(*processes, flush=True)
    print([os.waitpid(pid, 0)[1] for pid in processes])
"""


@pytest.mark.parametrize(
    ("workers", "each"), [(3, 3), pytest.param(5, 6, marks=pytest.mark.campaign)]
)
def test_never_more_than_the_pool_has_though_a_run_is_killed(
    workers: int,
    each: int,
    pool: dg.DagsterInstance,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Steps of 1 to 3 slots in several processes, of which one is killed within a step.
    started = time.monotonic()
    folder = tmp_path / "steps"
    folder.mkdir()
    environ = os.environ | {
        "DATA_PLATFORM_STORAGE_URL": settings.storage_url,
        "DATA_PLATFORM_HOME": str(settings.home),
        "DATA_PLATFORM_DATA_DIR": str(settings.data_dir),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUNS), str(folder), str(workers), str(each)],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    victim = process.stdout.readline().split()[-1]
    wait_until(lambda: within_a_step(folder, victim), 120, every=0.01)
    os.kill(int(victim), signal.SIGKILL)
    monkeypatch.setattr(run_launcher, "COMMAND_PATIENCE_SECONDS", 0.5)
    # Its connection to the server, by which it is known to live, ends a moment after it.
    wait_until(lambda: reap_dead_runs(pool), 30)
    rest = process.stdout.read()
    assert json.loads(rest) == [*[0] * (workers - 1), signal.SIGKILL]
    assert taken(pool) == 0
    steps = [one.read_text().split() for one in folder.iterdir()]
    ended = [
        (int(slots), float(begun), float(end)) for slots, begun, *rest in steps for end in rest
    ]
    assert len(ended) >= (workers - 1) * each
    most = most_at_once(ended)
    assert 3 <= most <= 4
    if workers > 3:
        what = f"kill -9 within a step of a pool of 4 slots, {workers} processes at it"
        outcome = f"{len(ended)} steps of 1 to 3 slots, at most {most} slots at once, none left"
        record(Figures(what, 1, outcome, time.monotonic() - started))


def within_a_step(folder: Path, pid: str) -> bool:
    return any(len(one.read_text().split()) == 2 for one in folder.glob(f"{pid}.*"))


def most_at_once(spans: Sequence[tuple[int, float, float]]) -> int:
    moments = sorted(
        [(begun, slots) for slots, begun, _ in spans] + [(end, -slots) for slots, _, end in spans]
    )
    now, most = 0, 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most
