"""gunicorn with threaded workers (`gthread`), or with WORKER_CLASS=sync a process per request."""

import os

bind = "127.0.0.1:" + os.environ.get("PORT", "0")
worker_class = os.environ.get("WORKER_CLASS", "gthread")
workers = 4 if worker_class == "sync" else 1
threads = int(os.environ.get("THREADS", "16"))
keepalive = 5
loglevel = "error"


def when_ready(server):
    print(f"ready {server.LISTENERS[0].sock.getsockname()[1]}", flush=True)


def post_worker_init(worker):
    import flask_app

    flask_app.start_background()
