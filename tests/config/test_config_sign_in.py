"""How people sign in, as the file says it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from amproxy.config.loader import load_text
from amproxy.config.structs import SignIn
from amproxy.errors import ConfigError

FILE = "route: {receiver: r}\nreceivers: [{name: r}]\n"
OIDC = "issuer: 'https://id.example.org/realms/x', client_id: a, client_secret: very-secret"


def read(text: str) -> SignIn | None:
    return load_text(FILE + text).config.sign_in


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as error:
        read(text)
    return str(error.value)


def test_without_the_section_nobody_needs_to_sign_in() -> None:
    assert read("") is None


def test_all_ways_together_with_their_defaults() -> None:
    found = read(
        f"sign_in: {{passwords: true, oidc: {{{OIDC}}}, proxy_header: {{from: [10.0.0.1, 'fd00::/8']}}}}"
    )
    assert found and found.oidc and found.proxy_header
    assert found.oidc.scopes == ("openid", "email", "profile") and found.oidc.user_claim == "email"
    assert found.proxy_header.header == "X-Forwarded-User"
    assert [str(net) for net in found.proxy_header.networks] == [
        "10.0.0.1/32",
        "fd00::/8",
    ]
    assert (found.session_lifetime, found.anonymous) == (
        30 * 86400,
        "none",
    ) and "very-secret" not in repr(found)
    own = read(f"sign_in: {{oidc: {{{OIDC}, scopes: [email]}}, session_lifetime: 12h}}")
    assert (
        own
        and own.oidc
        and own.oidc.scopes == ("openid", "email")
        and own.session_lifetime == 43200
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sign_in:", "nobody could sign in"),
        ("sign_in: {}", "nobody could sign in"),
        ("sign_in: {passwords: false, anonymous: viewer}", "nobody could sign in"),
        ("sign_in: {oidc: {client_id: a}}", "missing issuer"),
        ("sign_in: {oidc: {issuer: 'http://id.example.org', client_id: a}}", "https"),
        (
            "sign_in: {oidc: {issuer: 'https://id.example.org?x=1', client_id: a}}",
            "neither a query",
        ),
        (f"sign_in: {{oidc: {{{OIDC}, client_secret_file: x}}}}", "only one of"),
        ("sign_in: {proxy_header: {header: X-User}}", "missing from"),
        ("sign_in: {proxy_header: {from: []}}", "nobody whose word counts"),
        ("sign_in: {proxy_header: {from: [0.0.0.0/0]}}", "anybody could be anybody"),
        ("sign_in: {proxy_header: {from: ['::/0']}}", "anybody could be anybody"),
        (
            "sign_in: {proxy_header: {from: [proxy.example.org]}}",
            "neither an address nor a network",
        ),
        ("sign_in: {proxy_header: {header: 'X User', from: [::1]}}", "no name of a header"),
        ("sign_in: {passwords: true, session_lifetime: 0s}", "longer than 0s"),
        ("sign_in: {passwords: true, anonymous: admin}", "not allowed here"),
        ("users: [{name: a, password_hash: hunter2}]", "argon2id"),
    ],
)
def test_what_would_let_in_the_wrong_people_or_nobody_is_refused(text: str, why: str) -> None:
    said = refused(text)
    assert why in said and "hunter2" not in said and "very-secret" not in said


def test_the_command_prints_a_hash_that_the_file_takes() -> None:
    command = [sys.executable, "-m", "amproxy", "hash-password"]
    done = subprocess.run(
        command, input="correct horse\n", capture_output=True, text=True, check=True, timeout=60
    )
    user = load_text(
        f"{FILE}users: [{{name: a, password_hash: '{done.stdout.strip()}'}}]"
    ).config.users["a"]
    assert user.password_hash.reveal().startswith("$argon2id$") and "argon2" not in repr(user)
    assert (
        subprocess.run(
            command, input="\n", capture_output=True, text=True, check=False, timeout=60
        ).returncode
        == 1
    )
