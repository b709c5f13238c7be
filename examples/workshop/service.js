// What sales and customers have in common: a small HTTP service that finds its peer in the catalog.
//
//   GET /data   our own rows; this is what the health check asks for
//   GET /       our rows, and those of one healthy instance of the peer
//
// It knows nothing of its supervisor. It is told by SIGHUP that the peer's instances changed, and asks the catalog then.
'use strict';

const http = require('http');
const os = require('os');

const PEER_TIMEOUT_MS = 2000;
// On SIGTERM: how long nobody must have asked before we end, and when we end in any case (the supervisor kills after 5 s).
const QUIET_MS = 1000;
const DRAIN_LIMIT_MS = 4000;
const instance = os.hostname();

function getJson(url) {
  return new Promise((resolve, reject) => {
    // A connection that is kept may be one that the other side closes in this moment.
    const request = http.get(url, { timeout: PEER_TIMEOUT_MS, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => { body += chunk; });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode !== 200) return reject(new Error(`${url}: status ${response.statusCode}`));
        try { resolve(JSON.parse(body)); } catch (error) { reject(error); }
      });
    });
    request.on('timeout', () => request.destroy(new Error(`${url}: no answer within ${PEER_TIMEOUT_MS} ms`)));
    request.on('error', reject);
  });
}

// The healthy instances of `service`, as `host:port`.
async function healthyInstances(consul, service) {
  const entries = await getJson(`http://${consul}/v1/health/service/${service}?passing`);
  return entries.map((entry) => `${entry.Service.Address || entry.Node.Address}:${entry.Service.Port}`);
}

exports.start = function start({ name, port, rows, peer }) {
  const consul = process.env.CONSUL || 'consul:8500';
  let upstreamHosts = [];
  let turn = 0;

  async function getUpstreams() {
    try {
      upstreamHosts = await healthyInstances(consul, peer);
      console.log(`${name}: ${peer} is at ${upstreamHosts.join(', ') || 'no address yet'}`);
    } catch (error) {
      // Not knowing is not the same as knowing that there are none: keep the hosts that we have.
      console.log(`${name}: cannot ask the catalog, keeping ${upstreamHosts.length} address(es): ${error.message}`);
    }
  }

  // Round robin, and on to the next host if one does not answer.
  async function peerData() {
    for (let attempt = 0; attempt < upstreamHosts.length; attempt += 1) {
      const host = upstreamHosts[turn++ % upstreamHosts.length];
      try { return await getJson(`http://${host}/data`); } catch (error) { console.log(`${name}: ${error.message}`); }
    }
    return null;
  }

  let lastRequest = 0;
  const server = http.createServer(async (request, response) => {
    lastRequest = Date.now();
    const own = { service: name, instance, rows };
    const path = request.url.split('?')[0];
    if (path !== '/' && path !== '/data') {
      response.writeHead(404).end();
      return;
    }
    const body = path === '/data' ? own : { ...own, [peer]: await peerData() };
    const text = `${JSON.stringify(body)}\n`;
    // With its length, so that whoever reads it can tell a whole answer from the begin of one.
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
    response.end(text);
  });

  // The catalog no longer names us when SIGTERM comes, but who asked it a moment ago has our address still. We answer until it is quiet.
  let draining = false;
  function drain() {
    if (draining) return;
    draining = true;
    const limit = Date.now() + DRAIN_LIMIT_MS;
    lastRequest = Date.now();
    const look = setInterval(() => {
      if (Date.now() - lastRequest < QUIET_MS && Date.now() < limit) return;
      clearInterval(look);
      server.close(() => process.exit(0));
      server.closeIdleConnections();
    }, QUIET_MS / 10);
  }

  process.on('SIGHUP', getUpstreams);
  process.on('SIGTERM', drain);
  server.listen(port, process.env.LISTEN || '0.0.0.0', () => {
    console.log(`${name}: ${instance} listens on ${port}`);
    // Not earlier: whoever could not reach us sent no SIGHUP, and relies on this.
    getUpstreams();
  });
};
