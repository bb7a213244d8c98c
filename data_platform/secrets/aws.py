"""Secrets of AWS Secrets Manager, by boto3 of the extra `aws`.

Called by `secrets.stores`. Who asks and where is AWS's usual chain: variables, web identity, role
of the machine; `AWS_ENDPOINT_URL` counts. Messages name the secret and never what it holds.
"""

# ruff: noqa: PLC0415 -- boto3 is imported where a secret is asked for
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportMissingImports=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# boto3 comes without types.

from collections.abc import Mapping
from typing import Any, NoReturn

from data_platform.errors import SecretsUnavailable
from data_platform.spec.references import Reference, VariableError

WHERE = ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION")
"""Variables that tell which store is asked."""
SECONDS = 10
"""Of one try; boto3 makes three."""
_REFUSED = frozenset(
    {
        "AccessDeniedException",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "ExpiredTokenException",
        "MissingAuthenticationToken",
    }
)
_LASTING = frozenset({"InvalidRequestException", "InvalidParameterException", "DecryptionFailure"})


def secret(reference: Reference, environ: Mapping[str, str]) -> str:
    """The text of a secret.

    Raises:
        VariableError: there is none of this name, it may not be read, or it is no text.
        SecretsUnavailable: the store can't be reached, or is busy.
    """
    try:
        import boto3
        from botocore import exceptions
        from botocore.config import Config
    except ImportError:
        raise VariableError(
            f"{reference} needs the package boto3: pip install 'data-platform[aws]'"
        ) from None
    config = Config(
        connect_timeout=SECONDS,
        read_timeout=SECONDS,
        retries={"max_attempts": 3, "mode": "standard"},
    )
    try:
        client = boto3.client(
            "secretsmanager",
            region_name=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION"),
            endpoint_url=environ.get(WHERE[0]) or environ.get(WHERE[1]),
            config=config,
        )
        answer = client.get_secret_value(SecretId=reference.name)
    except exceptions.ClientError as error:
        _refused(reference, error.response.get("Error", {}))
    except exceptions.NoRegionError:
        raise VariableError(
            f"{reference}: nothing says in which region it is: set AWS_REGION"
        ) from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
        raise VariableError(
            f"{reference}: there are no credentials of AWS: set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or give the machine a role"
        ) from None
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise SecretsUnavailable(
            f"{reference}: AWS Secrets Manager can't be reached ({type(error).__name__})"
        ) from None
    except (exceptions.BotoCoreError, ValueError) as error:
        raise VariableError(f"{reference}: AWS can't be asked: {error}") from None
    text = answer.get("SecretString")
    if not isinstance(text, str):
        raise VariableError(f"{reference}: the secret is binary, and only texts can be used")
    return text


def _refused(reference: Reference, told: Mapping[str, Any]) -> NoReturn:
    code = str(told.get("Code", "no reason"))
    if code == "ResourceNotFoundException":
        raise VariableError(
            f"{reference}: there is no secret {reference.name!r} in this account and region"
        ) from None
    if code in _REFUSED:
        raise VariableError(
            f"{reference}: access denied ({code}): the role needs secretsmanager:GetSecretValue "
            "for it, and kms:Decrypt where it has a key of its own"
        ) from None
    if code in _LASTING:
        about = "it is marked for deletion, or its key may not be used"
        raise VariableError(f"{reference}: AWS refuses it ({code}): {about}") from None
    raise SecretsUnavailable(f"{reference}: AWS Secrets Manager answers {code}") from None
