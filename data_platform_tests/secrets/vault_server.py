"""A server that speaks as much of Vault's HTTP API as reading secrets takes, over real sockets.

Tokens, two engines (`secret/` of version 2, `kv/old/` of version 1), AppRole and Kubernetes logins,
a seal. Shapes of answers are those of https://developer.hashicorp.com/vault/api-docs.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from misbehaving_server import Asked, MisbehavingServer, Reply, misbehaving

TOKEN = "hvs.token-of-tests"
ENGINES = {"secret": "2", "kv/old": "1"}
_V1 = "/v1/"


@dataclass
class Vault:
    """What the server holds and how it stands."""

    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    sealed: bool = False
    closed_engines: bool = False
    """Whether the path that tells engines is denied."""
    namespace: str | None = None
    server: MisbehavingServer | None = None

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    @property
    def reads(self) -> int:
        assert self.server is not None
        return sum(
            "/sys/" not in asked.path and asked.method == "GET" for asked in self.server.asked
        )

    def answer(self, asked: Asked) -> Reply:
        if self.sealed:
            return Reply({"errors": ["Vault is sealed"]}, 503)
        path = asked.path.removeprefix(_V1)
        if path.startswith("auth/"):
            return self._login(path, asked)
        if asked.headers.get("x-vault-token") != TOKEN:
            return Reply({"errors": ["permission denied"]}, 403)
        if asked.headers.get("x-vault-namespace") != self.namespace:
            return Reply({"errors": ["no handler for route"]}, 404)
        if path.startswith("sys/internal/ui/mounts/"):
            return self._engine(path.removeprefix("sys/internal/ui/mounts/"))
        for mount, version in ENGINES.items():
            if path.startswith(f"{mount}/"):
                return self._read(mount, version, path.removeprefix(f"{mount}/"))
        return Reply({"errors": []}, 404)

    def _login(self, path: str, asked: Asked) -> Reply:
        good = {
            "auth/approle/login": {"role_id": "robot", "secret_id": "its-secret"},
            "auth/kubernetes/login": {"role": "runs", "jwt": "token-of-the-pod"},
        }
        if asked.json != good.get(path):
            return Reply({"errors": ["invalid role or secret ID"]}, 400)
        return Reply({"auth": {"client_token": TOKEN, "lease_duration": 60}})

    def _engine(self, path: str) -> Reply:
        found = next((m for m in ENGINES if path.startswith(f"{m}/")), None)
        if found is None or self.closed_engines:
            return Reply({"errors": ["preflight capability check returned 403"]}, 403)
        data = {"path": f"{found}/", "type": "kv", "options": {"version": ENGINES[found]}}
        return Reply({"data": data})

    def _read(self, mount: str, version: str, path: str) -> Reply:
        if version == "2":
            if not path.startswith("data/"):
                return Reply({"errors": []}, 404)
            path = path.removeprefix("data/")
        name = f"{mount}/{path}"
        if name.endswith("denied"):
            return Reply({"errors": ["1 error occurred: permission denied"]}, 403)
        if name not in self.secrets:
            return Reply({"errors": []}, 404)
        found = self.secrets[name]
        if version == "1":
            return Reply({"data": found})
        return Reply({"data": {"data": found, "metadata": {"version": 1, "deletion_time": ""}}})


@contextmanager
def vault_server(vault: Vault) -> Generator[Vault]:
    """The server, until the context ends."""
    with misbehaving(vault.answer) as server:
        vault.server = server
        yield vault
