"""FastAPI under uvicorn, and httpx; the event loop is asyncio's own or uvloop (LOOP)."""

import asyncio
import contextlib
import os
import socket

import fastapi
import httpx
import uvicorn
from fastapi.responses import PlainTextResponse

import loggers
import workload

log = loggers.make("direct")
client = httpx.AsyncClient(limits=httpx.Limits(max_connections=32), timeout=30)


async def call(url, headers):
    (await client.get(url, headers=headers)).raise_for_status()


async def background():
    n = 0
    while workload.BACKGROUND_SECONDS:
        await asyncio.sleep(workload.BACKGROUND_SECONDS)
        n += 1
        await call(workload.background_url(n), {})
        log(workload.background_line(n))


@contextlib.asynccontextmanager
async def lifespan(_app):
    task = asyncio.create_task(background())
    yield
    task.cancel()


app = fastapi.FastAPI(lifespan=lifespan)


async def step(job, n):
    await call(job.url(n), job.headers())
    if n <= 2:
        log(job.line(n))


@app.get("/work", response_class=PlainTextResponse)
async def work(request: fastapi.Request):
    job = workload.Work(request.query_params, request.headers.get("traceparent"))
    log(job.line(0))
    numbers = range(1, job.calls + 1)
    if job.parallel:
        await asyncio.gather(*(step(job, n) for n in numbers))
    else:
        for n in numbers:
            await step(job, n)
    for k in range(min(job.calls, 2) + 1, 4):
        log(job.line(k))
    return "done\n"


def main():
    listener = socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "0"))))
    loop = os.environ.get("LOOP", "asyncio")
    server = uvicorn.Server(uvicorn.Config(app, loop=loop, log_level="error", access_log=False))
    print(f"ready {listener.getsockname()[1]}", flush=True)
    server.run(sockets=[listener])


main()
