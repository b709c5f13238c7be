// The catalog's page. It asks the same HTTP API as everybody, by blocking queries: what changes is shown when it changes.
// All text of the catalog reaches the page as text, never as markup.

const WAIT = '60s';
const RETRY_MS = [500, 1000, 2000, 5000];
const MANY_ROWS = 2000;
const MANY_LEASES = 3;

const at = (id) => document.getElementById(id);

// An element with properties and children; strings become text.
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === 'class') made.className = value; else made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

const link = (href, text) => element('a', { href }, text);
const faint = (text) => element('span', { class: 'faint' }, text);
const tags = (list) => (list || []).map((tag) => element('span', { class: 'tag' }, tag));
const status = (name) => element('span', { class: name }, name);
const pairs = (object) => tags(Object.entries(object || {}).map(([key, value]) => `${key}=${value}`));
const path = (...parts) => parts.map(encodeURIComponent).join('/');
const keyPath = (key) => key.split('/').map(encodeURIComponent).join('/');

// Rows are arrays of cells in the order of `columns`.
function table(columns, rows, nothing) {
  if (rows.length === 0) return element('p', { class: 'none' }, nothing);
  const shown = rows.slice(0, MANY_ROWS);
  const body = shown.map((cells) => element('tr', {}, cells.map((cell, index) => {
    const content = Array.isArray(cell) ? cell : [cell];
    return element('td', { 'data-label': columns[index] }, element('div', {}, ...content));
  })));
  const head = element('thead', {}, element('tr', {}, columns.map((name) => element('th', { scope: 'col' }, name))));
  const more = rows.length - shown.length;
  return element('div', {}, element('table', {}, head, element('tbody', {}, body)),
    more > 0 ? element('p', { class: 'none' }, `${more} more; use the filter`) : null);
}

// ---- the catalog -------------------------------------------------------------------------------------------------------------

class Refused extends Error {}

async function ask(target, index, signal) {
  const url = new URL(target, location.origin);
  if (index) { url.searchParams.set('index', index); url.searchParams.set('wait', WAIT); }
  const token = sessionStorage.getItem('token');
  const response = await fetch(url, { signal, cache: 'no-store', headers: token ? { 'X-Consul-Token': token } : {} });
  if (response.status === 401 || response.status === 403) throw new Refused(await response.text());
  // A key or node that is not there (any more) is an answer.
  if (!response.ok && response.status !== 404) throw new Error(`${response.status} ${await response.text()}`);
  const value = response.status === 404 ? null : await response.json();
  return { value, index: Number(response.headers.get('X-Consul-Index')) || 0 };
}

const pause = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); });
});

// Follows one question until the view is left; `take` gets every answer.
async function follow(target, signal, take) {
  let index = 0;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const answer = await ask(target, index, signal);
      if (signal.aborted) return;
      // An index that went backwards is that of a catalog that lost its state: ask anew.
      index = answer.index < index ? 0 : answer.index;
      failures = 0;
      take(answer.value);
      heard(target);
      if (answer.index === 0) await pause(RETRY_MS[2], signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused) { askForToken(error.message); return; }
      lost(target, error);
      index = 0;
      await pause(RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)], signal);
    }
  }
}

// ---- what is told about the answers ------------------------------------------------------------------------------------------

const silent = new Map();

function tellState() {
  const [first] = silent.values();
  at('state').className = first ? 'stale' : '';
  at('state').textContent = first
    ? `The catalog has not answered since ${first.since}: this is the last that was known. ${first.reason}`
    : 'Live';
}

function heard(target) {
  if (silent.delete(target) || at('state').textContent === '') tellState();
}

function lost(target, error) {
  const since = silent.get(target)?.since || new Date().toLocaleTimeString();
  silent.set(target, { since, reason: error.message });
  tellState();
}

function askForToken(reason) {
  at('login').hidden = false;
  at('state').className = 'stale';
  at('state').textContent = `The catalog refuses: ${reason.trim() || 'a token is needed'}`;
  at('token').focus();
}

at('login').addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem('token', at('token').value);
  at('token').value = '';
  at('login').hidden = true;
  show();
});

// ---- views: what each asks, and how the answers look -------------------------------------------------------------------------

const worst = (statuses) => ['critical', 'warning', 'passing'].find((name) => statuses.includes(name)) || 'passing';

function count(instances) {
  const counts = { passing: 0, warning: 0, critical: 0 };
  for (const statuses of instances.values()) counts[worst(statuses)] += 1;
  return Object.entries(counts).filter(([, number]) => number > 0)
    .flatMap(([name, number]) => [element('span', { class: name }, `${number} ${name}`), ' ']);
}

function services({ names, checks }) {
  const instances = new Map();
  for (const check of checks || []) {
    if (!check.ServiceID) continue;
    const of = instances.get(check.ServiceName) || instances.set(check.ServiceName, new Map()).get(check.ServiceName);
    const id = `${check.Node} ${check.ServiceID}`;
    of.set(id, [...(of.get(id) || []), check.Status]);
  }
  const rows = Object.keys(names || {}).sort().map((name) => [
    link(`#/services/${path(name)}`, name),
    instances.has(name) ? count(instances.get(name)) : faint('no check'),
    tags(names[name]),
  ]);
  return table(['Service', 'Health', 'Tags'], rows, 'No service is registered.');
}

