"""Where a service with sign-in may listen and lie: on any address, below a path, behind passwords of the web config file."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher

from tests.support.servers import Servers
from tests.support.signin.signed import Browser, company, log

HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


def test_below_a_path_everything_stays_below_it(house: Servers) -> None:
    amproxy = house.amproxy(company(), args=["--web.route-prefix=/am"])
    amproxy.url += "/am"
    browser = Browser(amproxy, Origin=amproxy.url.removesuffix("/am"))
    assert browser.get("/incidents").headers["location"] == "/am/sign-in?back=/incidents"
    assert 'href="/am/static/' in browser.get("/sign-in").text
    done = browser.sign_in("rob", back="/incidents")
    assert done.headers["location"] == "/am/incidents" and "Path=/am" in done.headers["set-cookie"]
    page = browser.get("/incidents")
    assert page.status_code == 200 and 'action="/am/sign-out"' in page.text
    browser.cookies.clear()
    referred = browser.post("/test-alert", headers={"Referer": f"{amproxy.url}/incidents"})
    assert referred.headers["location"] == "/am/sign-in?back=/incidents&undone=1"


def test_with_passwords_of_the_web_config_file_both_are_needed(
    house: Servers, tmp_path: Path
) -> None:
    import bcrypt

    hashed = bcrypt.hashpw(b"outer", bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(f"basic_auth_users:\n  door: {hashed}\n")
    login = f"Basic {base64.b64encode(b'door:outer').decode()}"
    both = house.amproxy(company(), args=[f"--web.config.file={tmp_path / 'web.yml'}"])
    assert Browser(both).get("/sign-in").status_code == 401
    browser = Browser(both, Authorization=login)
    assert (
        browser.get("/").status_code == 303 and browser.signed_in("vic").get("/").status_code == 200
    )
    assert browser.post("/test-alert").status_code == 403
    alone = house.amproxy(
        company().partition("\nsign_in")[0], args=[f"--web.config.file={tmp_path / 'web.yml'}"]
    )
    admin = Browser(alone, Authorization=login)
    assert admin.post("/-/reload").status_code == 200
    assert [(entry["via"], entry["user"]) for entry in log(admin)] == [("basic", "door")]


def test_with_sign_in_it_listens_anywhere_and_a_reload_cannot_open_it(house: Servers) -> None:
    amproxy = house.amproxy(company())
    amproxy.terminate()
    amproxy.argv[amproxy.argv.index("--listen") + 1] = "0.0.0.0:0"
    amproxy.start()
    amproxy.url = amproxy.url.replace("0.0.0.0", "127.0.0.1")
    admin = Browser(amproxy).signed_in("ada")
    assert amproxy.config is not None
    amproxy.config.write_text(company().partition("\nsign_in")[0])
    answer = admin.post("/-/reload")
    assert answer.status_code == 500 and "everybody who reaches amproxy could act" in answer.text
    assert httpx.get(f"{amproxy.url}/api/v1/incidents", trust_env=False).status_code == 401
    closed = subprocess.run(
        [
            sys.executable,
            "-m",
            "amproxy",
            "serve",
            "--config",
            str(amproxy.config),
            "--listen",
            "0.0.0.0:0",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert closed.returncode == 1 and "sign_in in the file" in closed.stderr


@pytest.mark.parametrize("broken", ["", "not a hash", "$2y$10$abcdefghijklmnopqrstuv"])
def test_a_hash_in_a_file_is_read_anew_and_a_broken_one_lets_nobody_in(
    house: Servers, tmp_path: Path, broken: str
) -> None:
    file = tmp_path / "hash"
    file.write_text(HASH.hash("first"))
    amproxy = house.amproxy(
        company(more="").replace("{name: nopass,", f"{{name: nopass, password_hash_file: {file},")
    )
    browser = Browser(amproxy)
    assert browser.sign_in("nopass", "first").status_code == 303
    file.write_text(HASH.hash("second") + "\n")
    assert (
        browser.sign_in("nopass", "second").status_code == 303
        and browser.sign_in("nopass", "first").status_code == 401
    )
    file.write_text(broken)
    assert (
        browser.sign_in("nopass", "").status_code == 401
        and browser.sign_in("nopass", "second").status_code == 401
    )
