"""aiohttp on both sides: every request on one event loop."""

import asyncio
import logging
import os

import aiohttp
from aiohttp import web

import loggers
import workload

log = loggers.make("direct")
logging.getLogger("aiohttp.access").setLevel(logging.ERROR)
CLIENT = web.AppKey("client", aiohttp.ClientSession)


async def call(client, url, headers):
    async with client.get(url, headers=headers) as response:
        response.raise_for_status()
        await response.read()


async def step(client, job, n):
    await call(client, job.url(n), job.headers())
    if n <= 2:
        log(job.line(n))


async def work(request):
    job = workload.Work(request.query, request.headers.get("traceparent"))
    log(job.line(0))
    steps = [step(request.app[CLIENT], job, n) for n in range(1, job.calls + 1)]
    if job.parallel:
        await asyncio.gather(*steps)
    else:
        for one in steps:
            await one
    for k in range(min(job.calls, 2) + 1, 4):
        log(job.line(k))
    return web.Response(text="done\n")


async def background(client):
    n = 0
    while True:
        await asyncio.sleep(workload.BACKGROUND_SECONDS)
        n += 1
        await call(client, workload.background_url(n), {})
        log(workload.background_line(n))


async def main():
    connector = aiohttp.TCPConnector(limit=workload.POOL_SIZE)
    async with aiohttp.ClientSession(connector=connector) as client:
        app = web.Application()
        app[CLIENT] = client
        app.router.add_get("/work", work)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(os.environ.get("PORT", "0"))).start()
        print(f"ready {runner.addresses[0][1]}", flush=True)
        if workload.BACKGROUND_SECONDS:
            await background(client)
        else:
            await asyncio.Event().wait()


asyncio.run(main())
