"""What the tests of `amproxy serve` share: web config files, a client with a password and a prefix, patience."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import bcrypt

from tests.support.servers import Server
from tests.support.standins.certificate import Certificate

ROUTES = """
route: {receiver: nobody, group_by: [alertname], group_wait: 100ms, group_interval: 1s}
receivers: [{name: nobody}]
"""
ON_CALL = """
route: {receiver: on-call, group_by: [alertname], group_wait: 50ms}
receivers: [{name: on-call, oncall_configs: [{escalation_policy: simple}]}]
users: [{name: alice, contacts: {console: alice}}]
escalation_policies: [{name: simple, steps: [{notify: {users: [alice]}}]}]
"""
PASSWORD = "correct horse"


def hashed(password: str = PASSWORD, cost: int = 4) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def tls_section(certificate: Certificate) -> str:
    return f"tls_server_config:\n  cert_file: {certificate.file.name}\n  key_file: key.pem\n"


def users_section(**passwords: str) -> str:
    return "basic_auth_users:\n" + "".join(
        f"  {user}: {hashed(password)}\n" for user, password in passwords.items()
    )


def web_config(folder: Path, text: str) -> str:
    """Writes the file, returns the option that names it."""
    path = folder / "web.yml"
    path.write_text(text)
    return f"--web.config.file={path}"


class Answer(NamedTuple):
    status: int
    headers: Any
    text: str


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


class Client:
    """Asks one server; redirects are answers like others. `login` is "user:password"."""

    def __init__(
        self,
        url: str,
        *,
        login: str = "",
        trust: Path | None = None,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self.url = url
        self._headers = (
            {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}
        )
        handlers: list[urllib.request.BaseHandler] = [_Stay(), urllib.request.ProxyHandler({})]
        if trust:
            context = ssl.create_default_context(cafile=trust)
            if certificate:
                context.load_cert_chain(*certificate)
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def ask(self, path: str, body: Any = None, **headers: str) -> Answer:
        """GET, or POST where there is a body: a dict or list goes as JSON, a text as a form."""
        data = None
        if isinstance(body, str):
            data = body.encode()
        elif body is not None:
            data, headers = (
                json.dumps(body).encode(),
                {"Content-Type": "application/json", **headers},
            )
        request = urllib.request.Request(self.url + path, data, {**self._headers, **headers})
        try:
            with self._opener.open(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read().decode())

    def json(self, path: str) -> Any:
        answer = self.ask(path)
        assert answer.status == 200, answer
        return json.loads(answer.text)


def cpu(server: Server) -> float:
    """Seconds of the processor that it has used, to a hundredth."""
    user, system = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def https(server: Server) -> str:
    return server.url.replace("http://", "https://")


def page_url(server: Server) -> str:
    """Where the log says that the page is."""
    found = re.search(r"Look at the page.*url=(\S+)", server.printed)
    assert found, server.printed
    return found[1]


def sse(server: Server) -> socket.socket:
    """An open page: a connection to /events on which the first line has come."""
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    connection.sendall(f"GET /events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    seen = b""
    while b"retry:" not in seen:
        part = connection.recv(4096)
        assert part, seen
        seen += part
    return connection
