"""The Dockerfile's own steps, done in a folder, as there is no container engine at hand.

Each `COPY` and `RUN` is read from the file and done as it is written, with the paths of the image
below a folder of the test's. Two things are left out, and named here: what needs a container's root
(users, taking pip away), and base images, for which the Python of the tests stands in.

Where the packages aren't to be installed anew, those of the lock are linked from the environment of
the tests, and no others: what only tests have can't be imported.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from importlib.metadata import Distribution, distribution
from pathlib import Path

ROOT = Path(__file__).parents[2]
OF_IMAGE = ("/opt/data-platform", "/var/lib/data-platform", "/build")
NEEDS_A_CONTAINER = "groupadd"
"""In the one step that isn't done."""
INSTALLS_LOCK = re.compile(r"install .*-r (?P<lock>requirements-\w+\.lock)", re.DOTALL)
_PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Instruction:
    """One of a Dockerfile, its continued lines in one."""

    word: str
    rest: str


def instructions(text: str) -> list[Instruction]:
    """All of a Dockerfile."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    parts = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [Instruction(word, rest) for word, rest in parts]


def pinned(lock: Path) -> dict[str, str]:
    """Versions by name, of all lines of a lock."""
    return dict(_PINNED.findall(lock.read_text()))


@dataclass
class Image:
    """What the Dockerfile makes, below a folder.

    Attributes:
        root: stands for `/`.
        environ: what `ENV` says, with the image's paths.
    """

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    _workdir: str = "/"

    def path(self, text: str) -> str:
        """With paths of the image below the root."""
        for place in OF_IMAGE:
            text = re.sub(rf"(?<![\w.-]){place}(?![\w.-])", f"{self.root}{place}", text)
        return text

    @property
    def bin(self) -> Path:
        return Path(self.path("/opt/data-platform/.venv/bin"))

    @property
    def packages(self) -> Path:
        [found] = self.bin.parent.glob("lib/python*/site-packages")
        return found

    def build(self, *, install: bool) -> None:
        """Do all steps.

        Args:
            install: packages by pip, as in the Dockerfile; else those of the tests are linked.
        """
        self.read_environment()
        for step in instructions((ROOT / "Dockerfile").read_text()):
            match step.word:
                case "WORKDIR":
                    self._workdir = self.path(step.rest)
                    Path(self._workdir).mkdir(parents=True, exist_ok=True)
                case "COPY":
                    self._copy(step.rest)
                case "RUN":
                    self._run(step.rest, install=install)
        for folder in ("/tmp", "/var/lib/data-platform"):
            (self.root / folder[1:]).mkdir(parents=True, exist_ok=True)

    def read_environment(self) -> None:
        """What `ENV` says."""
        for step in instructions((ROOT / "Dockerfile").read_text()):
            if step.word == "ENV":
                self.environ |= dict(part.split("=", 1) for part in step.rest.split())

    def _copy(self, rest: str) -> None:
        if rest.startswith("--from="):
            _, source, target = rest.split()
            assert source == target, "between stages everything stays where it is"
            return
        *sources, target = rest.split()
        folder = Path(self._workdir) / target
        for source in sources:
            to = folder / source if target.endswith("/") else folder
            for file in context_files(source):
                place = to if file == source else to / Path(file).relative_to(source)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, place)

    def _run(self, command: str, *, install: bool) -> None:
        if NEEDS_A_CONTAINER in command:
            return
        lock = INSTALLS_LOCK.search(command)
        if lock and not install:
            target = "/opt/data-platform/.venv" if "--python" in command else "/build/tools"
            self._link(ROOT / lock["lock"], Path(self.path(target)))
            return
        python = Path(sys.base_prefix) / "bin"
        environ = {
            "PATH": f"{self.root}/base:{python}:/usr/bin:/bin",
            **{k: v for k, v in os.environ.items() if k.startswith("PIP_") or k == "HOME"},
            **{k: v for k, v in self.environ.items() if k.startswith("PIP_")},
        }
        base = self.root / "base"
        base.mkdir(exist_ok=True)
        if not (base / "python").is_symlink():
            (base / "python").symlink_to(Path(sys.executable).resolve())
        subprocess.run(
            self.path(command), shell=True, check=True, cwd=self._workdir, env=environ,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def _link(self, lock: Path, venv: Path) -> None:
        [packages] = venv.glob("lib/python*/site-packages")
        for name in pinned(lock):
            found = _installed(name)
            if found is None:
                continue  # of other systems
            for old in packages.glob(f"{name}-*.dist-info"):
                shutil.rmtree(old)  # what came with pip
            for top in {file.parts[0] for file in found.files or () if file.parts[0] != ".."}:
                self._put(packages / top, Path(str(found.locate_file(top))))
            for script in found.entry_points.select(group="console_scripts"):
                self._write_script(venv / "bin", script.name, script.module, script.attr)

    def _put(self, link: Path, target: Path) -> None:
        if link.is_symlink() or link.name == "__pycache__":
            return  # of two packages
        if link.is_dir():
            shutil.rmtree(link)
        link.unlink(missing_ok=True)
        link.symlink_to(target)

    def _write_script(self, folder: Path, name: str, module: str, attribute: str) -> None:
        script = folder / name
        script.write_text(
            f"#!{folder}/python\nimport sys\nfrom {module} import {attribute}\n"
            f"sys.exit({attribute}())\n"
        )
        script.chmod(0o755)


def context_files(source: str) -> Iterator[str]:
    """The files that `.dockerignore` leaves of a file or folder of the repository."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in ignored if line and not line.startswith("#")]
    below = [ROOT / source] if (ROOT / source).is_file() else sorted((ROOT / source).rglob("*"))
    for file in below:
        name = file.relative_to(ROOT).as_posix()
        if file.is_file() and not _is_ignored(name, patterns):
            yield name


def _is_ignored(name: str, patterns: list[str]) -> bool:
    """As Docker does: the last pattern that fits the file or a folder above it decides."""
    parts = Path(name).parts
    paths = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    ignored = False
    for pattern in patterns:
        plain = pattern.removeprefix("!")
        if plain.startswith("**/"):
            fits = any(fnmatch(part, plain[3:]) for part in parts)
        else:
            fits = any(
                fnmatch(path, plain) and path.count("/") == plain.count("/") for path in paths
            )
        if fits:
            ignored = not pattern.startswith("!")
    return ignored


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except ModuleNotFoundError:
        return None
