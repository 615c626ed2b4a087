"""gunicorn with threaded workers (`gthread`)."""

import os

bind = "127.0.0.1:" + os.environ.get("PORT", "0")
worker_class = "gthread"
workers = int(os.environ.get("WORKERS", "1"))
threads = int(os.environ.get("THREADS", "16"))
keepalive = 5
loglevel = "error"


def when_ready(server):
    print(f"ready {server.LISTENERS[0].sock.getsockname()[1]}", flush=True)


def post_worker_init(worker):
    import flask_app

    flask_app.start_background()
