"""Starts what can't say by itself on which port it serves: `launch.py nginx|haproxy|php`.

Fills in a configuration, prints `ready PORT` once the port answers, and ends with its children.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

APPS = pathlib.Path(__file__).parent
PHP_FPM = "php-fpm8.2"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def fill(template, values, folder):
    """Path of the configuration that is `template` with its @NAMES@ filled in."""
    text = (APPS / template).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    path = folder / pathlib.Path(template).name
    path.write_text(text)
    return str(path)


def commands(kind, values, folder):
    match kind:
        case "nginx":
            yield nginx(fill("proxy/nginx.conf", values, folder), folder)
        case "haproxy":
            yield ["haproxy", "-db", "-f", fill("proxy/haproxy.cfg", values, folder)]
        case "php":
            yield [PHP_FPM, "-F", "-R", "-y", fill("php/fpm.conf", values, folder)]
            yield nginx(fill("php/nginx.conf", values, folder), folder)


def nginx(configuration, folder):
    return ["nginx", "-p", str(folder), "-c", configuration, "-e", "stderr"]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except ConnectionRefusedError:
        return False


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="observer-e2e-"))
    port = free_port()
    values = {
        "FOLDER": folder,
        "APPS": APPS.resolve(),
        "PORT": port,
        "UPSTREAM": os.environ["DOWNSTREAM"].removeprefix("http://"),
        "THREADS": os.environ.get("THREADS", "16"),
    }
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    children = []
    try:
        children = [subprocess.Popen(one) for one in commands(sys.argv[1], values, folder)]
        while not answers(port):
            if any(child.poll() is not None for child in children):
                sys.exit("a child ended early")
            time.sleep(0.02)
        # In one write: children share this output.
        os.write(1, f"ready {port}\n".encode())
        children[0].wait()
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait()
        shutil.rmtree(folder)


main()
