// Express for requests, axios for calls; one event loop.
'use strict';

const http = require('node:http');
const axios = require('axios');
const express = require('express');
const { POOL_SIZE, Work, background, listen, serve } = require('./workload.js');

const httpAgent = new http.Agent({ keepAlive: true, maxSockets: POOL_SIZE });
const client = axios.create({ httpAgent, proxy: false });
const call = (url, headers) => client.get(url, { headers });

const app = express();
app.get('/work', async (request, response) => {
  await serve(new Work(request.query, request.headers.traceparent), call);
  response.send('done\n');
});

listen(app);
background(call);
