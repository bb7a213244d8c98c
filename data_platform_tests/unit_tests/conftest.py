"""Unit tests of pipelines over a `Project`: written, planned and run as the command does."""

import os
from collections.abc import Callable

import pytest
from factories import PIPELINE, Project

from data_platform.spec.reading_tests import TestsFile, read_tests
from data_platform.unit_tests.judging import Judgement
from data_platform.unit_tests.planning import Planner
from data_platform.unit_tests.running import run_test

Judge = Callable[..., Judgement]


def write_tests(project: Project, text: str) -> TestsFile:
    path = project.pipelines / PIPELINE / "tests.yaml"
    path.write_text(text)
    return read_tests(path, os.environ)


@pytest.fixture
def judge(project: Project) -> Judge:
    """Run one test, given as YAML without the dash: `judge("asset: ...\\n...")`."""

    def run(body: str, inputs: str = "") -> Judgement:
        lines = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
        file = write_tests(project, f"{inputs}tests:\n  - name: one\n{lines}")
        assert not file.problems, "\n".join(map(str, file.problems))
        planned = Planner(file, project.build().plan).planned(0)
        return run_test(planned, lambda *_: pytest.fail("no function")).judgement

    return run


@pytest.fixture
def problems(project: Project) -> Callable[[str], list[str]]:
    """What is wrong with a `tests.yaml`, as `line:column: message`."""

    def find(text: str) -> list[str]:
        file = write_tests(project, text)
        return [
            str(problem).partition("tests.yaml:")[2]
            for problem in Planner(file, project.build().plan).problems()
        ]

    return find
