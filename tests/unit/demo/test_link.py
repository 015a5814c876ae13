from __future__ import annotations

import asyncio

import pytest

from demo.link import Link


async def echo_server() -> asyncio.Server:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
            await writer.drain()
        writer.close()

    return await asyncio.start_server(echo, "127.0.0.1", 0)


async def exchange(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.readexactly(len(data)), 5)
    writer.close()
    await writer.wait_closed()
    return answer


def test_link_forwards_cuts_and_comes_back_on_the_same_port() -> None:
    async def story() -> None:
        async with await echo_server() as server:
            link = Link(server.sockets[0].getsockname()[1])
            await link.restore()
            port = link.port
            assert await exchange(port, b"one") == b"one"

            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"held")
            assert await asyncio.wait_for(reader.readexactly(4), 5) == b"held"
            await link.cut()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(reader.readexactly(1), 5)
            writer.close()
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", port)

            await link.restore()
            assert link.port == port
            assert await exchange(port, b"two") == b"two"
            await link.cut()

    asyncio.run(story())


def test_link_to_nobody_refuses() -> None:
    async def story() -> None:
        async with await echo_server() as server:
            free = server.sockets[0].getsockname()[1]
        link = Link(free)
        await link.restore()
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        writer.close()
        await link.cut()

    asyncio.run(story())
