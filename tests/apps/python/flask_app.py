"""Flask and `requests`; run by itself (werkzeug, a thread per connection) or by gunicorn.

CALLS=pool hands every call to a pool of threads. Without it, calls are made by the request's own
thread, or, in parallel, by one new thread each. LOGGER says who writes the lines.
"""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from flask import Flask, request
from requests.adapters import HTTPAdapter

import loggers
import workload

log = loggers.make(os.environ.get("LOGGER", "direct"))
app = Flask(__name__)


def client():
    """One pooled session for all threads, or a new connection for each call."""
    if os.environ.get("POOL", "1") == "0":
        return requests
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=workload.POOL_SIZE, pool_block=True))
    return session


http = client()
TIMEOUT = float(os.environ["TIMEOUT"]) if "TIMEOUT" in os.environ else None


POOL = (
    ThreadPoolExecutor(int(os.environ.get("THREADS", "16")))
    if os.environ.get("CALLS") == "pool"
    else None
)


def step(job, n):
    http.get(job.url(n), headers=job.headers(), timeout=TIMEOUT).raise_for_status()
    if n <= 2:
        log(job.line(n))


def all_steps(job):
    numbers = range(1, job.calls + 1)
    if POOL and job.parallel:
        for future in [POOL.submit(step, job, n) for n in numbers]:
            future.result()
    elif POOL:
        for n in numbers:
            POOL.submit(step, job, n).result()
    elif job.parallel:
        threads = [threading.Thread(target=step, args=(job, n)) for n in numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        for n in numbers:
            step(job, n)


@app.get("/work")
def work():
    job = workload.Work(request.args, request.headers.get("traceparent"))
    log(job.line(0))
    all_steps(job)
    for k in range(min(job.calls, 2) + 1, 4):
        log(job.line(k))
    return "done\n"


def tick(n):
    http.get(workload.background_url(n), timeout=TIMEOUT)
    log(workload.background_line(n))


def background():
    n = 0
    while True:
        time.sleep(workload.BACKGROUND_SECONDS)
        n += 1
        # Every other time by the same threads that work for requests, if there are any.
        if POOL and n % 2:
            POOL.submit(tick, n).result()
        else:
            tick(n)


def start_background():
    if workload.BACKGROUND_SECONDS:
        threading.Thread(target=background, daemon=True).start()


def main():
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", int(os.environ.get("PORT", "0")), app, threaded=True)
    print(f"ready {server.server_port}", flush=True)
    start_background()
    server.serve_forever()


if __name__ == "__main__":
    main()
