"""The chapters of "Ten things that go wrong" in docs/operations.md, and who follows them.

A rehearsal is a test that makes a chapter's trouble for real and then does what the page says, with
the commands as they stand there. `rehearses` gives a test its chapter, `Operator` types commands in
a project's folder. `test_every_chapter_is_rehearsed.py` finds rehearsals by the decorator.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg2
import pytest
from forked_command import run_command

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
SECTION = "Ten things that go wrong"
STATUS = "data-platform status"

_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_LISTED = re.compile(r"\]\(#(?P<anchor>[\w-]+)\) \|$", re.MULTILINE)
_PSQL = re.compile(r'psql "\$(?P<variable>\w+)" -c (?P<quoted>".*")', re.DOTALL)
_AGE = r"(just now|\d+ \w+ ago)"


@dataclass(frozen=True)
class Chapter:
    """One trouble, as the page tells it.

    Attributes:
        symptom: what one sees; `...` stands for anything.
        look: the commands that tell more.
        fix: the commands that mend it, and lines that begin with `#`, which a person does.
        text: the whole chapter.
    """

    anchor: str
    title: str
    symptom: str
    look: tuple[str, ...]
    fix: tuple[str, ...]
    text: str


@cache
def chapters() -> tuple[Chapter, ...]:
    """Those that the table at the section's beginning names, in its order."""
    page = PAGE.read_text(encoding="utf-8")
    _, *parts = _HEADING.split(page)
    sections = {
        _anchor(title): (title, text) for title, text in zip(parts[::2], parts[1::2], strict=True)
    }
    _, listed = sections[_anchor(SECTION)]
    return tuple(
        _chapter(match["anchor"], *sections[match["anchor"]]) for match in _LISTED.finditer(listed)
    )


def chapter(anchor: str) -> Chapter:
    """A chapter by its anchor."""
    [found] = [chapter for chapter in chapters() if chapter.anchor == anchor]
    return found


def rehearses(anchor: str) -> pytest.MarkDecorator:
    """Say which chapter a test rehearses; the test gets it as `chapter`."""
    return pytest.mark.parametrize("chapter", [pytest.param(chapter(anchor), id=anchor)])


def assert_shows(symptom: str, printed: str) -> None:
    """Each line of the symptom must be seen, in its order; `just now` stands for any age."""
    rest = printed.splitlines()
    for line in symptom.splitlines():
        parts = (re.escape(part) for part in re.split(r"\.\.\.|just now", line))
        between = (_AGE if found == "just now" else ".*" for found in _stand_ins(line))
        wanted = re.compile("".join(a + b for a, b in zip(parts, [*between, ""], strict=True)))
        while rest and not wanted.search(rest[0]):
            rest.pop(0)
        assert rest, f"{line!r} isn't seen in:\n{printed}"
        rest.pop(0)


def assert_green(page: str) -> None:
    """A page of `status` may show nothing red or yellow."""
    assert re.match(r"0 red · (\d+) green of \1 assets? ", page), page


class Operator:
    """A person with the page, at a terminal in the folder of a project.

    Args:
        folder: where commands are typed; its `pipelines` are the project's.
        environ: the variables of the terminal. A test may change them.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = dict(environ)

    def type(self, command: str) -> subprocess.CompletedProcess[str]:
        """Type a line; what it prints on both outputs is `stdout`."""
        match command.split(maxsplit=1):
            case ["data-platform", _]:
                return run_command(shlex.split(command), self.folder, self.environ)
            case ["psql", _] if shutil.which("psql") is None:
                return _without_psql(command, self.environ)
            case _:
                return subprocess.run(
                    ["bash", "-c", command],
                    cwd=self.folder,
                    env={**self.environ, "PGCONNECT_TIMEOUT": "10"},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=120,
                    check=False,
                )

    def does(self, command: str) -> str:
        """Type a line that must succeed."""
        done = self.type(command)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def sees(self, chapter: Chapter, command: str = STATUS) -> str:
        """The symptom must be on the page of a command, by default that of `status`."""
        printed = self.type(command).stdout
        assert_shows(chapter.symptom, printed)
        return printed

    def looks(self, chapter: Chapter) -> dict[str, str]:
        """Type all commands of `look`: what each prints.

        They end with 0, or with 1, which is how a command says that something isn't well.
        """
        printed = {}
        for command in chapter.look:
            done = self.type(command)
            assert done.returncode in (0, 1), f"{command}: {done.returncode}\n{done.stdout}"
            assert "Traceback" not in done.stdout, done.stdout
            printed[command] = done.stdout
        return printed

    def mends(self, chapter: Chapter, *by_hand: Callable[[], object]) -> dict[str, str]:
        """Do the lines of `fix` in their order; every command must succeed, and all be green.

        Args:
            chapter: whose.
            by_hand: what a person does, one for each line that begins with `#`.

        Returns:
            What each command printed; of one that stands there twice, the last time.
        """
        hands = [line for line in chapter.fix if line.startswith("#")]
        assert len(hands) == len(by_hand), hands
        left = iter(by_hand)
        printed = {}
        for line in chapter.fix:
            if line.startswith("#"):
                next(left)()
            else:
                printed[line] = self.does(line)
        assert_green(printed[f"{STATUS} retail"])
        return printed

    def is_green(self, pipeline: str = "retail") -> str:
        """Nothing of a pipeline may be red or yellow."""
        printed = self.does(f"{STATUS} {pipeline}")
        assert_green(printed)
        return printed


def _chapter(anchor: str, title: str, text: str) -> Chapter:
    blocks = {match["info"]: match["text"].rstrip("\n") for match in _FENCE.finditer(text)}
    look, fix = (tuple(blocks[f"bash {kind}"].splitlines()) for kind in ("look", "fix"))
    return Chapter(anchor, title, blocks["text"], look, fix, text)


def _anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _stand_ins(line: str) -> list[str]:
    return re.findall(r"\.\.\.|just now", line)


def _without_psql(command: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What `psql` would do, where none is installed: the same SQL at the same URL."""
    match = _PSQL.fullmatch(command)
    assert match is not None, command
    [statement] = shlex.split(match["quoted"])
    with closing(psycopg2.connect(environ[match["variable"]])) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
            head = [column.name for column in cursor.description or ()]
    printed = os.linesep.join(" | ".join(map(str, row)) for row in [head, *rows])
    return subprocess.CompletedProcess(command, 0, printed)
