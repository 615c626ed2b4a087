"""Flask under gevent, everything patched: every request is a greenlet on one thread."""

from gevent import monkey

monkey.patch_all()

import os

from gevent.pywsgi import WSGIServer

import flask_app

server = WSGIServer(
    ("127.0.0.1", int(os.environ.get("PORT", "0"))), flask_app.app, log=None, error_log=None
)
server.start()
print(f"ready {server.server_port}", flush=True)
flask_app.start_background()
server.serve_forever()
