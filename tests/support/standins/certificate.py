"""A certificate for loopback that nobody but the test trusts, made when it is wanted."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path


class Certificate:
    """`file` is what a client has to trust; `context()` is the server's side."""

    def __init__(self, folder: Path, names: str = "IP:127.0.0.1,DNS:localhost") -> None:
        self.file, self.key = folder / "certificate.pem", folder / "key.pem"
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=stand-in"
        where = [
            "-addext",
            f"subjectAltName={names}",
            "-keyout",
            str(self.key),
            "-out",
            str(self.file),
        ]
        subprocess.run([*command.split(), *where], check=True, capture_output=True)

    def context(self) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.file, self.key)
        return made
