"""One service of a chain: it serves `/ID`, logs a line, and calls NEXT/ID.

TRACING says what it knows of tracing: `otel`, instrumented with the OpenTelemetry SDK, which exports
over OTLP/HTTP; or `none`, nothing at all, so that what comes in does not go out.
"""

import os
import threading

import flask
import requests
from werkzeug.serving import make_server

NAME = os.environ["OTEL_SERVICE_NAME"]
NEXT = os.environ["NEXT"]

app = flask.Flask(NAME)


@app.get("/<request_id>")
def serve(request_id):
    os.write(1, f"{NAME} works on {request_id}\n".encode())
    requests.get(f"{NEXT}/{request_id}").raise_for_status()
    return "done\n"


def instrument():
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.instrumentation.requests import RequestsInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    exporter = OTLPSpanExporter()
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=65536, schedule_delay_millis=200)
    )
    trace.set_tracer_provider(provider)
    FlaskInstrumentor().instrument_app(app)
    RequestsInstrumentor().instrument()


def main():
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    if os.environ["TRACING"] == "otel":
        instrument()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"ready {server.server_port}", flush=True)
    threading.Event().wait()


main()
