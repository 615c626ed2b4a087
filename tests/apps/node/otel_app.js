// Express and node:http, instrumented with the OpenTelemetry SDK: the SDK alone propagates.
// Spans go to the downstream over OTLP/HTTP, one by one as they end or in batches (PROCESSOR).
'use strict';

const { trace } = require('@opentelemetry/api');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-http');
const { ExpressInstrumentation } = require('@opentelemetry/instrumentation-express');
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');
const { NodeSDK, tracing } = require('@opentelemetry/sdk-node');

const { DOWNSTREAM, Work, background, listen, serve } = require('./workload.js');

const exporter = new OTLPTraceExporter({ url: `${DOWNSTREAM}/v1/traces` });
const processor = process.env.PROCESSOR === 'simple'
  ? new tracing.SimpleSpanProcessor(exporter)
  : new tracing.BatchSpanProcessor(exporter, { scheduledDelayMillis: 200 });
new NodeSDK({
  serviceName: 'otel-node',
  spanProcessors: [processor],
  instrumentations: [new HttpInstrumentation(), new ExpressInstrumentation()],
}).start();

const http = require('node:http');
const express = require('express');

const agent = new http.Agent({ keepAlive: true });
const call = (url) => new Promise((resolve, reject) => {
  http.get(url, { agent }, (response) => {
    response.on('end', resolve).on('error', reject).resume();
  }).on('error', reject);
});

// Adds no header of its own, and logs the trace that the SDK is in.
class SdkWork extends Work {
  constructor(query, traceparent) {
    super(query, traceparent);
    this.trace = trace.getActiveSpan().spanContext().traceId;
  }
}

const app = express();
app.get('/work', async (request, response) => {
  await serve(new SdkWork(request.query, request.headers.traceparent), call);
  response.send('done\n');
});

listen(app);
background(call);
