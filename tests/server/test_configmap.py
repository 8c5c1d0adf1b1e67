"""A ConfigMap or Secret that Kubernetes turns to other files: each load takes what is there then."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from amproxy.config.structs import HttpSettings, TlsSettings
from amproxy.notify.channels.http import HttpClients
from tests.support.server.configmap import ConfigMap
from tests.support.server.reached import PASSWORD, Client, https, users_section
from tests.support.servers import Server, Servers
from tests.support.standins.certificate import Certificate
from tests.support.waiting import until

ROUTES = """# kept
route: {receiver: NAME, group_wait: 50ms}
receivers: [{name: NAME}]
users: [{name: ann}]
sources: [{name: grafana, token_file: token}]
"""


def started(servers: Servers, config: Path, *args: str) -> Server:
    """The service with a file of ours, which need not be there under its real name."""
    return servers.amproxy("", args=[f"--config={config}", *args])


def mounted(folder: Path, name: str = "first") -> ConfigMap:
    return ConfigMap(folder, routes_yaml=ROUTES.replace("NAME", name), token="old-token")


def receivers(client: Client) -> list[str]:
    return [each["name"] for each in client.json("/api/v2/receivers")]


def pushes(client: Client, token: str) -> int:
    return client.ask("/webhook/grafana", {"title": "x"}, Authorization=f"Bearer {token}").status


@pytest.mark.parametrize("by", ["request", "signal"])
def test_a_reload_takes_the_file_that_the_link_leads_to_now(
    servers: Servers, tmp_path: Path, by: str
) -> None:
    there = mounted(tmp_path / "etc")
    amproxy = started(servers, there.path("routes_yaml"))
    client = Client(amproxy.url)
    assert receivers(client) == ["first"] and pushes(client, "old-token") == 200
    there.swap(routes_yaml=ROUTES.replace("NAME", "second"), token="new-token")
    # a secret is read at each use: no reload is needed
    assert pushes(client, "new-token") == 200 and pushes(client, "old-token") == 401
    if by == "signal":
        os.kill(amproxy.pid, signal.SIGHUP)
    else:
        assert client.ask("/-/reload", "").status == 200
    until(lambda: receivers(client) == ["second"])
    assert pushes(client, "new-token") == 200


def test_worker_processes_take_it_too(servers: Servers, tmp_path: Path) -> None:
    there = mounted(tmp_path / "etc")
    client = Client(started(servers, there.path("routes_yaml"), "--workers=2").url)
    there.swap(routes_yaml=ROUTES.replace("NAME", "second"), token="t")
    client.ask("/-/reload", "")
    until(lambda: all(receivers(client) == ["second"] for _ in range(10)))


def test_a_relative_path_starts_where_the_file_is_named(servers: Servers, tmp_path: Path) -> None:
    """As in `amproxy check` and in Alertmanager: not in the folder that the link leads to."""
    there = mounted(tmp_path / "etc")
    real = tmp_path / "elsewhere.yaml"
    real.write_text(ROUTES.replace("NAME", "elsewhere"))
    named = there.folder / "named.yaml"
    named.symlink_to(real)
    client = Client(started(servers, named).url)
    assert receivers(client) == ["elsewhere"] and pushes(client, "old-token") == 200


def test_the_web_config_file_and_its_certificates_are_followed(
    servers: Servers, tmp_path: Path
) -> None:
    made = []
    for number in range(2):
        (tmp_path / f"made-{number}").mkdir()
        made.append(Certificate(tmp_path / f"made-{number}"))

    def files(number: int, password: str) -> dict[str, str]:
        tls = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"
        return {
            "web_yml": tls + users_section(ann=password),
            "cert_pem": made[number].file.read_text(),
            "key_pem": (made[number].file.parent / "key.pem").read_text(),
        }

    there = ConfigMap(tmp_path / "web", **files(0, PASSWORD))
    option = f"--web.config.file={there.path('web_yml')}"
    amproxy = started(servers, mounted(tmp_path / "etc").path("routes_yaml"), option)

    def healthy(number: int, password: str) -> bool:
        client = Client(https(amproxy), login=f"ann:{password}", trust=made[number].file)
        try:
            return client.ask("/-/healthy").status == 200
        except OSError:
            return False

    assert healthy(0, PASSWORD) and not healthy(1, PASSWORD)
    there.swap(**files(1, "another"))
    until(lambda: healthy(1, "another"))
    assert not healthy(1, PASSWORD) and not healthy(0, "another")


async def test_a_receiver_trusts_the_authority_that_is_there_now(tmp_path: Path) -> None:
    made = []
    for number in range(2):
        (tmp_path / f"made-{number}").mkdir()
        made.append(Certificate(tmp_path / f"made-{number}"))
    there = ConfigMap(tmp_path / "tls", ca_pem=made[0].file.read_text())
    settings = HttpSettings(tls=TlsSettings(ca_file=str(there.path("ca_pem"))))
    clients = HttpClients()
    try:
        before = clients.client(settings)
        assert clients.client(settings) is before
        there.swap(ca_pem=made[1].file.read_text())
        after = clients.client(settings)
        assert after is not before and clients.client(settings) is after
        there.swap(ca_pem="half of a certifi")
        assert clients.client(settings) is after
    finally:
        await clients.close()
    assert before.is_closed and after.is_closed


def test_the_editor_keeps_a_link_a_link(servers: Servers, tmp_path: Path) -> None:
    there = mounted(tmp_path / "etc")
    path = there.path("routes_yaml")
    client = Client(started(servers, path).url)
    digest = client.json("/api/v1/config")["digest"]
    change = {"section": "users", "name": "ann", "set": {"full_name": "Ann Ash"}}
    applied = client.ask("/api/v1/config/apply", {"change": change, "digest": digest})
    assert applied.status == 200, applied
    assert path.is_symlink() and path.readlink() == Path("..data/routes.yaml")
    assert path.read_text().startswith("# kept") and "full_name: Ann Ash" in path.read_text()
    # What the kubelet puts there next is another file: the change that was seen is not made to it.
    there.swap(routes_yaml=ROUTES.replace("NAME", "second"), token="t")
    digest = json.loads(applied.text)["digest"]
    refused = client.ask("/api/v1/config/apply", {"change": change, "digest": digest})
    assert refused.status == 409 and "has changed since" in refused.text
    assert path.is_symlink() and "Ann" not in path.read_text()
