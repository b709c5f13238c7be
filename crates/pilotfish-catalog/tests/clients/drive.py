"""Drives a catalog with py-consul: register, heartbeat, watch, keys, lock, elect. The address is the argument; a failure is an exception."""

import base64
import sys
import threading

import consul

HOST, PORT = sys.argv[1].rsplit(":", 1)
WAIT = "30s"


def client():
    """Each thread has a client of its own, as the library wants it."""
    return consul.Consul(host=HOST, port=int(PORT))


def until(look, *, index=None, limit=50):
    """Follows a blocking query until `look(index)` gives (index, value) with a value."""
    for _ in range(limit):
        index, value = look(index)
        if value:
            return index, value
    raise AssertionError("nothing came of a watch")


def in_thread(function):
    """Starts a function and returns how to wait for its result."""
    box = {}

    def run():
        try:
            box["value"] = function()
        except BaseException as error:  # noqa: B902: it is raised again by whoever waits
            box["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def join():
        thread.join(60)
        assert not thread.is_alive(), "no end within 60 s"
        if "error" in box:
            raise box["error"]
        return box["value"]

    return join


def about_itself(c):
    assert ":" in c.status.leader()
    assert len(c.status.peers()) == 1
    assert c.agent.self()["Config"]["Datacenter"] == "dc1"
    assert [member["Status"] for member in c.agent.members()] == [1]
    assert c.catalog.datacenters() == ["dc1"]
    _, nodes = c.catalog.nodes()
    assert len(nodes) == 1


def register_heartbeat_watch(c):
    assert c.agent.service.register(
        "py-web", service_id="py-web-1", address="10.1.1.1", port=8080, tags=["a", "b"], check=consul.Check.ttl("60s")
    )
    service = c.agent.services()["py-web-1"]
    assert (service["Service"], service["Port"], service["Tags"]) == ("py-web", 8080, ["a", "b"]), service
    index, _ = until(lambda index: c.health.service("py-web", index=index, wait=WAIT))
    _, passing = c.health.service("py-web", passing=True)
    assert passing == [], passing

    watching = in_thread(
        lambda: until(lambda at: client().health.service("py-web", index=at, wait=WAIT, passing=True), index=index)
    )
    assert c.agent.check.ttl_pass("service:py-web-1", "fine")
    index, passing = watching()
    assert passing[0]["Service"]["Address"] == "10.1.1.1", passing
    assert c.agent.checks()["service:py-web-1"]["Output"] == "fine"

    def gone(at):
        index, passing = client().health.service("py-web", index=at, wait=WAIT, passing=True)
        return index, not passing

    watching = in_thread(lambda: until(gone, index=index))
    assert c.agent.check.ttl_fail("service:py-web-1", "broken")
    index, _ = watching()
    _, checks = c.health.checks("py-web")
    assert [check["Status"] for check in checks] == ["critical"], checks
    _, tagged = c.health.service("py-web", tag="b")
    assert len(tagged) == 1
    _, services = c.catalog.services()
    assert sorted(services["py-web"]) == ["a", "b"], services
    assert c.agent.service.maintenance("py-web-1", True, "a pause")
    assert c.agent.service.maintenance("py-web-1", False)
    assert c.agent.service.deregister("py-web-1")
    assert "py-web-1" not in c.agent.services()


def keys(c):
    assert c.kv.get("py/none")[1] is None
    assert c.kv.put("py/a", "one", flags=7)
    index, pair = c.kv.get("py/a")
    assert (pair["Value"], pair["Flags"]) == (b"one", 7), pair
    assert c.kv.put("py/bytes", bytes(range(256)))
    assert c.kv.get("py/bytes")[1]["Value"] == bytes(range(256))
    assert not c.kv.put("py/a", "two", cas=1)
    assert c.kv.put("py/a", "two", cas=pair["ModifyIndex"])
    assert c.kv.put("py/deep/b", None)
    assert [pair["Key"] for pair in c.kv.get("py/", recurse=True)[1]] == ["py/a", "py/bytes", "py/deep/b"]
    assert c.kv.get("py/", keys=True, separator="/")[1] == ["py/a", "py/bytes", "py/deep/"]
    index, _ = c.kv.get("py/watched")
    watching = in_thread(lambda: until(lambda at: client().kv.get("py/watched", index=at, wait=WAIT), index=index))
    assert c.kv.put("py/watched", "here")
    assert watching()[1]["Value"] == b"here"
    value = base64.b64encode(b"txn").decode()
    answer = c.txn.put([{"KV": {"Verb": "set", "Key": "py/txn", "Value": value}}, {"KV": {"Verb": "get", "Key": "py/a"}}])
    assert len(answer["Results"]) == 2 and not answer["Errors"], answer
    assert c.kv.delete("py/", recurse=True)
    assert c.kv.get("py/", recurse=True)[1] is None
    event = c.event.fire("py-deploy", "payload")
    assert event["Name"] == "py-deploy"
    until(lambda index: c.event.list(name="py-deploy", index=index, wait=WAIT))


def lock(c):
    mine = c.session.create(name="mine", ttl=60, lock_delay=0, behavior="release")
    other = c.session.create(name="other", ttl=60, lock_delay=0)
    assert c.kv.put("py-lock", "mine", acquire=mine)
    assert not c.kv.put("py-lock", "other", acquire=other)
    assert c.kv.get("py-lock")[1]["Session"] == mine
    assert c.session.renew(mine)["ID"] == mine
    assert c.session.info(mine)[1]["Name"] == "mine"
    assert {mine, other} <= {session["ID"] for session in c.session.list()[1]}
    assert c.kv.put("py-lock", "given", release=mine)
    assert c.kv.put("py-lock", "other", acquire=other)
    for session in (mine, other):
        assert c.session.destroy(session)
    assert "Session" not in c.kv.get("py-lock")[1]
    try:
        c.session.renew(mine)
        raise AssertionError("a session that has ended was renewed")
    except consul.NotFound:
        pass


def elect():
    """Two candidates lead one after the other, and never both at once."""
    leading, told = [], threading.Lock()
    first_leads, both_stand = threading.Event(), threading.Barrier(2)

    def candidate(name):
        c = client()
        session = c.session.create(name=name, ttl=60, lock_delay=0)
        both_stand.wait(60)
        while not c.kv.put("py-leader", name, acquire=session):
            index, pair = c.kv.get("py-leader")
            while pair and "Session" in pair:
                assert pair["Session"] != session
                index, pair = c.kv.get("py-leader", index=index, wait=WAIT)
        with told:
            leading.append(name)
        assert c.kv.get("py-leader")[1]["Session"] == session
        with told:
            assert leading[-1] == name, f"{name} leads, and so does {leading[-1]}"
        first_leads.set()
        assert c.session.destroy(session)
        return name

    ends = [in_thread(lambda name=name: candidate(name)) for name in ("one", "two")]
    assert first_leads.wait(60)
    assert {end() for end in ends} == {"one", "two"}
    assert sorted(leading) == ["one", "two"], leading


def main():
    c = client()
    for step in (about_itself, register_heartbeat_watch, keys, lock):
        step(c)
        print(step.__name__, flush=True)
    elect()
    print("elect")


main()
