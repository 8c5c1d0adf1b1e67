"""Messages published to Amazon SNS, against a stand-in that checks their signatures."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from amproxy.config.structs import HttpSettings, TlsSettings
from amproxy.errors import DeliveryError
from amproxy.notify.channels.sns.channel import SnsChannel
from amproxy.notify.channels.sns.query import endpoint
from amproxy.notify.channels.sns.settings import AwsSettings, SnsSettings
from amproxy.notify.channels.sns.signing import AwsCredentials, signed_headers
from amproxy.secret import Secret
from tests.support.config.configs import loaded, problem
from tests.support.notify.cards import card, resolved
from tests.support.notify.groups import DIGEST, group_card, integration, verdict
from tests.support.standins.aws import (
    ACCESS_KEY,
    POD_TOKEN,
    REGION,
    ROLE,
    SECRET_KEY,
    TOPIC,
    AwsStandIn,
    attributes,
    refusal,
)
from tests.support.standins.certificate import Certificate
from tests.support.standins.serving import Response

STATIC = AwsSettings(region=REGION, access_key=ACCESS_KEY, secret_key=Secret(SECRET_KEY))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    names = f"DNS:sns.{REGION}.amazonaws.com,DNS:sts.{REGION}.amazonaws.com"
    names += f",DNS:sts-fips.{REGION}.amazonaws.com"
    return Certificate(tmp_path_factory.mktemp("tls"), names)


@pytest.fixture
def service(certificate: Certificate) -> Iterator[AwsStandIn]:
    with AwsStandIn(certificate.context()) as started:
        yield started
        started.assert_no_surprises()


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment without anything of AWS, and with a home of its own."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


@pytest.fixture
async def channel(env: pytest.MonkeyPatch) -> AsyncIterator[SnsChannel]:
    made = SnsChannel()
    yield made
    await made.close()


@pytest.fixture
def through(service: AwsStandIn, certificate: Certificate) -> HttpSettings:
    """The stand-in as a proxy: it answers in Amazon's place."""
    return HttpSettings(proxy_url=service.url, tls=TlsSettings(ca_file=str(certificate.file)))


def settings(service: AwsStandIn, **changes: Any) -> SnsSettings:
    values: dict[str, Any] = {
        "api_url": service.url,
        "aws": STATIC,
        "subject": "[FIRING:1] DiskFull",
        "message": "sda1 is full",
    }
    if not {"phone_number", "target_arn"} & set(changes):
        values["topic_arn"] = TOPIC
    return SnsSettings(**values | changes)


def test_a_signature_is_that_of_amazons_own_example() -> None:
    secret = Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    headers = signed_headers(
        httpx.URL("https://example.amazonaws.com/"),
        b"Param1=value1",
        "application/x-www-form-urlencoded",
        AwsCredentials(access_key="AKIDEXAMPLE", secret_key=secret),
        region="us-east-1",
        service="service",
        now=1440938160.0,
    )
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
        " SignedHeaders=content-type;host;x-amz-date,"
        " Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
    )


async def test_a_group_is_published_to_a_topic(service: AwsStandIn, channel: SnsChannel) -> None:
    found = settings(service, attributes={"team": "db", "how": "a & b"})
    await channel.send(found, group_card())
    (form,) = service.published
    assert attributes(form) == {"team": "db", "how": "a & b"}
    assert {key: value for key, value in form.items() if not key.startswith("MessageA")} == {
        "Action": "Publish",
        "Version": "2010-03-31",
        "TopicArn": TOPIC,
        "Subject": "[FIRING:1] DiskFull",
        "Message": "sda1 is full",
    }


@pytest.mark.parametrize(
    ("target", "key"), [("phone_number", "PhoneNumber"), ("target_arn", "TargetArn")]
)
async def test_a_group_is_published_to_a_phone_or_an_endpoint(
    service: AwsStandIn, channel: SnsChannel, target: str, key: str
) -> None:
    await channel.send(settings(service, **{target: "+4915112345"}), group_card())
    assert service.published[0][key] == "+4915112345"
    assert "TopicArn" not in service.published[0]


async def test_a_fifo_topic_has_the_groups_key(service: AwsStandIn, channel: SnsChannel) -> None:
    await channel.send(settings(service, topic_arn=f"{TOPIC}.fifo"), group_card())
    (form,) = service.published
    assert (form["MessageGroupId"], form["MessageDeduplicationId"]) == (DIGEST, DIGEST)


async def test_a_long_message_is_cut_and_says_so(service: AwsStandIn, channel: SnsChannel) -> None:
    await channel.send(settings(service, message="x" * (256 * 1024 + 1)), group_card())
    await channel.send(settings(service, message="я" * 801, phone_number="+49"), group_card())
    assert [len(form["Message"].encode()) for form in service.published] == [256 * 1024, 1600]
    assert [attributes(form) for form in service.published] == [{"truncated": "true"}] * 2


