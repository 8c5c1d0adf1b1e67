"""A Redis Cluster of real servers on loopback: three masters, and a replica of the one that matters.

That is the node that has the slot of amproxy's keys. Nothing is kept on the disk but what the nodes
know of each other.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from amproxy.store import keys
from amproxy.store.embedded import find_server
from amproxy.store.finder import SLOT
from tests.support.servers import free_port
from tests.support.waiting import until

MASTERS, SLOTS = 3, 16384
NODE_TIMEOUT = 4000  # ms of silence after which the others count a node as gone
KEYS_AT_ONCE = 10  # as redis-cli moves them


class Node:
    """One server."""

    def __init__(self, folder: Path) -> None:
        self.port, self._bus_port, self._folder = free_port(), free_port(), folder
        folder.mkdir()
        self._client = Redis(port=self.port, socket_timeout=30, decode_responses=True)
        self.start()
        self.id = str(self.ask("CLUSTER MYID"))

    def start(self) -> None:
        """Start it, again with what it knows of the cluster, and wait until it answers."""
        options = {
            "port": self.port,
            "cluster-port": self._bus_port,
            "bind": "127.0.0.1",
            "dir": self._folder,
            "save": "",
            "cluster-enabled": "yes",
            "cluster-node-timeout": NODE_TIMEOUT,
            "repl-diskless-sync-delay": 0,
            "loglevel": "warning",
        }
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([find_server(), *words], stdout=subprocess.DEVNULL)
        until(lambda: self.holds("PING"), why="a node did not start")

    def ask(self, *words: str | int) -> Any:
        return self._client.execute_command(*words)

    def holds(self, *words: str | int) -> bool:
        """It lives and does not refuse the command."""
        with contextlib.suppress(RedisError):
            return self.ask(*words) is not None
        return False

    @property
    def has_keys(self) -> bool:
        """It serves amproxy's slot."""
        return self.holds("EXISTS", keys.P)

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()

    def meet(self, other: Node) -> None:
        self.ask("CLUSTER MEET", "127.0.0.1", other.port, other._bus_port)

    def knows(self, number: int) -> bool:
        """The cluster works, and it knows so many nodes."""
        info = self.ask("CLUSTER INFO")
        return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == number

    @property
    def follows(self) -> bool:
        """It is a replica that has all of its master."""
        role = self.ask("ROLE")
        return role[0] == "slave" and role[3] == "connected"


class Cluster:
    """The nodes, which know of each other."""

    def __init__(self, folder: Path) -> None:
        self.nodes: list[Node] = []
        self._folder = folder

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    @property
    def owner(self) -> Node:
        """The node that serves amproxy's slot, once there is one."""
        return until(lambda: next((node for node in self.nodes if node.has_keys), None))

    @property
    def replica(self) -> Node:
        """The replica, once it has all of its master."""
        return until(
            lambda: next((node for node in self.nodes if node.holds("PING") and node.follows), None)
        )

    @property
    def other(self) -> Node:
        """A master that does not have the slot."""
        owner, replica = self.owner, self.replica
        return next(node for node in self.nodes if node not in (owner, replica))

    def join(self) -> None:
        """Start the nodes and have them form the cluster."""
        self.nodes = [Node(self._folder / str(number)) for number in range(MASTERS + 1)]
        masters, step = self.nodes[:MASTERS], SLOTS // MASTERS + 1
        for number, node in enumerate(masters):
            first = number * step
            node.ask("CLUSTER ADDSLOTSRANGE", first, min(first + step, SLOTS) - 1)
            node.ask("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            node.meet(self.nodes[0])
        until(lambda: all(node.knows(len(self.nodes)) for node in self.nodes))
        self.nodes[-1].ask("CLUSTER REPLICATE", self.owner.id)
        until(lambda: self.nodes[-1].follows)

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()

    def begin_move(self, source: Node, target: Node) -> None:
        """Begin to move amproxy's slot."""
        target.ask("CLUSTER SETSLOT", SLOT, "IMPORTING", source.id)
        source.ask("CLUSTER SETSLOT", SLOT, "MIGRATING", target.id)

    def move_keys(self, source: Node, target: Node) -> bool:
        """Move some of its keys; False where there are no more."""
        some = source.ask("CLUSTER GETKEYSINSLOT", SLOT, KEYS_AT_ONCE)
        if some:
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 30000, "KEYS", *some)
        return bool(some)

    def end_move(self, source: Node, target: Node) -> None:
        """Move the rest, and tell all that it has moved."""
        while self.move_keys(source, target):
            pass
        for node in (target, source, *self.nodes):
            if node.ask("ROLE")[0] == "master":
                node.ask("CLUSTER SETSLOT", SLOT, "NODE", target.id)

    def fail_over(self) -> None:
        """Make the replica the master, in order."""
        owner, replica = self.owner, self.replica

        def is_done() -> bool:
            # the old master answers readers until it hears of it
            return replica.has_keys and not owner.has_keys

        def succeeds() -> bool:
            # on a busy machine the nodes may give it up after five seconds
            replica.holds("CLUSTER FAILOVER")
            with contextlib.suppress(AssertionError):
                return until(is_done, seconds=10)
            return False

        until(succeeds)


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Starts one, and ends it."""
    with tempfile.TemporaryDirectory(prefix="amproxy-") as folder:
        cluster = Cluster(Path(folder))
        try:
            cluster.join()
            yield cluster
        finally:
            cluster.stop()
