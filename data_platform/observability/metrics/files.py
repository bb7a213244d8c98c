"""The rules and dashboards that go with the metrics, as files for Prometheus and Grafana.

Called by the command. The files are `data_platform/monitoring`; the dashboards among them are made
by `dashboards`, which a test holds them to.
"""

import shutil
from pathlib import Path

from data_platform.errors import PermanentError

FOLDER = Path(__file__).parents[2] / "monitoring"


def write_monitoring(folder: Path) -> list[Path]:
    """Copy them; what is there of the same names is replaced.

    Args:
        folder: made where it is missing.

    Returns:
        The files.

    Raises:
        PermanentError: it can't be written.
    """
    files = sorted(file.relative_to(FOLDER) for file in FOLDER.rglob("*") if file.is_file())
    try:
        for file in files:
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(FOLDER / file, target)
    except OSError as error:
        raise PermanentError(f"{folder} can't be written: {error.strerror or error}") from error
    return [folder / file for file in files]
