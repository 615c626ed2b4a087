// A service of the fleet that calls nobody: node:http, one event loop. It reads W3C and B3. For each request it
// writes a line with the trace-id, if one came in, and one that never has any.
'use strict';

const http = require('node:http');
const { writeSync } = require('node:fs');

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const B3 = /^([0-9a-f]{32})-[0-9a-f]{16}/;

const say = (line) => writeSync(1, `${JSON.stringify({ level: 'info', ...line })}\n`);
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const server = http.createServer(async (request, response) => {
  const { traceparent, b3 } = request.headers;
  const trace = (TRACEPARENT.exec(traceparent ?? '') ?? B3.exec(b3 ?? ''))?.[1];
  // Long enough for requests to overlap.
  await pause(2 + Math.random() * 4);
  // Whoever reads the lines takes `served` for the last of a request.
  say({ message: 'written', log: trace ? 'missing' : 'absent' });
  say(trace ? { message: 'served', log: 'linked', trace_id: trace } : { message: 'served', log: 'absent' });
  response.end('done\n');
});

const [host, port] = process.env.LISTEN.split(':');
server.listen(Number(port), host, () => writeSync(1, 'ready\n'));
