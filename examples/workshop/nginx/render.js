// Writes nginx.conf from nginx.conf.in and what the catalog knows, in one step. Prints `changed` or `unchanged`.
// The template that this stands in for is on the talk's slide 44.
'use strict';

const fs = require('fs');
const http = require('http');
const path = require('path');

const SERVICES = ['sales', 'customers'];
const TIMEOUT_MS = 5000;
const consul = process.env.CONSUL || 'consul:8500';
const dir = process.env.NGINX_DIR || '/etc/nginx';

function healthy(service) {
  const url = `http://${consul}/v1/health/service/${service}?passing`;
  return new Promise((resolve, reject) => {
    const request = http.get(url, { timeout: TIMEOUT_MS }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => { body += chunk; });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode !== 200) return reject(new Error(`${url}: status ${response.statusCode}`));
        try { resolve(JSON.parse(body)); } catch (error) { reject(error); }
      });
    });
    request.on('timeout', () => request.destroy(new Error(`${url}: no answer within ${TIMEOUT_MS} ms`)));
    request.on('error', reject);
  });
}

function upstream(service, entries) {
  const address = (entry) => `${entry.Service.Address || entry.Node.Address}:${entry.Service.Port}`;
  const servers = entries.map(address).sort().map((host) => `        server ${host};\n`).join('');
  return servers && `    upstream ${service} {\n        least_conn;\n${servers}    }\n`;
}

function location(service, entries) {
  if (entries.length === 0) return `        location ^~ /${service} {\n            return 503;\n        }\n`;
  return [
    `        location ^~ /${service} {`,
    `            # Strip /${service} before the request goes on.`,
    `            rewrite ^/${service}(/.*)$ $1 break;`,
    `            proxy_pass http://${service};`,
    '            proxy_redirect off;',
    '        }\n',
  ].join('\n');
}

async function main() {
  const found = await Promise.all(SERVICES.map(healthy));
  const settings = {
    USER: process.env.NGINX_USER || 'nginx',
    DIR: dir,
    LISTEN: process.env.LISTEN || '0.0.0.0',
    PORT: process.env.NGINX_PORT || '80',
    WORKER_CONNECTIONS: process.env.WORKER_CONNECTIONS || '1024',
    UPSTREAMS: SERVICES.map((service, index) => upstream(service, found[index])).join(''),
    LOCATIONS: SERVICES.map((service, index) => location(service, found[index])).join(''),
  };
  const template = fs.readFileSync(path.join(__dirname, 'nginx.conf.in'), 'utf8');
  const text = template.split('\n').slice(1).join('\n').replace(/@([A-Z_]+)@/g, (_, name) => settings[name]);
  const file = path.join(dir, 'nginx.conf');
  const old = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
  if (old !== text) {
    fs.writeFileSync(`${file}.new`, text);
    fs.renameSync(`${file}.new`, file);
  }
  console.log(old === text ? 'unchanged' : 'changed');
}

main().catch((error) => {
  // The old file stays: not knowing the instances is not the same as having none.
  console.error(`cannot render nginx.conf: ${error.message}`);
  process.exit(1);
});
