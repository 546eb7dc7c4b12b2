# SPDX-License-Identifier: MIT
"""A server of streams: most turns of its loop wait for no time."""
import asyncio

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nhello, world\n"


async def answer(reader, writer):
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", int("@PORT@"))
    await server.serve_forever()


asyncio.run(main())
