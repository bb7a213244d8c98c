"""Secrets of HashiCorp Vault's key-value engines, versions 1 and 2, by hvac of the extra `vault`.

Called by `secrets.stores`. Where and who is in the variables of Vault's own command, and for
machines in those of AppRole or Kubernetes. Messages name the secret and never what it holds.
"""

# ruff: noqa: PLC0415 -- hvac is imported where a secret is asked for
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportMissingImports=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false
# hvac comes with few types.

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_platform.errors import SecretsUnavailable
from data_platform.spec.references import Reference, VariableError

ADDRESS, NAMESPACE = "VAULT_ADDR", "VAULT_NAMESPACE"
WHERE = (ADDRESS, NAMESPACE)
"""Variables that tell which store is asked."""
SECONDS = 10
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
"""Where Kubernetes puts the token of a pod."""
_ENGINES = "/v1/sys/internal/ui/mounts/"
"""Tells engine and version of a path, to whoever may read there; Vault's command asks it too."""


def secret(reference: Reference, environ: Mapping[str, str]) -> dict[str, Any]:
    """The values of a secret, by their keys.

    Raises:
        VariableError: there is none at the path, or nobody may read it.
        SecretsUnavailable: the store can't be reached, is sealed or busy.
    """
    try:
        import hvac
    except ImportError:
        raise VariableError(
            f"{reference} needs the package hvac: pip install 'data-platform[vault]'"
        ) from None
    address = environ.get(ADDRESS)
    if not address:
        raise VariableError(f"{reference}: nothing says where Vault is: set {ADDRESS}")
    with _in_words(reference):
        client = hvac.Client(
            url=address,
            token=environ.get("VAULT_TOKEN") or None,
            namespace=environ.get(NAMESPACE) or None,
            verify=environ.get("VAULT_CACERT") or True,
            timeout=SECONDS,
        )
        _log_in(client, reference, environ)
        mount, path, version = _engine(client, reference.name)
        if version == 1:
            answer = client.secrets.kv.v1.read_secret(path, mount_point=mount)
            return dict(answer["data"])
        answer = client.secrets.kv.v2.read_secret_version(
            path, mount_point=mount, raise_on_deleted_version=True
        )
        return dict(answer["data"]["data"])


def _log_in(client: Any, reference: Reference, environ: Mapping[str, str]) -> None:
    """Take a token where the environment gives none: a machine's own login."""
    role, given = environ.get("VAULT_ROLE_ID"), environ.get("VAULT_SECRET_ID")
    kubernetes = environ.get("VAULT_KUBERNETES_ROLE")
    if environ.get("VAULT_TOKEN"):
        return
    if role:
        client.auth.approle.login(role, given)
    elif kubernetes:
        try:
            pod = SERVICE_ACCOUNT.read_text().strip()
        except OSError as error:
            raise VariableError(
                f"{reference}: VAULT_KUBERNETES_ROLE is set, and {SERVICE_ACCOUNT} can't be read: "
                f"{error.strerror}"
            ) from None
        client.auth.kubernetes.login(kubernetes, pod)
    elif not client.token:
        raise VariableError(
            f"{reference}: nothing says who asks Vault: set VAULT_TOKEN, or VAULT_ROLE_ID and "
            "VAULT_SECRET_ID, or VAULT_KUBERNETES_ROLE"
        )


def _engine(client: Any, name: str) -> tuple[str, str, int]:
    """The engine's mount, the path in it, and its version; 2 where Vault doesn't tell."""
    from hvac.exceptions import Forbidden, InvalidPath

    mount, _, path = name.partition("/")
    try:
        told = client.adapter.get(f"{_ENGINES}{name}").get("data") or {}
    except (Forbidden, InvalidPath):
        return mount, path, 2
    whole = str(told.get("path") or f"{mount}/").strip("/")
    if name.startswith(f"{whole}/"):
        mount, path = whole, name.removeprefix(f"{whole}/")
    return mount, path, 2 if (told.get("options") or {}).get("version") == "2" else 1


@contextmanager
def _in_words(reference: Reference) -> Generator[None]:
    from hvac import exceptions
    from requests.exceptions import RequestException

    try:
        yield
    except exceptions.InvalidPath:
        raise VariableError(
            f"{reference}: Vault has no secret at {reference.name}, or it was deleted"
        ) from None
    except (exceptions.Forbidden, exceptions.Unauthorized):
        raise VariableError(
            f"{reference}: Vault denies it: the token has ended, or its policy doesn't let it read "
            f"{reference.name}"
        ) from None
    except (exceptions.VaultDown, exceptions.VaultNotInitialized):
        raise SecretsUnavailable(
            f"{reference}: Vault is sealed, or a standby without a leader"
        ) from None
    except (exceptions.InvalidRequest, exceptions.ParamValidationError):
        raise VariableError(
            f"{reference}: Vault refuses what it was asked: are role and secret of the login right?"
        ) from None
    except (exceptions.VaultError, RequestException) as error:
        raise SecretsUnavailable(
            f"{reference}: Vault can't be reached, or has trouble ({type(error).__name__})"
        ) from None
