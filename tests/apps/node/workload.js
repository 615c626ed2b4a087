// What the Node services do for one request; the other languages have the same module.
'use strict';

const { randomBytes } = require('node:crypto');

const DOWNSTREAM = process.env.DOWNSTREAM ?? 'http://127.0.0.1:9';
// Most connections that are open to the downstream at a time: calls wait for one another's.
const POOL_SIZE = Number(process.env.POOL_SIZE ?? 64);
const BACKGROUND_MS = Number(process.env.BG_MS ?? 50);

const id = (bytes) => randomBytes(bytes).toString('hex').replace(/^00/, '01');
const traceId = () => id(16);
const spanId = () => id(8);
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

// A traceparent that breaks one rule of W3C Trace Context level 1, section 3.2.
function malformed(trace, span, variant) {
  const kinds = [
    `00-${trace.slice(0, 31)}-${span}-01`,
    `00-${trace.slice(0, 30).toUpperCase()}AB-${span}-01`,
    `ff-${trace}-${span}-01`,
    `00-${'0'.repeat(32)}-${span}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace.slice(0, 31)}g-${span}-01`,
    `00-${trace}-${span}`,
    `00-${trace}-${span}-01-extra`,
  ];
  return kinds[variant % kinds.length];
}

// Trace of the request that began last, as a global that a careless library keeps its context in.
let last;

class Work {
  constructor(query, traceparent) {
    this.id = query.id ?? 'none';
    this.mode = query.mode ?? 'propagate';
    this.log = query.log ?? 'linked';
    this.calls = Number(query.calls ?? 2);
    this.variant = Number(query.var ?? 0);
    this.parallel = query.par === '1';
    this.inbound = traceparent;
    this.trace = TRACEPARENT.exec(traceparent ?? '')?.[1] ?? traceId();
    this.leaked = last ?? this.trace;
    last = this.trace;
  }

  url(n) {
    return `${DOWNSTREAM}/down?id=${this.id}&n=${n}`;
  }

  headers() {
    const span = spanId();
    switch (this.mode) {
      case 'propagate':
        return { traceparent: `00-${this.trace}-${span}-01` };
      case 'leak':
        return { traceparent: `00-${this.leaked}-${span}-01` };
      case 'restart':
        return { traceparent: `00-${traceId()}-${span}-01` };
      case 'forward':
        return this.inbound ? { traceparent: this.inbound } : {};
      case 'malformed':
        return { traceparent: malformed(this.trace, span, this.variant) };
      case 'b3':
        return this.variant % 2
          ? { b3: `${this.trace}-${span}-1` }
          : { 'X-B3-TraceId': this.trace, 'X-B3-SpanId': span, 'X-B3-Sampled': '1' };
      default:
        return {};
    }
  }

  // Log line k: JSON when k is even, text when it is odd.
  line(k) {
    const fields = {
      linked: ['trace_id', this.trace],
      zero: ['trace_id', '0'.repeat(32)],
      decimal: ['dd.trace_id', BigInt(`0x${this.trace.slice(16)}`).toString()],
    };
    const field = fields[this.log];
    if (k % 2 === 0) {
      const record = { level: 'info', message: 'step', id: this.id, k };
      return JSON.stringify(field ? { ...record, [field[0]]: field[1] } : record);
    }
    return `INFO step id=${this.id} k=${k}${field ? ` ${field[0]}=${field[1]}` : ''}`;
  }
}

// Serves `job` with `call(url, headers)` for calls and `log(line)` for lines.
async function serve(job, call, log = console.log) {
  const step = async (n) => {
    await call(job.url(n), job.headers());
    if (n <= 2) log(job.line(n));
  };
  log(job.line(0));
  const calls = Array.from({ length: job.calls }, (_, i) => i + 1);
  if (job.parallel) await Promise.all(calls.map(step));
  else for (const n of calls) await step(n);
  for (let k = Math.min(job.calls, 2) + 1; k < 4; k += 1) log(job.line(k));
}

// A call by fetch, for services that do not choose another client.
async function fetchCall(url, headers) {
  const response = await fetch(url, { headers });
  await response.arrayBuffer();
}

async function background(call, log = console.log) {
  for (let n = 1; BACKGROUND_MS > 0; n += 1) {
    await new Promise((resolve) => { setTimeout(resolve, BACKGROUND_MS); });
    await call(`${DOWNSTREAM}/bg?n=${n}`, {});
    log(JSON.stringify({ level: 'info', message: 'tick', bg: n }));
  }
}

function listen(app) {
  const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
    console.log(`ready ${server.address().port}`);
  });
}

module.exports = {
  DOWNSTREAM, POOL_SIZE, Work, background, fetchCall, listen, serve,
};
