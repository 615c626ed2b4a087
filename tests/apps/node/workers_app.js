// node:http in the main thread, which hands every request to one of four worker threads.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const { Worker, isMainThread, parentPort } = require('node:worker_threads');
const { Work, background, fetchCall, listen, serve } = require('./workload.js');

// In a worker, console.log would pass through the main thread.
const log = (line) => fs.writeSync(1, `${line}\n`);

function worker() {
  parentPort.on('message', async ({ number, query, traceparent }) => {
    await serve(new Work(query, traceparent), fetchCall, log);
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
