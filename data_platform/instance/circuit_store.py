"""Circuits of outside systems in Dagster's own database, where all runs find them.

Used by the stages' `assets.py` and by the command's `status`. Dagster keeps cursors of its daemons
in the same table of names and texts. A server of an address is the same for all code locations, but
what the name of a connection means, each one's platform.yaml tells.
"""

from collections.abc import Iterable

from dagster import DagsterInstance

from data_platform.instance.location_names import named

PREFIX = "data_platform/circuit/"
_SHARED = "server "


class CircuitStore:
    """The circuits of an instance, as `sources.circuits` asks for them."""

    def __init__(self, instance: DagsterInstance) -> None:
        self._storage = instance.daemon_cursor_storage

    def get(self, name: str) -> str | None:
        """The text of a circuit, or None."""
        return self.get_all([name]).get(name)

    def get_all(self, names: Iterable[str]) -> dict[str, str]:
        """The texts of circuits, of those that have one."""
        rows = {_row(name): name for name in names}
        found = self._storage.get_cursor_values({*rows})
        return {rows[row]: text for row, text in found.items()}

    def set(self, name: str, text: str) -> None:
        """Keep the text of a circuit."""
        self._storage.set_cursor_values({_row(name): text})


def _row(name: str) -> str:
    return f"{PREFIX}{name if name.startswith(_SHARED) else named(name)}"