async def test_an_incident_has_its_own_texts_and_ends_once(
    service: AwsStandIn, channel: SnsChannel
) -> None:
    empty = settings(service, subject="", message="")
    ref = await channel.send(empty, card(title="HighCPU\n" + "x" * 200))
    ref = await channel.edit(empty, ref, card(state="acknowledged"))
    await channel.edit(empty, ref, resolved())
    assert [len(form["Subject"]) for form in service.published] == [100, 14]
    assert service.published[0]["Message"] == "CPU is above 90 %\nfor ten minutes"


async def test_the_address_is_that_of_the_region(
    service: AwsStandIn, channel: SnsChannel, through: HttpSettings
) -> None:
    await channel.send(settings(service, api_url="", http=through), group_card())
    assert service.taken[0].headers["host"] == f"sns.{REGION}.amazonaws.com"
    assert endpoint("sns", "cn-north-1") == "https://sns.cn-north-1.amazonaws.com.cn/"


async def test_credentials_of_http_config_do_not_replace_the_signature(
    service: AwsStandIn, channel: SnsChannel
) -> None:
    http = HttpSettings(authorization_credentials=Secret("another-token"))
    await channel.send(settings(service, http=http), group_card())
    assert len(service.published) == 1


@pytest.mark.parametrize(
    ("response", "wanted"),
    [
        (refusal(500, "InternalError"), ("temporary", "server_error", None)),
        (refusal(400, "ThrottlingException"), ("temporary", "rate_limited", None)),
        (refusal(400, "InvalidParameter"), ("permanent", "client_error", None)),
        (refusal(403, "InvalidClientTokenId"), ("permanent", "auth_error", None)),
        (Response(429), ("permanent", "rate_limited", None)),
    ],
)
async def test_a_refusal_says_whether_to_try_again(
    service: AwsStandIn,
    channel: SnsChannel,
    response: Response,
    wanted: tuple[str, str, None],
) -> None:
    assert await verdict(channel, settings(service), service, response) == wanted


async def test_a_wrong_key_is_told_in_amazons_words(
    service: AwsStandIn, channel: SnsChannel
) -> None:
    service.allow("SignatureDoesNotMatch")
    wrong = AwsSettings(region=REGION, access_key=ACCESS_KEY, secret_key=Secret("wrong-secret"))
    with pytest.raises(DeliveryError, match="403 SignatureDoesNotMatch: calculated") as caught:
        await channel.send(settings(service, aws=wrong), group_card())
    assert "wrong-secret" not in str(caught.value)


# ------------------------------------------------------------------------------------- credentials


async def test_the_environment_has_keys_and_the_region(
    service: AwsStandIn, channel: SnsChannel, env: pytest.MonkeyPatch
) -> None:
    service.keys["AKIAENV"] = "env-secret", "env-token"
    values = {"ACCESS_KEY_ID": "AKIAENV", "SECRET_ACCESS_KEY": "env-secret"}
    for name, value in (values | {"SESSION_TOKEN": "env-token", "REGION": REGION}).items():
        env.setenv(f"AWS_{name}", value)
    await channel.send(settings(service, aws=AwsSettings()), group_card())
    assert service.used == ["AKIAENV"]


async def test_without_a_region_nothing_is_sent(service: AwsStandIn, channel: SnsChannel) -> None:
    with pytest.raises(DeliveryError, match="no region") as caught:
        await channel.send(settings(service, aws=AwsSettings()), group_card())
    assert caught.value.permanent


async def test_profiles_have_keys_and_roles(
    service: AwsStandIn,
    channel: SnsChannel,
    through: HttpSettings,
    tmp_path: Path,
) -> None:
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(
        f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    )
    (folder / "config").write_text(
        f"[default]\nregion = {REGION}\n"
        f"[profile pager]\nrole_arn = {ROLE}\nsource_profile = default\nexternal_id = x1\nregion = {REGION}\n"
        f"[profile round]\nrole_arn = {ROLE}\nsource_profile = round2\n"
        f"[profile round2]\nrole_arn = {ROLE}\nsource_profile = round\n"
        "[profile sso]\nsso_session = s\n"
    )
    for profile in ("", "pager"):
        found = settings(service, aws=AwsSettings(profile=profile), http=through)
        await channel.send(found, group_card())
    assert service.used == [ACCESS_KEY, ACCESS_KEY, "ASIAROLE1"]
    assert service.assumed[0]["ExternalId"] == "x1"
    for profile, words in (
        ("nobody", "no profile"),
        ("round", "each other"),
        ("sso", "sso_session"),
    ):
        with pytest.raises(DeliveryError, match=words) as caught:
            aws = AwsSettings(profile=profile, region=REGION)
            await channel.send(settings(service, aws=aws), group_card())
        assert caught.value.permanent