function service({ entries }) {
  const rows = (entries || []).map(({ Node: node, Service: instance, Checks: checks }) => [
    instance.ID,
    status(worst(checks.map((check) => check.Status))),
    `${instance.Address || node.Address}:${instance.Port}`,
    link(`#/nodes/${path(node.Node)}`, node.Node),
    [...tags(instance.Tags), ...pairs(instance.Meta)],
    checks.map((check) => element('div', {}, status(check.Status), ` ${check.Name} `, faint(check.Output))),
  ]);
  return table(['Instance', 'Health', 'Address', 'Node', 'Tags', 'Checks'], rows, 'No instance is registered.');
}

function nodes({ all, checks }) {
  const statuses = (name) => (checks || []).filter((check) => check.Node === name).map((check) => check.Status);
  const rows = (all || []).map((node) => [
    link(`#/nodes/${path(node.Node)}`, node.Node), status(worst(statuses(node.Node))), node.Address, pairs(node.Meta),
  ]);
  return table(['Node', 'Health', 'Address', 'Metadata'], rows, 'No node is known.');
}

function node({ one, checks }) {
  if (!one) return element('p', { class: 'none' }, 'No such node.');
  const instances = Object.values(one.Services || {}).map((instance) => [
    link(`#/services/${path(instance.Service)}`, instance.Service), instance.ID, String(instance.Port), tags(instance.Tags),
  ]);
  const results = (checks || []).map((check) => [
    status(check.Status), check.Name, check.ServiceName || faint('the node'), faint(check.Output),
  ]);
  return element('div', {},
    element('dl', {}, element('dt', {}, 'Address'), element('dd', {}, one.Node.Address)),
    element('h3', {}, 'Services'), table(['Service', 'Instance', 'Port', 'Tags'], instances, 'None.'),
    element('h3', {}, 'Checks'), table(['Status', 'Check', 'Of', 'Output'], results, 'None.'));
}

function decoded(value) {
  if (value === null) return '';
  const bytes = Uint8Array.from(atob(value), (character) => character.charCodeAt(0));
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return `${bytes.length} bytes that are not text`;
  }
}

// `a/b/` lists what is below; parents are links.
function trail(key) {
  const parts = key.split('/').filter((part) => part !== '');
  const links = parts.map((part, index) => {
    const parent = `${parts.slice(0, index + 1).join('/')}/`;
    return parent === key || index === parts.length - 1 ? part : link(`#/kv/${keyPath(parent)}`, part);
  });
  return element('p', {}, link('#/kv/', 'all keys'), ...links.flatMap((part) => [' / ', part]));
}

function keys(prefix) {
  return ({ list }) => {
    const rows = (list || []).filter((key) => key !== prefix).map((key) => {
      const name = key.slice(prefix.length);
      return [link(key.endsWith('/') ? `#/kv/${keyPath(key)}` : `#/key/${keyPath(key)}`, name)];
    });
    return element('div', {}, trail(prefix), table(['Key'], rows, 'No key.'));
  };
}

function key(name) {
  return ({ found }) => {
    const pair = found?.[0];
    if (!pair) return element('div', {}, trail(name), element('p', { class: 'none' }, 'This key does not exist.'));
    const facts = { 'Modify index': pair.ModifyIndex, 'Create index': pair.CreateIndex, 'Lock index': pair.LockIndex, Flags: pair.Flags };
    return element('div', {}, trail(name), element('pre', { tabindex: '0', 'aria-label': 'Value' }, decoded(pair.Value)),
      element('dl', {}, Object.entries(facts).flatMap(([term, fact]) => [element('dt', {}, term), element('dd', {}, String(fact))]),
        pair.Session ? [element('dt', {}, 'Locked by'), element('dd', {}, link('#/sessions', pair.Session))] : []));
  };
}

function sessions({ all }) {
  const seconds = (nanoseconds) => `${nanoseconds / 1e9} s`;
  const rows = (all || []).map((session) => [
    session.ID, session.Name || faint('no name'), link(`#/nodes/${path(session.Node)}`, session.Node),
    session.TTL || 'none', session.Behavior, seconds(session.LockDelay),
    tags([...(session.NodeChecks || []), ...(session.ServiceChecks || []).map((check) => check.ID)]),
  ]);
  return table(['Session', 'Name', 'Node', 'TTL', 'On expiry', 'Lock delay', 'Checks'], rows, 'No session exists.');
}

// A database cluster is known by its lease: the key NAME-primary, a JSON object with a term.
const leaseOf = (key) => key.match(/^([^/]+)-primary$/)?.[1];

// Each lease is a question of its own, and a browser keeps six connections to a server.
const leases = ({ list }) => Object.fromEntries((list || []).filter(leaseOf).slice(0, MANY_LEASES)
  .map((name) => [`lease ${name}`, `/v1/kv/${keyPath(name)}`]));

