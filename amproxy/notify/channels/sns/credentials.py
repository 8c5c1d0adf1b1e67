"""AWS credentials from the places where Amazon's own clients look, and of roles that are assumed.

In this order: the file's keys, the environment, the identity of a pod (web identity), a profile,
the container's role, the machine's role. Temporary ones are kept until shortly before their end.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from amproxy import clock
from amproxy.config.structs import HttpSettings
from amproxy.errors import DeliveryError
from amproxy.notify.channels.http import RemoteResponse
from amproxy.notify.channels.receiver import reveal_secret
from amproxy.notify.channels.sns.profiles import load_profile
from amproxy.notify.channels.sns.query import AwsClient, endpoint, xml_text
from amproxy.notify.channels.sns.settings import AwsSettings
from amproxy.notify.channels.sns.signing import AwsCredentials
from amproxy.secret import Secret, short_lived
from amproxy.text import Phrase, phrase

_RENEWED_BEFORE: Final = 60.0  # seconds before their end in which credentials are fetched anew
_METADATA: Final = "http://169.254.169.254"
_CONTAINER: Final = "http://169.254.170.2"
_NEARBY: Final = 2.0  # seconds for an answer of the machine itself
_STS_VERSION: Final = "2011-06-15"
_STS: Final = "AWS STS"
_SNS: Final = "Amazon SNS"
_LONGEST_CHAIN: Final = 5  # profiles that name each other as their source


class CredentialsFinder:
    """Finds the credentials of settings. Temporary ones are shared by all messages."""

    def __init__(self, client: AwsClient, env: Mapping[str, str] = os.environ) -> None:
        self._client, self._env = client, env
        self._kept: dict[bytes, AwsCredentials] = {}

    def region(self, aws: AwsSettings) -> str:
        """The region of the settings or of the environment. Raises DeliveryError (permanent)."""
        found = aws.region or self._env.get("AWS_REGION") or self._env.get("AWS_DEFAULT_REGION")
        found = found or load_profile(aws.profile, self._env).get("region", "")
        if not found:
            words = phrase("failure.aws_region")
            raise DeliveryError(words, permanent=True)
        return found

    def address(self, service: str, region: str) -> str:
        """A service's address, which the environment may move."""
        moved = self._env.get(f"AWS_ENDPOINT_URL_{service.upper()}")
        return moved or self._env.get("AWS_ENDPOINT_URL") or endpoint(service, region)

    async def find(self, aws: AwsSettings, http: HttpSettings, region: str) -> AwsCredentials:
        """The credentials for a request now. Raises DeliveryError."""
        key = msgspec.json.encode((aws, http, region), enc_hook=Secret.reveal)
        kept = self._kept.get(key)
        if kept is not None and (kept.expires or 0.0) - _RENEWED_BEFORE > clock.now():
            return kept
        address = self.address("sts", region)
        if aws.use_fips_sts_endpoint:
            address = endpoint("sts-fips", region)
        found = await _Search(self._client, self._env, http, region, address).find(aws)
        if found.expires is not None:
            self._kept[key] = found
        return found


