"""An OTLP/HTTP JSON sink that measures how old each span is when it comes: `python -m benchmarks.lag_server`.

Prints its port; on a line of standard input it prints the ages so far, in seconds, as JSON.
"""

from __future__ import annotations

import asyncio
import sys
import time

import orjson

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_ages: list[float] = []


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            data = orjson.loads(await reader.readexactly(length))
            now = time.time()
            for group in data.get("resourceSpans", ()):
                for part in group["scopeSpans"]:
                    _ages.extend(now - int(span["endTimeUnixNano"]) / 1e9 for span in part["spans"])
            writer.write(_OK)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, limit=1 << 22)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(orjson.dumps(_ages).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