function clusters({ entries, ...answers }) {
  const found = Object.values(answers).flatMap((pairs) => {
    const pair = pairs?.[0];
    const name = pair?.Key && leaseOf(pair.Key);
    if (!name) return [];
    try {
      const lease = JSON.parse(decoded(pair.Value));
      return lease && typeof lease === 'object' && 'term' in lease ? [{ name, lease }] : [];
    } catch { return []; }
  });
  if (found.length === 0) return element('p', { class: 'none' }, 'No database cluster keeps a lease here.');
  return element('div', {}, found.map(({ name, lease }) => {
    const facts = Object.entries(lease).flatMap(([term, fact]) => [
      element('dt', {}, term), element('dd', {}, typeof fact === 'object' ? JSON.stringify(fact) : String(fact))]);
    const members = (entries || []).filter((entry) => [name, `${name}-primary`].includes(entry.ServiceName)).map((entry) => [
      entry.ServiceID, entry.ServiceName.endsWith('-primary') ? 'primary' : 'replica', status(entry.Status), faint(entry.Output)]);
    return element('section', {}, element('h3', {}, name), element('dl', {}, facts),
      table(['Member', 'Role', 'Health', 'Says'], members, 'No member is registered.'));
  }));
}

// The view of a hash: its title, what it asks, and how it looks.
function route(hash) {
  const [, view, ...rest] = hash.replace(/^#/, '').split('/').map(decodeURIComponent);
  const name = rest.join('/');
  switch (view) {
    case 'nodes':
      return name === ''
        ? { tab: 'nodes', title: 'Nodes', filter: true, asks: { all: '/v1/catalog/nodes', checks: '/v1/health/state/any' }, look: nodes }
        : { tab: 'nodes', title: name, asks: { one: `/v1/catalog/node/${path(name)}`, checks: `/v1/health/node/${path(name)}` }, look: node };
    case 'kv':
      return { tab: 'kv', title: 'Keys', filter: true, asks: { list: `/v1/kv/${keyPath(name)}?keys&separator=/` }, look: keys(name) };
    case 'key':
      return { tab: 'kv', title: name, asks: { found: `/v1/kv/${keyPath(name)}` }, look: key(name) };
    case 'sessions':
      return { tab: 'sessions', title: 'Sessions', filter: true, asks: { all: '/v1/session/list' }, look: sessions };
    case 'clusters':
      return { tab: 'clusters', title: 'Database clusters', asks: { list: '/v1/kv/?keys', entries: '/v1/health/state/any' }, more: leases, look: clusters };
    default:
      return name === ''
        ? { tab: 'services', title: 'Services', filter: true, asks: { names: '/v1/catalog/services', checks: '/v1/health/state/any' }, look: services }
        : { tab: 'services', title: name, filter: true, asks: { entries: `/v1/health/service/${path(name)}` }, look: service };
  }
}

// ---- the page ----------------------------------------------------------------------------------------------------------------

let leave = new AbortController();

function applyFilter() {
  const wanted = at('query').value.toLowerCase();
  for (const row of document.querySelectorAll('#view tbody tr')) row.hidden = !row.textContent.toLowerCase().includes(wanted);
}

// Puts the new look in place of the old one; whoever stood on a link or scrolled a value stays there.
function replace(look) {
  const focused = document.activeElement?.closest('#view a')?.getAttribute('href');
  at('view').replaceChildren(look);
  applyFilter();
  if (focused) [...document.querySelectorAll('#view a')].find((one) => one.getAttribute('href') === focused)?.focus();
}

function show() {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  const { tab, title, filter, asks, more, look } = route(location.hash || '#/services');
  silent.clear();
  at('state').textContent = '';
  at('title').textContent = title;
  document.title = `${title} · pilotfish catalog`;
  at('filter').hidden = !filter;
  at('query').value = '';
  at('view').replaceChildren(element('p', { class: 'none' }, 'Asking the catalog…'));
  for (const one of document.querySelectorAll('nav a')) {
    if (one.getAttribute('href').startsWith(`#/${tab}`)) one.setAttribute('aria-current', 'page'); else one.removeAttribute('aria-current');
  }
  const asked = new Set();
  const answers = {};
  let due = false;
  const draw = () => { due = false; if (!signal.aborted) replace(look(answers)); };
  function begin(name, target) {
    if (asked.has(name)) return;
    asked.add(name);
    follow(target, signal, (value) => {
      answers[name] = value;
      for (const further of Object.entries(more?.(answers) || {})) begin(...further);
      // Nothing is shown of a part; several answers at once are drawn once.
      if (due || [...asked].some((other) => !(other in answers))) return;
      due = true;
      requestAnimationFrame(draw);
    });
  }
  for (const question of Object.entries(asks)) begin(...question);
}

async function tellServer() {
  try {
    const { value } = await ask('/v1/agent/self', 0);
    at('server').textContent = `${value.Config.NodeName} · datacenter ${value.Config.Datacenter}`;
  } catch { at('server').textContent = ''; }
}

at('query').addEventListener('input', applyFilter);
window.addEventListener('hashchange', () => { show(); at('content').focus({ preventScroll: true }); window.scrollTo(0, 0); });
show();
tellServer();
