"""The tests of pipelines: which files there are, and what is wrong with them.

Called by the command's `test`, by `checking`, and by the plugin of pytest for one file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_platform.errors import Problem
from data_platform.loading import Loaded
from data_platform.plan.nodes import PythonNode
from data_platform.quality.gate import Passage
from data_platform.spec.reading_tests import TESTS_FILE, TestsFile, is_tests_file, read_tests
from data_platform.spec.tests import UnitTest
from data_platform.unit_tests.lake import TestWorkbench
from data_platform.unit_tests.planning import Planner
from data_platform.unit_tests.running import Ran, run_test


@dataclass(frozen=True)
class FoundTest:
    """A test of a file without mistakes of its own.

    Attributes:
        file: in which it stands.
        number: in the file, from 0.
        spec: as written.
    """

    __test__ = False

    file: TestsFile
    number: int
    spec: UnitTest
    _suite: "Suite"

    @property
    def pipeline(self) -> str:
        """Beside which it stands."""
        return self.file.folder.absolute().name

    @property
    def label(self) -> str:
        """How it is named among tests of all pipelines."""
        return f"{self.pipeline}/{self.spec.name}"

    def holds(self, words: str) -> bool:
        """Whether each of some words is in its pipeline, name or asset."""
        text = f"{self.label} {self.spec.asset}".lower()
        return all(word in text for word in words.lower().split())

    def run(self) -> Ran:
        """Run it.

        Raises:
            ConfigurationError: all that is wrong with it.
        """
        return self._suite.run(self)


class Suite:
    """All tests of what was loaded.

    Args:
        loaded: all pipelines.
        environ: what `${VAR}` in their tests refers to.
    """

    def __init__(self, loaded: Loaded, environ: Mapping[str, str]) -> None:
        self._loaded = loaded
        self._environ = environ
        self._planners: dict[Path, Planner] = {}

    def files(self, pipeline: str | None = None) -> Iterator[TestsFile]:
        """The files of a pipeline, or of all, those that are broken included."""
        for folder in self._folders():
            path = folder / TESTS_FILE
            if is_tests_file(path) and pipeline in (None, folder.absolute().name):
                yield read_tests(path, self._environ)

    def tests(self, file: TestsFile) -> Iterator[FoundTest]:
        """The tests of a file; none where it has mistakes of its own."""
        for number, spec in enumerate(file.spec.tests if file.spec else ()):
            yield FoundTest(file, number, spec, self)

    def problems(self) -> list[Problem]:
        """All that is wrong with the files of all pipelines."""
        return [problem for file in self.files() for problem in self._planner(file).problems()]

    def run(self, test: FoundTest) -> Ran:
        """Run a test.

        Raises:
            ConfigurationError: what is wrong with it, or with its pipeline.
        """
        self._loaded.pipeline(test.pipeline)
        return run_test(self._planner(test.file).planned(test.number), self._compute_function)

    def _compute_function(
        self, node: PythonNode, keys: Sequence[str], workbench: TestWorkbench
    ) -> Passage:
        # Dagster, which such a file needs itself, is imported only where there is one.
        from data_platform.unit_tests.functions import compute  # noqa: PLC0415

        return compute(self._loaded.assets_files, node, keys, workbench)

    def _planner(self, file: TestsFile) -> Planner:
        if file.path not in self._planners:
            self._planners[file.path] = Planner(file, self._loaded.plan)
        return self._planners[file.path]

    def _folders(self) -> list[Path]:
        broken = [entry.path for entry in self._loaded.workspace.broken]
        folders = [path if path.is_dir() else path.parent for path in broken]
        return [*(file.folder for file in self._loaded.workspace.pipelines), *folders]
