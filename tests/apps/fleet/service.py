"""A service of the fleet: Flask, a thread per connection; requests.

FAULT=drop sends 7 in 100 of the calls to its first peer without context. FAULT=zero logs zeros for
trace-ids.
"""

import json
import logging
import os
import random
import re
import threading

import requests
from flask import Flask, request
from requests.adapters import HTTPAdapter
from werkzeug.serving import make_server

PEERS = [peer.split("=", 1) for peer in os.environ.get("PEERS", "").split()]
FAULT = os.environ.get("FAULT")
TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

logging.getLogger("werkzeug").setLevel(logging.ERROR)
app = Flask(__name__)
http = requests.Session()
http.mount("http://", HTTPAdapter(pool_maxsize=64))
counting = threading.Lock()
calls = 0


def is_dropped(peer):
    """Seven in each hundred calls, evenly."""
    global calls
    if FAULT != "drop" or peer != PEERS[0][0]:
        return False
    with counting:
        calls += 1
        return calls * 7 % 100 < 7


def say(trace, message, **more):
    zero = FAULT == "zero"
    line = {"level": "info", "message": message, **more}
    line |= {"log": "zero" if zero else "linked", "trace_id": "0" * 32 if zero else trace}
    os.write(1, f"{json.dumps(line)}\n".encode())


@app.get("/", defaults={"path": ""})
@app.get("/<path:path>")
def serve(path):
    found = TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    trace = found[1] if found else f"{random.getrandbits(128) or 1:032x}"
    for peer, url in PEERS:
        dropped = is_dropped(peer)
        span = f"{random.getrandbits(64) or 1:016x}"
        headers = {} if dropped else {"traceparent": f"00-{trace}-{span}-01"}
        http.get(f"{url}/{peer}", headers=headers).raise_for_status()
        say(trace, "called", to=peer, sent="dropped" if dropped else "propagated")
    say(trace, "served")
    return "done\n"


host, port = os.environ["LISTEN"].rsplit(":", 1)
server = make_server(host, int(port), app, threaded=True)
os.write(1, b"ready\n")
server.serve_forever()
