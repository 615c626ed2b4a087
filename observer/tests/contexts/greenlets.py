"""As server.py, with gevent: a greenlet for each connection."""

from gevent import monkey

monkey.patch_all()

import contextvars
import os
import socket
import threading

import gevent
from gevent.server import StreamServer

DOWNSTREAM = int(os.environ["DOWNSTREAM"])
current = contextvars.ContextVar("current")
pool = []


def log(number):
    os.write(1, b"line %s\n" % number.encode())


def call(number, n):
    log(number)
    connection = pool.pop() if pool else socket.create_connection(("127.0.0.1", DOWNSTREAM))
    connection.sendall(f"GET /{number}/{n} HTTP/1.1\r\nHost: downstream\r\n\r\n".encode())
    connection.recv(4096)
    pool.append(connection)


def direct(number):
    for n in range(3):
        call(number, n)


def children(number):
    """A thread, which is a greenlet, in each of three greenlets."""

    def one(n):
        thread = threading.Thread(target=call, args=(number, n))
        thread.start()
        thread.join()

    gevent.joinall([gevent.spawn(one, n) for n in range(3)], raise_error=True)


def serve(connection, _address):
    while request := connection.recv(4096):
        _, mode, number = request.split()[1].decode().split("/")
        current.set(number)
        globals()[mode](number)
        connection.sendall(f"HTTP/1.1 200 OK\r\nX-Number: {number}\r\nContent-Length: 0\r\n\r\n".encode())


server = StreamServer(("127.0.0.1", 0), serve)
server.start()
os.write(1, b"ready %d\n" % server.server_port)
server.serve_forever()
