"""A server of objects: the files of a folder by ranges, each answer some milliseconds late.

    object_server.py FOLDER MILLISECONDS

Prints its port. Knows just as much of S3's protocol as reading needs. moto isn't it: it copies a
whole object for each range of it.
"""

import asyncio
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote

FOLDER, LATE = Path(sys.argv[1]), int(sys.argv[2]) / 1000
_RANGE = re.compile(r"^range: *bytes=(\d+)-(\d+)", re.IGNORECASE | re.MULTILINE)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1")
            path = unquote(head.split(" ", 2)[1]).split("/", 2)[2]
            wanted = _RANGE.search(head)
            await asyncio.sleep(LATE)
            with (FOLDER / path).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                start, end = (int(wanted[1]), int(wanted[2]) + 1) if wanted else (0, size)
                file.seek(start)
                content = file.read(end - start)
            writer.write(
                f"HTTP/1.1 206 Partial Content\r\nContent-Length: {len(content)}\r\n"
                f"Content-Range: bytes {start}-{start + len(content) - 1}/{size}\r\n"
                'ETag: "x"\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n'.encode()
            )
            writer.write(content)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
