"""Three Flask services in one process, gateway -> cart -> payments, that know of no tracing.

They call one another with `requests`, each time over a new connection, and log through loguru's
queue (`enqueue=True`), so that another thread writes every line. Each URL and line names the hop
that it belongs to (`id` and `hop`), for the scorer alone.
"""

import os
import threading

import requests
from flask import Flask, request
from loguru import logger
from werkzeug.serving import make_server

import workload

logger.remove()
logger.add(os.environ["LOG_FILE"], enqueue=True, serialize=True)

gateway, cart, payments = Flask("gateway"), Flask("cart"), Flask("payments")
PORTS = {}


def note(service, text):
    hop = request.args["hop"]
    logger.bind(service=service).info(f"{text} id={request.args['id']} hop={hop}")


def call(service, path, hop):
    url = f"http://127.0.0.1:{PORTS[service]}{path}?id={request.args['id']}&hop={hop}"
    requests.get(url).raise_for_status()


@gateway.get("/checkout")
def checkout():
    note("gateway", "checkout begins")
    call("cart", "/cart", "gc")
    note("gateway", "cart is ready")
    call("payments", "/quote", "gq")
    note("gateway", "quote is in")
    note("gateway", "checkout ends")
    return "done\n"


@cart.get("/cart")
def load_cart():
    note("cart", "loading")
    call("payments", "/pay", "cp")
    note("cart", "paid")
    requests.get(f"{workload.DOWNSTREAM}/stock?id={request.args['id']}&hop=cs").raise_for_status()
    note("cart", "stock is reserved")
    note("cart", "loaded")
    return "done\n"


@payments.get("/pay")
def pay():
    note("payments", "charging")
    requests.get(f"{workload.DOWNSTREAM}/bank?id={request.args['id']}&hop=pb").raise_for_status()
    note("payments", "bank has answered")
    note("payments", "booking")
    note("payments", "charged")
    return "done\n"


@payments.get("/quote")
def quote():
    note("payments", "quoting")
    note("payments", "rate is known")
    note("payments", "tax is known")
    note("payments", "quoted")
    return "done\n"


def main():
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    servers = {
        app.name: make_server("127.0.0.1", 0, app, threaded=True) for app in (gateway, cart, payments)
    }
    for name, server in servers.items():
        PORTS[name] = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"ready {PORTS['gateway']}", flush=True)
    threading.Event().wait()


main()
