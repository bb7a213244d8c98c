"""Plugin of pytest: unit tests of pipelines are tests among others.

Loaded by pytest in every project where this package is installed, so it imports nothing of it
before there is a `tests.yaml` beside a `pipeline.yaml`. Dagster is needed only where a pipeline is
loaded that has an `assets.py`.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from data_platform.spec.reading_tests import TestsFile
    from data_platform.unit_tests.finding import Suite

_SUITES = pytest.StashKey[dict[Path, "Suite"]]()
_OURS = re.compile(r"^pipeline\s*:", re.MULTILINE)
_LEAST_WIDTH = 60


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "PipelineTests | None":
    """Collect `tests.yaml` where a pipeline stands beside it."""
    if file_path.name != "tests.yaml" or not _is_pipeline(file_path.with_name("pipeline.yaml")):
        return None
    return PipelineTests.from_parent(parent, path=file_path)


class PipelineTests(pytest.File):
    """One `tests.yaml`."""

    def collect(self) -> Iterator["PipelineTest"]:
        """Its tests; mistakes that it has by itself are told here."""
        from data_platform.settings import environment  # noqa: PLC0415
        from data_platform.spec.reading_tests import read_tests  # noqa: PLC0415

        file = read_tests(self.path, environment())
        if file.spec is None:
            raise self.CollectError("\n".join(map(str, file.problems)))
        for number, test in enumerate(file.spec.tests):
            yield PipelineTest.from_parent(self, name=test.name, number=number, file=file)


class PipelineTest(pytest.Item):
    """One test."""

    def __init__(self, *, number: int, file: "TestsFile", **known: Any) -> None:
        super().__init__(**known)
        self._number = number
        self._file = file

    def runtest(self) -> None:
        """Run it.

        Raises:
            Failed: it isn't as expected.
            PlatformError: it, or its pipeline, has mistakes.
        """
        from data_platform.terminal.unit_test_tables import failure_text  # noqa: PLC0415

        ran = list(self._suite().tests(self._file))[self._number].run()
        if not ran.judgement.passed:
            width = max(shutil.get_terminal_size().columns, _LEAST_WIDTH)
            raise Failed(failure_text(ran.judgement, width))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The difference, or the mistakes, instead of a traceback."""
        from data_platform.errors import PlatformError  # noqa: PLC0415

        if isinstance(excinfo.value, Failed | PlatformError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands."""
        line = self._file.locate("tests", self._number).line
        return self.path, line - 1, f"{self.path.parent.name}: {self.name}"

    def _suite(self) -> "Suite":
        """The pipelines of the folder that this one is in, loaded once a session."""
        from data_platform.checking import settings_for  # noqa: PLC0415
        from data_platform.loading import load  # noqa: PLC0415
        from data_platform.settings import environment, load_settings  # noqa: PLC0415
        from data_platform.unit_tests.finding import Suite  # noqa: PLC0415

        suites = self.config.stash.setdefault(_SUITES, {})
        folder = self.path.parent.parent
        if folder not in suites:
            environ = dict(environment())
            suites[folder] = Suite(load(settings_for(load_settings(), folder), environ), environ)
        return suites[folder]


class Failed(Exception):
    """What came of a test isn't what it expects."""


def _is_pipeline(file: Path) -> bool:
    """Whether it is a pipeline of this platform: others may have a file of this name."""
    try:
        return bool(_OURS.search(file.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return False
