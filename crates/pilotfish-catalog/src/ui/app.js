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

// Each cluster is a question of its own, for its lease and its members at one moment; a browser keeps six connections to a server.
const leases = ({ list }) => Object.fromEntries((list || []).map(leaseOf).filter((name) => name).slice(0, MANY_LEASES)
  .map((name) => [`cluster ${name}`, `/v1/kv/${keyPath(name)}?recurse`]));

// The object that a key holds, or null.
function objectOf(pair) {
  try {
    const value = JSON.parse(decoded(pair.Value));
    return value && typeof value === 'object' && !Array.isArray(value) ? value : null;
  } catch { return null; }
}

// When this page first saw each index of a lease: clocks of others are not to be compared with ours.
const seenSince = new Map();

function sinceSeen(key, index) {
  const seen = seenSince.get(key);
  if (seen?.index !== index) seenSince.set(key, { index, at: Date.now() });
  return seenSince.get(key).at;
}

const age = (since) => `${Math.max(0, Math.floor((Date.now() - since) / 1000))} s ago`;
setInterval(() => {
  for (const shown of document.querySelectorAll('#view [data-since]')) shown.textContent = age(Number(shown.dataset.since));
}, 1000);

// A cluster from the keys that begin with its name: others may begin so as well.
function clusterOf(name, pairs) {
  const pair = pairs.find(({ Key }) => Key === `${name}-primary`);
  const lease = pair && objectOf(pair);
  if (!lease || !('term' in lease)) return null;
  const members = pairs.filter(({ Key }) => Key.startsWith(`${name}/members/`))
    .map((one) => ({ id: one.Key.slice(name.length + '/members/'.length), says: objectOf(one) }));
  const orders = pairs.map(({ Key }) => Key).filter((key) => key.startsWith(`${name}/orders/`)).map((key) => key.slice(name.length + '/orders/'.length));
  return { name, lease, index: pair.ModifyIndex, members, orders };
}

function leaseFacts({ name, lease, index, members, orders }) {
  const named = (id) => {
    const says = members.find((member) => member.id === String(id))?.says;
    return says?.name ? `${says.name} (${id})` : String(id);
  };
  const states = { held: 'passing', released: 'critical' };
  const inSync = Object.keys(lease.in_sync || {});
  const acks = Number(lease.acks) || 0;
  const facts = {
    Holder: named(lease.holder),
    State: element('span', { class: states[lease.state] || 'warning' }, String(lease.state ?? 'not told')),
    Term: 'change' in lease ? `${lease.term}, change ${lease.change}` : String(lease.term),
    'In sync': inSync.length > 0 ? inSync.map(named).join(', ') : faint('no replica'),
    Acks: acks > 0 ? `${acks}: an acknowledged write is on ${acks + 1} members` : '0: an acknowledged write is on the primary alone',
    Renewed: element('span', { 'data-since': String(sinceSeen(name, index)) }, age(sinceSeen(name, index))),
  };
  if (lease.alone) facts.Forced = 'open without replicas, by order';
  else if (lease.forced) facts.Forced = 'a term without the votes, by order';
  if (orders.length > 0) facts.Ordered = orders.join(', ');
  return element('dl', {}, Object.entries(facts).flatMap(([term, fact]) => [element('dt', {}, term), element('dd', {}, fact)]));
}

// A set of transactions, which may be long: a line ends after a comma.
const gtids = (set) => element('span', { class: 'gtids' },
  String(set).split(',').flatMap((one, index) => (index > 0 ? [',', element('wbr'), one] : [one])));

// What a member is, what the catalog's checks say of it, and what it says of itself.
function memberRow({ name, lease, members }, { id, says }, checks) {
  const role = String(lease.holder) === id && lease.state !== 'released' ? 'primary' : id in (lease.in_sync || {}) ? 'replica, in sync' : 'replica';
  const own = checks.filter((check) => [`${name}-${id}`, `${name}-primary-${id}`].includes(check.ServiceID));
  const health = own.length > 0 ? status(worst(own.map((check) => check.Status))) : faint('not registered');
  if (!says) return [id, role, health, '', '', 'its record cannot be understood'];
  const source = members.find((member) => member.id === String(says.following))?.says?.name ?? says.following;
  const position = says.executed ?? says.received;
  const notes = [
    says.following !== null && says.following !== undefined ? `follows ${source}${says.acking ? ', acknowledges' : ''}` : null,
    says.ailment ? String(says.ailment) : null,
    says.data ? null : 'no data',
    says.may_lead === false ? 'may not lead' : null,
    says.leaving ? 'is leaving' : null,
    ...own.map((check) => check.Output),
  ].filter((note) => note);
  const waiting = says.received && says.received !== says.executed ? element('div', { class: 'faint' }, 'received ', gtids(says.received)) : null;
  return [says.name ? `${says.name} (${id})` : id, role, health, `${says.address}:${says.port}`,
    [position ? gtids(position) : faint('not told'), waiting], notes.map((note) => element('div', {}, note))];
}

function clusters({ entries, list, ...answers }) {
  const found = Object.entries(answers).flatMap(([question, pairs]) => clusterOf(question.slice('cluster '.length), pairs || []) || []);
  const more = (list || []).filter(leaseOf).length - MANY_LEASES;
  const rest = more > 0 ? element('p', { class: 'none' }, `${more} more keys may be leases; see Keys`) : null;
  if (found.length === 0) return element('div', {}, element('p', { class: 'none' }, 'No database cluster keeps a lease here.'), rest);
  return element('div', {}, found.map((cluster) => {
    const checks = (entries || []).filter((entry) => [cluster.name, `${cluster.name}-primary`].includes(entry.ServiceName));
    const rows = cluster.members.map((member) => memberRow(cluster, member, checks));
    return element('section', { class: 'cluster' }, element('h3', {}, cluster.name), leaseFacts(cluster),
      table(['Member', 'Role', 'Health', 'Address', 'Position', 'Says'], rows, 'No member has said anything.'));
  }), rest);
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
