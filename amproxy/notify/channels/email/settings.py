"""E-mail in the file: its settings, its keys, and how they are read."""

from __future__ import annotations

import re
from email.utils import getaddresses
from functools import lru_cache
from typing import Final

import msgspec

from amproxy.config.channels import ChannelKind
from amproxy.config.identities import fold_name
from amproxy.config.read.cursor import Section
from amproxy.config.read.http import build_tls_settings, read_tls_config
from amproxy.config.read.kinds import (
    IntegrationKind,
    address_keys,
    template_keys,
    with_file_key,
    written_texts,
)
from amproxy.config.read.values import (
    boolean,
    choice,
    host_port,
    map_of,
    raw,
    secret,
    section_of,
    text,
)
from amproxy.config.structs import Struct, TlsSettings
from amproxy.secret import Secret
from amproxy.text import Phrase

# Words with dots between them, at a host or an [address].
_ADDRESS: Final = re.compile(
    r"(?=.{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?=.{1,253}$)(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|\[[A-Za-z0-9.:]+\])"
)


class EmailSettings(Struct, frozen=True, kw_only=True):
    """Recipients, and the SMTP server that takes the mail."""

    to: str = ""
    from_: str = ""
    hello: str = "localhost"
    smarthost: str = ""  # host:port
    auth_username: str = ""
    auth_password: Secret = Secret("")
    auth_password_file: str = ""
    auth_secret: Secret = Secret("")
    auth_secret_file: str = ""
    auth_identity: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    subject: str = ""  # of a group of alerts, where `headers` has none; "" = of an incident
    html: str = ""
    text: str = ""
    threading: bool = False  # mails of a group form a thread …
    thread_by_date: bool = True  # … a new one each day
    require_tls: bool = True
    implicit_tls: bool | None = None  # None = by port (465)
    tls: TlsSettings = TlsSettings()


def _build(section: Section) -> EmailSettings:
    threading = section.get("threading", {})
    return EmailSettings(
        **section.pick("to", "hello", "smarthost"),
        **section.pick("auth_username", "auth_password", "auth_password_file"),
        **section.pick("auth_secret", "auth_secret_file"),
        **section.pick("auth_identity", "require_tls", "headers"),
        **written_texts(section, "html", "text"),
        from_=section.get("from", ""),
        threading=threading.get("enabled", False),
        thread_by_date=threading.get("thread_by_date") != "none",
        implicit_tls=section.get("force_implicit_tls"),
        tls=build_tls_settings(section.get("tls_config")),
    )


def _build_global(values: Section) -> EmailSettings:
    return EmailSettings(
        from_=values.get("smtp_from", ""),
        hello=values["smtp_hello"],
        smarthost=values.get("smtp_smarthost", ""),
        auth_username=values.get("smtp_auth_username", ""),
        auth_password=values.get("smtp_auth_password", Secret("")),
        auth_password_file=values.get("smtp_auth_password_file", ""),
        auth_secret=values.get("smtp_auth_secret", Secret("")),
        auth_secret_file=values.get("smtp_auth_secret_file", ""),
        auth_identity=values.get("smtp_auth_identity", ""),
        require_tls=values["smtp_require_tls"],
        implicit_tls=values.get("smtp_force_implicit_tls"),
        tls=build_tls_settings(values.get("smtp_tls_config")),
    )


def _check(section: Section) -> None:
    names: set[str] = set()
    for header in section.get("headers", {}):
        if header.lower() in names:
            section.error("headers", "problem.repeated_header", header=header)
        names.add(header.lower())
    threading = section.get("threading", {})
    if threading.get("enabled"):
        if names & {"references", "in-reply-to"}:
            section.error("headers", "problem.threading_headers")
        if "thread_by_date" not in threading:
            section.error("threading", "problem.threading_by_date")


