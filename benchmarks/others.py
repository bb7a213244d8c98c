"""The environment of contestants that the platform doesn't depend on: dlt, pandera, psycopg.

    python benchmarks/others.py

installs `requirements.txt` into `.data/benchmarks/environment`, which git ignores and `make clean`
removes. Benchmarks call `python_of_others`; where it isn't installed, its contestants are left out
and the table says so.
"""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / ".data" / "benchmarks"
ENVIRONMENT = RESULTS / "environment"
REQUIREMENTS = Path(__file__).parent / "requirements.txt"
HOW_TO_INSTALL = "python benchmarks/others.py"
_PYTHON = ENVIRONMENT / "bin" / "python"
_STAMP = ENVIRONMENT / "installed.txt"
_VERSIONS = """
import json, sys
from importlib.metadata import version
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


def installed() -> bool:
    """Whether the environment holds what `requirements.txt` says now."""
    return _STAMP.is_file() and _STAMP.read_text() == REQUIREMENTS.read_text()


def python_of_others() -> Path:
    """The interpreter of the environment, there or not."""
    return _PYTHON


@cache
def versions(python: Path, *names: str) -> dict[str, str]:
    """The versions of packages in an environment."""
    command = [str(python), "-c", _VERSIONS, *names]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def install() -> None:
    """Make the environment anew where it isn't what `requirements.txt` says."""
    if installed():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
    pip = [str(_PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--requirement", str(REQUIREMENTS)], check=True)
    _STAMP.write_text(REQUIREMENTS.read_text())


if __name__ == "__main__":
    install()
    print(f"{ENVIRONMENT}: {versions(_PYTHON, 'dlt', 'pandas', 'pandera', 'psycopg')}")
