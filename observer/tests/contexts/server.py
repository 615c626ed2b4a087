"""A server whose requests, and the calls made for them, carry the request's number.

Path of a request: /MODE/NUMBER. A request makes three calls to the port DOWNSTREAM, at
/NUMBER/CALL, and writes a line "line NUMBER" for each. With LISTENER lines may be logged through a queue.
"""

import asyncio
import concurrent.futures.thread  # noqa: F401 - what it imports is looked for at the start
import contextvars
import logging
import logging.handlers
import os
import queue
import socket
import time

DOWNSTREAM = int(os.environ["DOWNSTREAM"])
pool = []
# asyncio itself refers to readers weakly: what waits for one could be collected as garbage.
kept = []


def log(number):
    os.write(1, b"line %s\n" % number.encode())


def head(path):
    return f"GET /{path} HTTP/1.1\r\nHost: downstream\r\n\r\n".encode()


async def connect():
    kept.append(await asyncio.open_connection("127.0.0.1", DOWNSTREAM))
    return kept[-1]


async def call(number, n):
    log(number)
    reader, writer = pool.pop() if pool else await connect()
    writer.write(head(f"{number}/{n}"))
    await reader.readuntil(b"\r\n\r\n")
    pool.append((reader, writer))


def blocking_call(number, n):
    log(number)
    with socket.create_connection(("127.0.0.1", DOWNSTREAM)) as connection:
        connection.sendall(head(f"{number}/{n}"))
        connection.recv(4096)


async def direct(number):
    for n in range(3):
        await call(number, n)


async def child(number, n):
    await asyncio.gather(call(number, n), asyncio.sleep(0))


async def children(number):
    await asyncio.gather(*(child(number, n) for n in range(3)))


async def later(number):
    loop = asyncio.get_running_loop()
    for n in range(3):
        done = loop.create_future()

        def begin():
            loop.create_task(call(number, n)).add_done_callback(done.set_result)

        loop.call_later(0.001, begin)
        await done


async def fresh(number):
    for n in range(3):
        context = contextvars.Context()
        await context.run(asyncio.get_running_loop().create_task, call(number, n))


async def executor(number):
    loop = asyncio.get_running_loop()
    calls = (loop.run_in_executor(None, blocking_call, number, n) for n in range(3))
    await asyncio.gather(*calls)


async def thread(number):
    await asyncio.gather(*(asyncio.to_thread(blocking_call, number, n) for n in range(3)))


class Writer(logging.Handler):
    def emit(self, record):
        log(record.getMessage())


lines = queue.Queue()
if os.environ.get("LISTENER"):
    logging.handlers.QueueListener(lines, Writer()).start()
    handler = logging.handlers.QueueHandler(lines)
    logging.basicConfig(format="%(message)s", level=logging.INFO, handlers=[handler])
    while not lines.not_empty._waiters:
        time.sleep(0.001)


async def logged(number):
    for _ in range(3):
        logging.info(number)
        await asyncio.sleep(0)
    while lines.unfinished_tasks:
        await asyncio.sleep(0.001)


async def serve(reader, writer):
    kept.append((reader, writer))
    try:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            _, mode, number = request.split()[1].decode().split("/")
            await globals()[mode](number)
            writer.write(f"HTTP/1.1 200 OK\r\nX-Number: {number}\r\nContent-Length: 0\r\n\r\n".encode())
    except asyncio.IncompleteReadError:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    os.write(1, b"ready %d\n" % server.sockets[0].getsockname()[1])
    await server.serve_forever()


if os.environ.get("LOOP") == "uvloop":
    import uvloop

    uvloop.install()
asyncio.run(main())
