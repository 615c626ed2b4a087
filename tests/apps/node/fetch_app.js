// node:http for requests, fetch (undici) for calls; one event loop. LOGGER says who writes the lines.
'use strict';

const http = require('node:http');
const logger = require('./loggers.js')(process.env.LOGGER);
const { Work, background, fetchCall, listen, serve } = require('./workload.js');

const server = http.createServer(async (request, response) => {
  const { searchParams } = new URL(request.url, 'http://localhost');
  const job = new Work(Object.fromEntries(searchParams), request.headers.traceparent);
  await serve(job, fetchCall, logger);
  response.end('done\n');
});

listen(server);
background(fetchCall, logger);
