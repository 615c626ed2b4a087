"""Flask and `requests`, instrumented with the OpenTelemetry SDK: the SDK alone propagates.

Spans go to the downstream over OTLP/HTTP, one by one as they end or in batches (PROCESSOR).
"""

import os

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

import flask_app
import workload

PROCESSORS = {
    "simple": SimpleSpanProcessor,
    "batch": lambda exporter: BatchSpanProcessor(exporter, schedule_delay_millis=200),
}

provider = TracerProvider(resource=Resource.create({"service.name": "otel-python"}))
exporter = OTLPSpanExporter(endpoint=f"{workload.DOWNSTREAM}/v1/traces")
provider.add_span_processor(PROCESSORS[os.environ.get("PROCESSOR", "batch")](exporter))
trace.set_tracer_provider(provider)
FlaskInstrumentor().instrument_app(flask_app.app)
RequestsInstrumentor().instrument()


class SdkWork(workload.Work):
    """Adds no header of its own, and logs the trace that the SDK is in."""

    def __init__(self, query, traceparent):
        super().__init__(query, traceparent)
        self.trace = f"{trace.get_current_span().get_span_context().trace_id:032x}"

    def headers(self):
        return {}


workload.Work = SdkWork
flask_app.main()
