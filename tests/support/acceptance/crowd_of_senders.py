"""Many senders at a time, each with a connection of its own that it keeps."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit


async def push_from_all(
    addresses: Sequence[str],
    senders: int,
    pushes: int,
    body: Callable[[int, int], Any],
) -> Counter[int]:
    """Post `pushes` bodies from each of the senders, spread over the addresses; count the statuses.

    body: (sender, push) → what it posts.
    """
    answers = Counter[int]()

    async def send(sender: int) -> None:
        url = urlsplit(addresses[sender % len(addresses)])
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        for number in range(pushes):
            content = json.dumps(body(sender, number)).encode()
            head = (
                f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
            )
            writer.write(head.encode() + content)
            answers[await _status(reader)] += 1
        writer.close()

    await asyncio.gather(*map(send, range(senders)))
    return answers


async def _status(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    _, _, length = head.partition("content-length:")
    await reader.readexactly(int(length.split("\r\n", 1)[0] or 0))
    return int(head.split()[1])
