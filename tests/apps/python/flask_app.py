"""Flask and `requests`; run by itself (werkzeug, a thread per connection) or by gunicorn."""

import logging
import os
import sys
import threading
import time

import requests
from flask import Flask, request
from requests.adapters import HTTPAdapter

import workload

logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
logging.getLogger("werkzeug").setLevel(logging.ERROR)
log = logging.getLogger("app")
app = Flask(__name__)


def client():
    """One pooled session for all threads, or a new connection for each call."""
    if os.environ.get("POOL", "1") == "0":
        return requests
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=64))
    return session


http = client()
TIMEOUT = float(os.environ["TIMEOUT"]) if "TIMEOUT" in os.environ else None


@app.get("/work")
def work():
    job = workload.Work(request.args, request.headers.get("traceparent"))
    log.info(job.line(0))
    for n in range(1, job.calls + 1):
        http.get(job.url(n), headers=job.headers(), timeout=TIMEOUT).raise_for_status()
        if n <= 2:
            log.info(job.line(n))
    for k in range(min(job.calls, 2) + 1, 4):
        log.info(job.line(k))
    return "done\n"


def background():
    n = 0
    while True:
        time.sleep(workload.BACKGROUND_SECONDS)
        n += 1
        http.get(workload.background_url(n), timeout=TIMEOUT)
        log.info(workload.background_line(n))


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
