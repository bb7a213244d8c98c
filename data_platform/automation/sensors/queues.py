"""A queue of SQS in which a bucket tells of its objects, by boto3 of the extra `aws`.

Called by `queue_sensor`. Where it is stands in its URL; who asks is the connection, or AWS's usual
chain. Must not know Dagster.
"""

# ruff: noqa: PLC0415 -- boto3 is imported where a queue is asked
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportMissingImports=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# boto3 comes without types.

import json
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from data_platform.errors import SourceError, SourceUnavailable
from data_platform.spec.platform import S3Connection

BATCH = 10
"""Messages that SQS gives, and deletes, at once."""
MOST = 100
"""Messages of one tick; the rest comes with the next."""
HIDDEN = 120
"""Seconds for which nobody else sees a message: more than a tick may take."""
_REGION = re.compile(r"sqs[.-]([a-z0-9-]+)\.amazonaws\.")


@dataclass(frozen=True)
class Message:
    """A message, received and not deleted yet.

    Attributes:
        receipt: by which it is deleted.
        objects: `s3://` addresses that it tells of; None where it says something else, which may
            mean anything.
    """

    receipt: str
    objects: tuple[str, ...] | None


class Queue:
    """A queue.

    Args:
        url: of it.
        connection: who asks; None means the usual chain.

    Raises:
        SourceError: boto3 isn't installed, or the URL is none.
    """

    def __init__(self, url: str, connection: S3Connection | None) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise SourceError(
                "`queue` needs the package boto3: pip install 'data-platform[aws]'"
            ) from None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise SourceError(
                f"{url!r} is no URL of a queue: https://sqs.<region>.amazonaws.com/.."
            )
        self.url = url
        found = _REGION.search(parts.netloc)
        region = found[1] if found else connection and connection.region
        with self._in_words():
            self._client: Any = boto3.client(
                "sqs",
                endpoint_url=f"{parts.scheme}://{parts.netloc}",
                region_name=region or None,
                aws_access_key_id=connection.access_key_id if connection else None,
                aws_secret_access_key=connection.secret_access_key if connection else None,
                config=Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 2}),
            )

    def receive(self) -> list[Message]:
        """Messages, which nobody else sees for a while."""
        found: list[Message] = []
        with self._in_words():
            while len(found) < MOST:
                answer = self._client.receive_message(
                    QueueUrl=self.url, MaxNumberOfMessages=BATCH, VisibilityTimeout=HIDDEN
                )
                batch = answer.get("Messages", [])
                found += [Message(one["ReceiptHandle"], objects_of(one["Body"])) for one in batch]
                if not batch:
                    break
        return found

    def delete(self, receipts: Sequence[str]) -> None:
        """Delete messages; one that came back to the queue meanwhile stays there."""
        with self._in_words():
            for start in range(0, len(receipts), BATCH):
                self._client.delete_message_batch(
                    QueueUrl=self.url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": receipt}
                        for number, receipt in enumerate(receipts[start : start + BATCH])
                    ],
                )

    @contextmanager
    def _in_words(self) -> Generator[None]:
        from botocore import exceptions

        try:
            yield
        except exceptions.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "no reason"))
            raise SourceError(f"the queue {self.url} refuses: {code}") from None
        except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
            raise SourceUnavailable(
                f"the queue {self.url} can't be reached ({type(error).__name__})"
            ) from None
        except (exceptions.BotoCoreError, ValueError) as error:
            raise SourceError(f"the queue {self.url} can't be asked: {error}") from None


def objects_of(body: str) -> tuple[str, ...] | None:
    """The objects that an event of S3 tells of; None where it is no such event."""
    try:
        records = json.loads(body)["Records"]
        return tuple(
            f"s3://{one['s3']['bucket']['name']}/{unquote_plus(one['s3']['object']['key'])}"
            for one in records
        )
    except (ValueError, KeyError, TypeError):
        return None