class _Search:
    """One search for credentials, with the requests that it takes."""

    def __init__(
        self,
        client: AwsClient,
        env: Mapping[str, str],
        http: HttpSettings,
        region: str,
        sts: str,
    ) -> None:
        self._client, self._env, self._http = client, env, http
        self._region, self._sts = region, sts

    async def find(self, aws: AwsSettings) -> AwsCredentials:
        """The credentials of the settings, of their role where they name one."""
        found = await self._own(aws)
        if not aws.role_arn:
            return found
        more = {"ExternalId": aws.external_id} if aws.external_id else {}
        for number, (name, value) in enumerate(sorted(aws.tags.items()), 1):
            more |= {f"Tags.member.{number}.Key": name, f"Tags.member.{number}.Value": value}
        return await self._assume(aws.role_arn, aws.session_name, found, more)

    async def _own(self, aws: AwsSettings) -> AwsCredentials:
        env = self._env
        if aws.access_key:
            return AwsCredentials(access_key=aws.access_key, secret_key=aws.secret_key)
        profile = aws.profile or env.get("AWS_PROFILE", "")
        if not profile and env.get("AWS_ACCESS_KEY_ID") and env.get("AWS_SECRET_ACCESS_KEY"):
            return self._from_environment()
        if not profile and env.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
            role, session = env.get("AWS_ROLE_ARN", ""), env.get("AWS_ROLE_SESSION_NAME", "")
            return await self._assume_by_token(role, session, env["AWS_WEB_IDENTITY_TOKEN_FILE"])
        return await self._from_profile(profile)

    def _from_environment(self) -> AwsCredentials:
        return AwsCredentials(
            access_key=self._env.get("AWS_ACCESS_KEY_ID", ""),
            secret_key=Secret(self._env.get("AWS_SECRET_ACCESS_KEY", "")),
            token=Secret(self._env.get("AWS_SESSION_TOKEN", "")),
        )

    async def _from_profile(self, name: str, depth: int = 0) -> AwsCredentials:
        """The credentials of a profile, "" = the default one; a machine's own where it has none."""
        profile = load_profile(name, self._env)
        if name and not profile:
            raise _failure(phrase("failure.aws_no_profile", profile=name))
        role, session = profile.get("role_arn", ""), profile.get("role_session_name", "")
        if role and profile.get("web_identity_token_file"):
            return await self._assume_by_token(role, session, profile["web_identity_token_file"])
        if role and (profile.get("source_profile") or profile.get("credential_source")):
            base = await self._source(profile, name, depth)
            external = profile.get("external_id", "")
            more = {"ExternalId": external} if external else {}
            return await self._assume(role, session, base, more)
        if profile.get("aws_access_key_id"):
            return _profile_keys(profile)
        for key in ("credential_process", "sso_session", "sso_account_id"):
            if profile.get(key):
                raise _failure(phrase("failure.aws_profile_key", key=key))
        return await self._of_this_machine()

    async def _source(self, profile: Mapping[str, str], name: str, depth: int) -> AwsCredentials:
        """The credentials with which a profile's role is assumed."""
        source = profile.get("source_profile", "")
        if source and source == (name or "default"):
            return _profile_keys(profile)
        if source:
            if depth >= _LONGEST_CHAIN:
                raise _failure(phrase("failure.aws_profile_circle"))
            return await self._from_profile(source, depth + 1)
        match profile["credential_source"]:
            case "Environment":
                return self._from_environment()
            case "EcsContainer":
                return await self._of_the_container()
            case _:
                return await self._of_the_instance()

    async def _of_this_machine(self) -> AwsCredentials:
        env = self._env
        if env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") or env.get(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI"
        ):
            return await self._of_the_container()
        if env.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            raise _failure(phrase("failure.aws_none"))
        try:
            return await self._of_the_instance()
        except DeliveryError as error:
            words = phrase("failure.aws_machine", reason=error.words)
            raise DeliveryError(words, reason="auth_error") from None

    async def _of_the_container(self) -> AwsCredentials:
        env = self._env
        relative = env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "")
        url = f"{_CONTAINER}{relative}" if relative else env["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        token, file = env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", ""), ""
        if not token:
            file = env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "")
        found = reveal_secret(_SNS, "AWS_CONTAINER_AUTHORIZATION_TOKEN", Secret(token), file)
        headers = {"Authorization": found} if found else {}
        return _from_json(await self._ask_nearby(url, headers))

    async def _of_the_instance(self) -> AwsCredentials:
        """The role of an EC2 instance, by the second version of its metadata service."""
        root = self._env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", _METADATA).rstrip("/")
        lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
        answer = await self._ask_nearby(f"{root}/latest/api/token", lifetime, method="PUT")
        token = {"X-aws-ec2-metadata-token": answer.body.decode("ascii", "replace")}
        roles = f"{root}/latest/meta-data/iam/security-credentials/"
        role = (await self._ask_nearby(roles, token)).body.decode("utf-8", "replace").split("\n")[0]
        return _from_json(await self._ask_nearby(f"{roles}{role.strip()}", token))

    async def _ask_nearby(
        self, url: str, headers: Mapping[str, str], method: str = "GET"
    ) -> RemoteResponse:
        who = "AWS metadata"
        return await self._client.exchange(
            self._http, who, url, method=method, headers=headers, within=_NEARBY
        )

    async def _assume(
        self, role: str, session: str, base: AwsCredentials, more: Mapping[str, str]
    ) -> AwsCredentials:
        parameters = {"Action": "AssumeRole", "DurationSeconds": "900", **more}
        return await self._ask_sts(parameters, role, session, base)

    async def _assume_by_token(self, role: str, session: str, file: str) -> AwsCredentials:
        token = reveal_secret(_STS, "web_identity_token", Secret(""), file)
        parameters = {"Action": "AssumeRoleWithWebIdentity", "WebIdentityToken": token}
        return await self._ask_sts(parameters, role, session, None)

    async def _ask_sts(
        self, parameters: Mapping[str, str], role: str, session: str, base: AwsCredentials | None
    ) -> AwsCredentials:
        named = {
            "Version": _STS_VERSION,
            "RoleArn": role,
            "RoleSessionName": session or f"amproxy-{int(clock.now())}",
        }
        answer = await self._client.query(
            self._http,
            _STS,
            self._sts,
            {**parameters, **named},
            service="sts",
            region=self._region,
            credentials=base,
        )
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
        return _temporary(_STS, *(xml_text(answer, name) for name in names))


def _profile_keys(profile: Mapping[str, str]) -> AwsCredentials:
    return AwsCredentials(
        access_key=profile.get("aws_access_key_id", ""),
        secret_key=Secret(profile.get("aws_secret_access_key", "")),
        token=Secret(profile.get("aws_session_token", "")),
    )


def _from_json(response: RemoteResponse) -> AwsCredentials:
    found: Any = response.json()
    values = found if isinstance(found, dict) else {}
    names = ("AccessKeyId", "SecretAccessKey", "Token", "Expiration")
    return _temporary("AWS metadata", *(str(values.get(name, "")) for name in names))


def _temporary(
    who: str, access_key: str, secret_key: str, token: str, expires: str
) -> AwsCredentials:
    try:
        until = datetime.fromisoformat(expires).timestamp()
    except ValueError:
        until = 0.0
    if not access_key or not secret_key or not until:
        words = phrase("failure.aws_empty_answer", service=who)
        raise DeliveryError(words, reason="auth_error")
    return AwsCredentials(
        access_key=access_key,
        secret_key=short_lived(secret_key),
        token=short_lived(token),
        expires=until,
    )


def _failure(words: Phrase) -> DeliveryError:
    return DeliveryError(words, permanent=True, reason="auth_error")
