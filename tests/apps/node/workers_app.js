// node:http in the main thread, which hands every request to one of four worker threads.
// GIVES_UP=1: each worker has few connections, and of its first requests those with calls in parallel begin one more, which
// they give up soon: whoever waits gets the connection that was opened for it.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const { Worker, isMainThread, parentPort } = require('node:worker_threads');
const {
  DOWNSTREAM, POOL_SIZE, Work, background, fetchCall, listen, serve,
} = require('./workload.js');

// In a worker, console.log would pass through the main thread.
const log = (line) => fs.writeSync(1, `${line}\n`);

// How soon a call is given up that nobody needs, milliseconds.
const IMPATIENCE_MS = 5;

// So many requests of a worker give one up.
const IMPATIENT = 4;

// What serves a request with few connections, which has some opened in vain.
function impatient() {
  void Response; // Loads what fetch is made of, and with it the agent that it uses.
  const Agent = globalThis[Symbol.for('undici.globalDispatcher.1')].constructor;
  const dispatcher = new Agent({ connections: Number(process.env.CONNECTIONS ?? POOL_SIZE / 2) });
  const call = async (url, headers) => {
    const response = await fetch(url, { headers, dispatcher });
    await response.arrayBuffer();
  };
  let served = 0;
  return async (job) => {
    served += 1;
    if (job.parallel && served <= IMPATIENT) {
      const signal = AbortSignal.timeout(IMPATIENCE_MS);
      fetch(`${DOWNSTREAM}/vain`, { dispatcher, signal })
        .then((response) => response.arrayBuffer())
        .catch(() => {});
    }
    await serve(job, call, log);
  };
}

function worker() {
  let work = (job) => serve(job, fetchCall, log);
  let begun = !process.env.GIVES_UP;
  parentPort.on('message', async ({ number, query, traceparent }) => {
    if (!begun) work = impatient();
    begun = true;
    await work(new Work(query, traceparent));
    parentPort.postMessage(number);
  });
}

function main() {
  const waiting = new Map();
  const workers = Array.from({ length: 4 }, () => new Worker(__filename));
  for (const one of workers) {
    one.on('message', (number) => {
      waiting.get(number).end('done\n');
      waiting.delete(number);
    });
  }
  let number = 0;
  const server = http.createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    if (pathname !== '/work') {
      response.end();
      return;
    }
    const query = Object.fromEntries(searchParams);
    number += 1;
    waiting.set(number, response);
    workers[number % workers.length]
      .postMessage({ number, query, traceparent: request.headers.traceparent });
  });
  listen(server);
  background(fetchCall, log);
}

if (isMainThread) main();
else worker();
