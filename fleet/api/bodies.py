"""Bodies of requests that no framework reads: all of one, or a refusal."""

from __future__ import annotations

import asyncio

from fastapi import HTTPException, Request


async def read_body(request: Request, *, most: int, within_s: float) -> bytes:
    """Return the whole body; who sends half of one holds nothing up.

    Args:
        request: whose.
        most: bytes at most.
        within_s: how long it may take to arrive.

    Raises:
        HTTPException: 413 if it is too large, 408 if it is too late.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise HTTPException(413, f"at most {most} bytes are taken")
    except TimeoutError as error:
        raise HTTPException(408, f"the body did not arrive within {within_s:g} s") from error
    return bytes(body)