async def test_a_role_is_assumed_once_until_its_credentials_end(
    service: AwsStandIn, channel: SnsChannel, through: HttpSettings
) -> None:
    aws = AwsSettings(
        region=REGION,
        access_key=ACCESS_KEY,
        secret_key=Secret(SECRET_KEY),
        role_arn=ROLE,
        external_id="x1",
        session_name="pager",
        tags={"team": "db"},
        use_fips_sts_endpoint=True,
    )
    found = settings(service, aws=aws, http=through)
    for _ in range(3):
        await channel.send(found, group_card())
    (asked,) = service.assumed
    wanted = {"ExternalId": "x1", "RoleSessionName": "pager", "Tags.member.1.Value": "db"}
    assert {key: asked[key] for key in wanted} == wanted
    assert service.taken[0].headers["host"] == f"sts-fips.{REGION}.amazonaws.com"
    assert service.used[-1] == "ASIAROLE1"


async def test_credentials_that_are_about_to_end_are_fetched_anew(
    service: AwsStandIn, channel: SnsChannel, through: HttpSettings
) -> None:
    service.lifetime = 30.0
    aws = AwsSettings(
        region=REGION, access_key=ACCESS_KEY, secret_key=Secret(SECRET_KEY), role_arn=ROLE
    )
    for _ in range(2):
        await channel.send(settings(service, aws=aws, http=through), group_card())
    assert service.asked["role"] == 2


async def test_a_pod_has_a_role_by_its_token(
    service: AwsStandIn,
    channel: SnsChannel,
    through: HttpSettings,
    env: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "token").write_text(POD_TOKEN)
    env.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    env.setenv("AWS_ROLE_ARN", ROLE)
    env.setenv("AWS_REGION", REGION)
    await channel.send(settings(service, aws=AwsSettings(), http=through), group_card())
    assert service.used == ["ASIAROLE1"]


async def test_containers_and_machines_have_roles_of_their_own(
    service: AwsStandIn, channel: SnsChannel, env: pytest.MonkeyPatch
) -> None:
    found = settings(service, aws=AwsSettings(region=REGION))
    env.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.url}/container")
    env.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "container-token")
    await channel.send(found, group_card())
    env.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    env.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url)
    other = SnsChannel()
    try:
        await other.send(found, group_card())
    finally:
        await other.close()
    assert service.used == ["ASIACONTAINER1", "ASIAINSTANCE1"]


async def test_where_there_are_no_credentials_the_error_says_so(
    service: AwsStandIn, channel: SnsChannel, env: pytest.MonkeyPatch
) -> None:
    found = settings(service, aws=AwsSettings(region=REGION))
    env.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(DeliveryError, match="no credentials were found"):
        await channel.send(found, group_card())
    env.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(DeliveryError, match="no credentials were found"):
        await channel.send(found, group_card())


# ---------------------------------------------------------------------------------------- the file


def test_the_file_is_read_with_alertmanagers_defaults() -> None:
    found = integration(
        "sns_configs: [{topic_arn: t, subject: '', attributes: {a: b}, use_aws_http_client: true,"
        " sigv4: {region: eu-west-1, role_arn: r, external_id: x, tags: {a: b}},"
        " http_config: {basic_auth: {username: u, password: p}, proxy_url: 'http://p:1'}}]"
    ).settings
    assert (found.subject, found.attributes) == ('{{ "" }}', {"a": "b"})
    assert found.message == '{{ template "sns.default.message" . }}'
    assert found.aws == AwsSettings(
        region="eu-west-1", role_arn="r", external_id="x", tags={"a": "b"}
    )
    # Amazon's own client has the proxy of http_config, and none of its credentials
    assert (found.http.proxy_url, found.http.basic_auth_username) == ("http://p:1", "")


def test_a_service_name_has_no_effect_and_is_named() -> None:
    found = loaded(
        "route: {receiver: r}\nreceivers: [{name: r, sns_configs: [{topic_arn: t, sigv4: {service_name: x}}]}]\n"
    )
    assert [warning.kind for warning in found.warnings] == ["unused"]


@pytest.mark.parametrize("key", ["external_id: x", "session_name: pager", "tags: {a: b}"])
def test_what_is_told_to_a_role_needs_one(key: str) -> None:
    wrong = problem(
        f"route: {{receiver: r}}\nreceivers: [{{name: r, sns_configs: [{{topic_arn: t, sigv4: {{{key}}}}}]}}]\n"
    )
    assert "role_arn" in wrong.message
