"""FastAPI under uvicorn, and httpx; the event loop is asyncio's own or uvloop (LOOP).

HANDLER says how requests are served: async, sync (by threads of FastAPI's own), or by the loop's
executor (executor), whose threads begin inside the first request.
"""

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
client = httpx.AsyncClient(limits=httpx.Limits(max_connections=workload.POOL_SIZE), timeout=30)


async def call(url, headers):
    (await client.get(url, headers=headers)).raise_for_status()


async def background():
    n = 0
    while workload.BACKGROUND_SECONDS:
        await asyncio.sleep(workload.BACKGROUND_SECONDS)
        n += 1
        # Every other time by the executor's threads, where these work for requests.
        if n % 2 and os.environ.get("HANDLER") == "executor":
            await asyncio.get_running_loop().run_in_executor(None, blocking_tick, n)
        else:
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


async def work_async(request: fastapi.Request):
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


blocking = httpx.Client(limits=httpx.Limits(max_connections=workload.POOL_SIZE), timeout=30)


def blocking_tick(n):
    blocking.get(workload.background_url(n)).raise_for_status()
    log(workload.background_line(n))


def blocking_step(job, n):
    blocking.get(job.url(n), headers=job.headers()).raise_for_status()
    if n <= 2:
        log(job.line(n))


def work_sync(request: fastapi.Request):
    job = workload.Work(request.query_params, request.headers.get("traceparent"))
    log(job.line(0))
    for n in range(1, job.calls + 1):
        blocking_step(job, n)
    for k in range(min(job.calls, 2) + 1, 4):
        log(job.line(k))
    return "done\n"


async def work_executor(request: fastapi.Request):
    job = workload.Work(request.query_params, request.headers.get("traceparent"))
    log(job.line(0))
    loop = asyncio.get_running_loop()
    steps = (loop.run_in_executor(None, blocking_step, job, n) for n in range(1, job.calls + 1))
    if job.parallel:
        await asyncio.gather(*steps)
    else:
        for one in steps:
            await one
    for k in range(min(job.calls, 2) + 1, 4):
        log(job.line(k))
    return "done\n"


HANDLERS = {"async": work_async, "sync": work_sync, "executor": work_executor}
handler = HANDLERS[os.environ.get("HANDLER", "async")]
app.get("/work", response_class=PlainTextResponse)(handler)


def main():
    listener = socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "0"))))
    loop = os.environ.get("LOOP", "asyncio")
    server = uvicorn.Server(uvicorn.Config(app, loop=loop, log_level="error", access_log=False))
    print(f"ready {listener.getsockname()[1]}", flush=True)
    server.run(sockets=[listener])


main()
