"""Unit tests of pipelines: `test`.

Added to the command by `cli`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from data_platform import completion
from data_platform.commands.opened import fail, format_option, load_all, print_json
from data_platform.errors import ConfigurationError, PermanentError
from data_platform.settings import environment
from data_platform.terminal.commands import complain
from data_platform.terminal.problem_lines import problem_line

if TYPE_CHECKING:
    from data_platform.unit_tests.finding import FoundTest, Suite


@click.command("test", epilog="Example: data-platform test retail -k cents")
@click.argument("pipeline", required=False, shell_complete=completion.pipelines)
@click.option("-k", "words", metavar="WORDS", help="Only tests whose names or assets hold these.")
@click.option("-v", "--verbose", is_flag=True, help="Show the SQL that each test runs.")
@format_option
def run_unit_tests(pipeline: str | None, words: str | None, style: str, *, verbose: bool) -> None:
    """Run the unit tests of tests.yaml.

    Given rows, expected rows: each test computes one asset, without the lake and without Dagster.
    Exits with 1 where a test fails or has a mistake, with 2 where there is none to run.
    """
    from data_platform.unit_tests.finding import Suite  # noqa: PLC0415

    loaded = load_all()
    if pipeline is not None:
        loaded.pipeline(pipeline)
    suite = Suite(loaded, environment())
    files = list(suite.files(pipeline))
    problems = [problem for file in files for problem in file.problems]
    tests = [test for file in files for test in suite.tests(file) if test.holds(words or "")]
    if not tests and not problems:
        raise click.UsageError(_nothing(suite, pipeline, words))
    for problem in problems:
        complain(problem_line(problem, Path.cwd()))
    passed = _Shown(style, verbose=verbose).run(tests)
    if problems or not passed:
        fail()


def _nothing(suite: "Suite", pipeline: str | None, words: str | None) -> str:
    where = f"pipeline {pipeline} has" if pipeline else "there are"
    if words is None or not any(True for _ in suite.files(pipeline)):
        return f"{where} no unit tests: they stand in tests.yaml beside pipeline.yaml"
    return f"{where} no unit tests with {words!r} in their name or asset"


class _Shown:
    """Runs tests and shows how they come out, for people or for programs."""

    def __init__(self, style: str, *, verbose: bool) -> None:
        from data_platform.terminal.console import make_console  # noqa: PLC0415

        self._console = make_console(environment())
        self._json = style == "json"
        self._verbose = verbose
        self._results: list[dict[str, Any]] = []
        self._seconds = 0.0

    def run(self, tests: "list[FoundTest]") -> bool:
        """Run all; gives whether all passed."""
        width = max((len(test.label) for test in tests), default=0)
        failed = sum(not self._one(test, width) for test in tests)
        if self._json:
            print_json(self._results)
        elif tests:
            counts = f"{len(tests) - failed} passed, {failed} failed"
            click.echo(f"{counts} in {self._seconds:.1f} s")
        return not failed

    def _one(self, test: "FoundTest", width: int) -> bool:
        from data_platform.terminal.unit_test_tables import print_test, ran_json  # noqa: PLC0415
        from data_platform.unit_tests.judging import Judgement  # noqa: PLC0415
        from data_platform.unit_tests.running import statement  # noqa: PLC0415

        sql: str | None = None
        try:
            ran = test.run()
        except ConfigurationError as error:
            home = Path.cwd()
            judgement = Judgement(tuple(problem_line(p, home) for p in error.problems))
            seconds = 0.0
        except PermanentError as error:
            judgement, seconds = Judgement((str(error),)), 0.0
        else:
            judgement, seconds = ran.judgement, ran.seconds
            sql = statement(ran.test) if self._verbose else None
        self._seconds += seconds
        if self._json:
            self._results.append(ran_json(test, judgement, seconds, sql))
        else:
            print_test(self._console, test, judgement, seconds, width)
            if sql is not None:
                click.echo("\n".join(f"    {line}" for line in sql.splitlines()))
        return judgement.passed
