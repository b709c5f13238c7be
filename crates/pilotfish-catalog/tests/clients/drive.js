// Drives a catalog with the Node package `consul`: register, heartbeat, watch, keys, lock, elect. The address is the argument; a
// failure is an exception.
"use strict";

const assert = require("node:assert/strict");
const Consul = require("consul");

const [host, port] = process.argv[2].split(":");
const client = () => new Consul({ host, port: Number(port) });
const WAIT = "30s";
const LIMIT_MS = 60_000;

/** The first change of a watch for which `wanted` is true. */
function until(what, method, options, wanted) {
  const watch = client().watch({ method, options: { wait: WAIT, ...options } });
  return new Promise((resolve, reject) => {
    const end = (settle, value) => {
      clearTimeout(timer);
      watch.end();
      settle(value);
    };
    const timer = setTimeout(() => end(reject, new Error(`waited ${LIMIT_MS} ms in vain for ${what}`)), LIMIT_MS);
    watch.on("change", (data) => wanted(data) && end(resolve, data));
    watch.on("error", (error) => end(reject, error));
  });
}

async function aboutItself(c) {
  assert.match(await c.status.leader(), /:\d+$/);
  assert.equal((await c.status.peers()).length, 1);
  assert.equal((await c.agent.self()).Config.Datacenter, "dc1");
  assert.equal((await c.agent.members()).length, 1);
  assert.deepEqual(await c.catalog.datacenters(), ["dc1"]);
  assert.equal((await c.catalog.node.list()).length, 1);
}

async function registerHeartbeatWatch(c) {
  await c.agent.service.register({
    name: "js-web",
    id: "js-web-1",
    address: "10.1.1.1",
    port: 8080,
    tags: ["a"],
    check: { ttl: "60s", status: "critical", notes: "a heartbeat" },
  });
  assert.equal((await c.agent.services())["js-web-1"].Port, 8080);
  const method = c.health.service;
  const passing = { service: "js-web", passing: true };
  const up = until("js-web to be healthy", method, passing, (instances) => instances.length === 1);
  await c.agent.check.pass("service:js-web-1");
  assert.equal((await up)[0].Service.Address, "10.1.1.1");
  const down = until("js-web to be unhealthy", method, passing, (instances) => instances.length === 0);
  await c.agent.check.fail({ id: "service:js-web-1", note: "broken" });
  await down;
  const [check] = await c.health.checks("js-web");
  assert.deepEqual([check.Status, check.ServiceID], ["critical", "js-web-1"]);
  assert.deepEqual((await c.catalog.service.list())["js-web"], ["a"]);
  await c.agent.check.register({ name: "js-check", ttl: "60s", serviceid: "js-web-1" });
  await c.agent.check.warn("js-check");
  assert.equal((await c.agent.checks())["js-check"].Status, "warning");
  await c.agent.check.deregister("js-check");
  await c.agent.service.maintenance({ id: "js-web-1", enable: true, reason: "a pause" });
  await c.agent.service.maintenance({ id: "js-web-1", enable: false });
  await c.agent.service.deregister("js-web-1");
  assert.equal((await c.agent.services())["js-web-1"], undefined);
}

// `false` from the catalog is `undefined` from this package.
async function keys(c) {
  assert.equal(await c.kv.get("js/none"), undefined);
  assert.equal(await c.kv.set({ key: "js/a", value: "one", flags: 7 }), true);
  const pair = await c.kv.get("js/a");
  assert.deepEqual([pair.Value, pair.Flags], ["one", 7]);
  assert.ok(!(await c.kv.set({ key: "js/a", value: "two", cas: "1" })));
  assert.equal(await c.kv.set({ key: "js/a", value: "two", cas: String(pair.ModifyIndex) }), true);
  await c.kv.set("js/deep/ä b", "three");
  assert.deepEqual(await c.kv.keys("js/"), ["js/a", "js/deep/ä b"]);
  assert.deepEqual(await c.kv.keys({ key: "js/", separator: "/" }), ["js/a", "js/deep/"]);
  assert.equal((await c.kv.get({ key: "js/", recurse: true })).length, 2);
  const here = until("a key", c.kv.get, { key: "js/watched" }, (found) => found?.Value === "here");
  await c.kv.set("js/watched", "here");
  await here;
  const answer = await c.transaction.create([{ KV: { Verb: "set", Key: "js/txn", Value: Buffer.from("x").toString("base64") } }]);
  assert.equal(answer.Results[0].KV.Key, "js/txn");
  await c.kv.del({ key: "js/", recurse: true });
  assert.equal(await c.kv.get({ key: "js/", recurse: true }), undefined);
  assert.equal((await c.event.fire("js-deploy", "payload")).Name, "js-deploy");
  await until("an event", c.event.list, { name: "js-deploy" }, (events) => events.length > 0);
}

async function lock(c) {
  const create = async (name) => (await c.session.create({ name, ttl: "60s", lockdelay: "0s" })).ID;
  const [mine, other] = [await create("mine"), await create("other")];
  assert.equal(await c.kv.set({ key: "js-lock", value: "mine", acquire: mine }), true);
  assert.ok(!(await c.kv.set({ key: "js-lock", value: "other", acquire: other })));
  assert.equal((await c.kv.get("js-lock")).Session, mine);
  assert.equal((await c.session.renew(mine))[0].ID, mine);
  assert.equal((await c.session.get(mine)).Name, "mine");
  assert.ok((await c.session.list()).some((session) => session.ID === other));
  assert.equal(await c.kv.set({ key: "js-lock", value: "given", release: mine }), true);
  assert.equal(await c.kv.set({ key: "js-lock", value: "other", acquire: other }), true);
  await Promise.all([mine, other].map((session) => c.session.destroy(session)));
  assert.equal((await c.kv.get("js-lock")).Session, undefined);
  await assert.rejects(c.session.renew(mine), /404|not found/i);
}

/** Two candidates lead one after the other, and never both at once. */
async function elect() {
  const leading = new Set();
  const led = [];
  const candidate = async (name) => {
    const c = client();
    const session = (await c.session.create({ name, ttl: "60s", lockdelay: "0s" })).ID;
    while (!(await c.kv.set({ key: "js-leader", value: name, acquire: session }))) {
      await until("the leader to leave", c.kv.get, { key: "js-leader" }, (pair) => !pair?.Session);
    }
    leading.add(name);
    led.push(name);
    assert.deepEqual([...leading], [name]);
    assert.equal((await c.kv.get("js-leader")).Session, session);
    leading.delete(name);
    await c.session.destroy(session);
  };
  await Promise.all([candidate("one"), candidate("two")]);
  assert.deepEqual(led.sort(), ["one", "two"]);
}

async function main() {
  for (const step of [aboutItself, registerHeartbeatWatch, keys, lock, elect]) {
    await step(client());
    console.log(step.name);
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
