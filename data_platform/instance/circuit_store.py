"""Circuits of outside systems in Dagster's own database, where all runs find them.

Used by the stages' `assets.py` and by the command's `status`. Dagster keeps cursors of its daemons
in the same table of names and texts.
"""

from collections.abc import Iterable

from dagster import DagsterInstance

PREFIX = "data_platform/circuit/"


class CircuitStore:
    """The circuits of an instance, as `sources.circuits` asks for them."""

    def __init__(self, instance: DagsterInstance) -> None:
        self._storage = instance.daemon_cursor_storage

    def get(self, name: str) -> str | None:
        """The text of a circuit, or None."""
        return self.get_all([name]).get(name)

    def get_all(self, names: Iterable[str]) -> dict[str, str]:
        """The texts of circuits, of those that have one."""
        found = self._storage.get_cursor_values({f"{PREFIX}{name}" for name in names})
        return {key.removeprefix(PREFIX): text for key, text in found.items()}

    def set(self, name: str, text: str) -> None:
        """Keep the text of a circuit."""
        self._storage.set_cursor_values({f"{PREFIX}{name}": text})
