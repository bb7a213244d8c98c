"""`tests.yaml` beside a pipeline, read and held to its models.

Called by `unit_tests` and, for the names of tests alone, by the plugin of pytest. Doesn't look at
the pipeline beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.spec.document import Document, read_document
from data_platform.spec.reading import PIPELINE_FILE, bounded, validated
from data_platform.spec.tests import UnitTests
from data_platform.spec.variables import expand_document

TESTS_FILE = "tests.yaml"


@dataclass(frozen=True)
class TestsFile:
    """A `tests.yaml`, with mistakes or without.

    Attributes:
        path: the file.
        spec: what it says; None where it has mistakes.
        document: the file as written; None where it is no YAML.
        problems: what is wrong with it by itself.
    """

    __test__ = False

    path: Path
    spec: UnitTests | None
    document: Document | None
    problems: tuple[Problem, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the pipeline is, and files with rows."""
        return self.path.parent

    def locate(self, *keys: str | int) -> Location:
        """Where the deepest key or item on the way of `keys` stands in the file."""
        return self.document.locate(*keys) if self.document else Location(self.path)


def is_tests_file(path: Path) -> bool:
    """Whether a file holds unit tests of a pipeline: by its name, and what stands beside it."""
    beside = path.with_name(PIPELINE_FILE)
    return path.name == TESTS_FILE and path.is_file() and beside.is_file()


def read_tests(path: Path, environ: Mapping[str, str]) -> TestsFile:
    """Read one file.

    Args:
        path: the file.
        environ: what `${VAR}` in it refers to.
    """
    try:
        document = read_document(path)
    except ConfigurationError as error:
        return TestsFile(path, None, None, bounded(error.problems))
    data, unset = expand_document(document, environ)
    spec, problems = validated(UnitTests, data, document, unset)
    return TestsFile(path, None if problems else spec, document, problems)
