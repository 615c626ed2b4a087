// node:http for requests, fetch (undici) for calls; one event loop. LOGGER says who writes the lines.
// LIMIT=1 makes calls wait in a queue of promises, so that one request's turn starts another's call.
'use strict';

const http = require('node:http');
const logger = require('./loggers.js')(process.env.LOGGER);
const { POOL_SIZE, Work, background, fetchCall, listen, serve } = require('./workload.js');

// At most so many calls at a time; whoever ends one wakes the next.
function limited(call, most) {
  const waiting = [];
  let running = 0;
  return async (url, headers) => {
    if (running >= most) await new Promise((resolve) => { waiting.push(resolve); });
    else running += 1;
    try {
      await call(url, headers);
    } finally {
      if (waiting.length > 0) waiting.shift()();
      else running -= 1;
    }
  };
}

const call = process.env.LIMIT ? limited(fetchCall, POOL_SIZE / 2) : fetchCall;

const server = http.createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  if (pathname !== '/work') return response.end();
  const job = new Work(Object.fromEntries(searchParams), request.headers.traceparent);
  await serve(job, call, logger);
  return response.end('done\n');
});

listen(server);
background(call, logger);
