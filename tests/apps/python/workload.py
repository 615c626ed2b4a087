"""What every Python service of the test bed does for one request.

The truth id in `id` says which request a call or a log line was made for. It is in URLs and lines
for the scorer alone; the observer must come to the same answer without it.
"""

import json
import os
import random

DOWNSTREAM = os.environ.get("DOWNSTREAM", "http://127.0.0.1:9")
# Most connections that are open to the downstream at a time: calls wait for one another's.
POOL_SIZE = int(os.environ.get("POOL_SIZE", "64"))
BACKGROUND_SECONDS = int(os.environ.get("BG_MS", "50")) / 1000


def trace_id():
    return f"{random.getrandbits(128) or 1:032x}"


def span_id():
    return f"{random.getrandbits(64) or 1:016x}"


def parse(traceparent):
    """Trace-id and parent-id of a valid version 00 `traceparent`, else None."""
    parts = (traceparent or "").split("-")
    if [len(part) for part in parts] != [2, 32, 16, 2] or parts[0] != "00":
        return None
    if not all(c in "0123456789abcdef" for part in parts for c in part):
        return None
    if parts[1] == "0" * 32 or parts[2] == "0" * 16:
        return None
    return parts[1], parts[2]


def malformed(trace, span, variant):
    """A `traceparent` that breaks one rule of W3C Trace Context, level 1, section 3.2."""
    kinds = [
        f"00-{trace[:31]}-{span}-01",
        f"00-{trace[:30].upper()}AB-{span}-01",
        f"ff-{trace}-{span}-01",
        f"00-{'0' * 32}-{span}-01",
        f"00-{trace}-{'0' * 16}-01",
        f"00-{trace[:31]}g-{span}-01",
        f"00-{trace}-{span}",
        f"00-{trace}-{span}-01-extra",
    ]
    return kinds[variant % len(kinds)]


class Work:
    """One request: its query, its inbound context, and what follows from them."""

    # Trace of the request that began last, as a global that a careless library keeps its context in.
    last = None

    def __init__(self, query, traceparent):
        self.id = query.get("id", "none")
        self.mode = query.get("mode", "propagate")
        self.log = query.get("log", "linked")
        self.calls = int(query.get("calls", "2"))
        self.variant = int(query.get("var", "0"))
        self.parallel = query.get("par") == "1"
        self.inbound = traceparent
        context = parse(traceparent)
        self.trace = context[0] if context else trace_id()
        self.leaked, Work.last = Work.last or self.trace, self.trace

    def url(self, n):
        return f"{DOWNSTREAM}/down?id={self.id}&n={n}"

    def headers(self):
        """Propagation headers of one call."""
        span = span_id()
        match self.mode:
            case "propagate":
                return {"traceparent": f"00-{self.trace}-{span}-01"}
            case "leak":
                return {"traceparent": f"00-{self.leaked}-{span}-01"}
            case "restart":
                return {"traceparent": f"00-{trace_id()}-{span}-01"}
            case "forward":
                return {"traceparent": self.inbound} if self.inbound else {}
            case "malformed":
                return {"traceparent": malformed(self.trace, span, self.variant)}
            case "b3" if self.variant % 2:
                return {"b3": f"{self.trace}-{span}-1"}
            case "b3":
                return {"X-B3-TraceId": self.trace, "X-B3-SpanId": span, "X-B3-Sampled": "1"}
            case _:
                return {}

    def line(self, k):
        """Log line `k` of this request: JSON when `k` is even, text when it is odd."""
        field = {
            "linked": ("trace_id", self.trace),
            "zero": ("trace_id", "0" * 32),
            "decimal": ("dd.trace_id", str(int(self.trace[16:], 16))),
        }.get(self.log)
        if k % 2 == 0:
            record = {"level": "info", "message": "step", "id": self.id, "k": k}
            return json.dumps(record | ({field[0]: field[1]} if field else {}))
        return f"INFO step id={self.id} k={k}" + (f" {field[0]}={field[1]}" if field else "")


def background_url(n):
    return f"{DOWNSTREAM}/bg?n={n}"


def background_line(n):
    return json.dumps({"level": "info", "message": "tick", "bg": n})
