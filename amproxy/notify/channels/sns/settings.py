"""Amazon SNS in the file: its settings, its keys, and how they are read."""

from __future__ import annotations

from typing import Final

import msgspec

from amproxy.config.channels import ChannelKind
from amproxy.config.read.cursor import Reader, Section
from amproxy.config.read.http import build_http_settings
from amproxy.config.read.kinds import (
    COMMON,
    IntegrationKind,
    address_keys,
    template_keys,
    written_texts,
)
from amproxy.config.read.values import boolean, map_of, raw, secret, section_of, text
from amproxy.config.structs import HttpSettings, Struct
from amproxy.secret import Secret
from amproxy.text import Phrase

_DEFAULT_TEXTS: Final = {
    "subject": '{{ template "sns.default.subject" . }}',
    "message": '{{ template "sns.default.message" . }}',
}
_SIGV4: Final[dict[str, Reader]] = {
    **dict.fromkeys(("region", "access_key", "profile"), text),
    "secret_key": secret,
    **dict.fromkeys(("role_arn", "external_id", "session_name"), text),
    "tags": map_of(text),
    "service_name": text,
    "use_fips_sts_endpoint": boolean,
}


class AwsSettings(Struct, frozen=True, kw_only=True):
    """The account of requests. What is left out comes from AWS's usual places."""

    region: str = ""
    access_key: str = ""
    secret_key: Secret = Secret("")
    profile: str = ""
    # A role that is assumed with the credentials, and what is told when it is.
    role_arn: str = ""
    external_id: str = ""
    session_name: str = ""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    use_fips_sts_endpoint: bool = False


class SnsSettings(Struct, frozen=True, kw_only=True):
    """One topic, endpoint or phone. api_url: "" = the region's own address."""

    api_url: str = ""
    aws: AwsSettings = AwsSettings()
    topic_arn: str = ""
    target_arn: str = ""
    phone_number: str = ""
    subject: str = ""
    message: str = ""
    attributes: dict[str, str] = msgspec.field(default_factory=dict)
    http: HttpSettings = HttpSettings()
    send_resolved: bool = True  # whether an incident's end is told; a group's flush asks by itself


def _build(section: Section) -> SnsSettings:
    http = build_http_settings(section["http_config"])
    if section.get("use_aws_http_client"):
        # Amazon's own client takes certificates and the proxy, and nothing else.
        http = HttpSettings(
            tls=http.tls,
            proxy_url=http.proxy_url,
            no_proxy=http.no_proxy,
            proxy_from_environment=http.proxy_from_environment,
        )
    sigv4 = section.get("sigv4", {})
    return SnsSettings(
        **section.pick("api_url", "topic_arn", "target_arn", "phone_number", "attributes"),
        **written_texts(section, "subject", "message"),
        aws=AwsSettings(**{key: value for key, value in sigv4.items() if key != "service_name"}),
        http=http,
        send_resolved=section["send_resolved"],
    )


def _check(section: Section) -> None:
    targets = ("target_arn", "topic_arn", "phone_number")
    section.require(*targets)
    section.exclusive(*targets)
    sigv4 = section.get("sigv4")
    if sigv4 is None:
        return
    if bool(sigv4.given("access_key")) != bool(sigv4.given("secret_key")):
        section.error("sigv4", "problem.sns_keys")
    if sigv4.given("external_id", "session_name") or sigv4.get("tags"):
        sigv4.require("role_arn")
    if sigv4.given("service_name"):  # the service is SNS, as for Alertmanager
        unused = Phrase("problem.unused_key", {"key": "service_name"})
        sigv4.cursors["service_name"].warn("unused", unused)


SNS: Final = ChannelKind(
    channel="amproxy.notify.channels.sns.channel:SnsChannel",
    integration=IntegrationKind(
        keys={
            **COMMON,
            "sigv4": section_of(_SIGV4),
            **address_keys("api_url", "topic_arn", "phone_number", "target_arn"),
            **template_keys("subject", "message"),
            "attributes": map_of(raw),
            "use_aws_http_client": boolean,
        },
        check=_check,
    ),
    build=_build,
    templates=(
        *("api_url", "topic_arn", "target_arn", "phone_number"),
        *("subject", "message", "attributes"),
    ),
    templated_keys=("attributes",),
    default_texts=_DEFAULT_TEXTS,
    reaches_people=False,
    addresses_people=False,
)