@lru_cache(maxsize=4096)  # each look at people asks about all of their contacts
def parse_addresses(text: str) -> tuple[tuple[str, str], ...]:
    """The addresses of a From or To, each with its name, "" = none; () = the text is no address."""
    parsed = getaddresses([text]) if text.isprintable() else []
    # The parser mends what is broken ("bob@exa mple.org"): an address that nobody wrote is refused.
    if not all(address in text for _, address in parsed):
        return ()
    try:
        found = tuple((name, _in_ascii(address)) for name, address in parsed)
    except UnicodeError:
        return ()
    return found if all(_ADDRESS.fullmatch(address) for _, address in found) else ()


def _in_ascii(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain if domain.isascii() else domain.encode('idna').decode()}"


def parse_smarthost(smarthost: str) -> tuple[str, int]:
    """Host and port of "host:port". Raises ValueError."""
    host, _, port = smarthost.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _fault(settings: EmailSettings, prefix: str) -> Phrase | None:
    """The reason why no mail can go out, whomever it is to. prefix: of the keys in the file."""
    try:
        parse_smarthost(settings.smarthost)
    except ValueError:
        return Phrase("undeliverable.no_port", {"key": f"{prefix}smarthost"})
    if not ("{{" in settings.from_ or parse_addresses(settings.from_)):
        return Phrase("undeliverable.no_mail_address_in", {"key": f"{prefix}from"})
    return None


def _contact_fault(address: str, settings: EmailSettings) -> Phrase | None:
    known = _fault(settings, "smtp_")
    return known or (None if parse_addresses(address) else Phrase("undeliverable.no_mail_address"))


def _entry_fault(section: Section, settings: EmailSettings) -> Phrase | None:
    bad_to = Phrase("undeliverable.no_mail_address_in", {"key": "to"})
    known = "{{" in settings.to or parse_addresses(settings.to)
    return _fault(settings, "") or (None if known else bad_to)


def _is_html(settings: EmailSettings, key: str) -> bool:
    return key == "html"


EMAIL: Final = ChannelKind(
    channel="amproxy.notify.channels.email.channel:EmailChannel",
    integration=IntegrationKind(
        keys={
            "send_resolved": boolean,
            **address_keys("to", "from"),
            **template_keys("html", "text"),
            **dict.fromkeys(("hello", "auth_username", "auth_identity"), text),
            "smarthost": host_port,
            **with_file_key("auth_password"),
            **with_file_key("auth_secret"),
            "headers": map_of(raw),
            "require_tls": boolean,
            "tls_config": read_tls_config,
            "force_implicit_tls": boolean,
            "threading": section_of(
                {"enabled": boolean, "thread_by_date": choice("none", "daily")}
            ),
        },
        send_resolved=False,
        one_of=(("to",), ("from",), ("smarthost",)),
        at_most=(("auth_password", "auth_password_file"), ("auth_secret", "auth_secret_file")),
        # In this order, which /api/v2/status shows.
        inherited={
            key: f"smtp_{key}"
            for key in (
                *("from", "hello", "smarthost", "auth_username", "auth_password"),
                *("auth_password_file", "auth_secret", "auth_secret_file", "auth_identity"),
                *("require_tls", "tls_config", "force_implicit_tls"),
            )
        },
        check=_check,
    ),
    build=_build,
    entry_fault=_entry_fault,
    templates=("to", "from_", "headers", "subject", "html", "text"),
    default_texts={
        "subject": '{{ template "email.default.subject" . }}',
        "html": '{{ template "email.default.html" . }}',
    },
    is_html=_is_html,
    global_keys={
        **dict.fromkeys(("smtp_from", "smtp_hello"), text),
        **dict.fromkeys(("smtp_auth_username", "smtp_auth_identity"), text),
        "smtp_smarthost": host_port,
        "smtp_require_tls": boolean,
        "smtp_tls_config": read_tls_config,
        "smtp_force_implicit_tls": boolean,
    },
    global_secrets={"smtp_auth_password": secret, "smtp_auth_secret": secret},
    global_defaults={"smtp_hello": "localhost", "smtp_require_tls": True},
    build_global=_build_global,
    account=fold_name,
    signs_in=True,
    needs={"smtp_smarthost": ("smarthost",), "smtp_from": ("from_",)},
    contact_fault=_contact_fault,
)
