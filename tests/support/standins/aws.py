"""Amazon SNS, STS and an instance's metadata on loopback: they check each signature, and refuse what Amazon refuses."""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote

from tests.support.standins.services import RefusedRequest, ServiceStandIn, check
from tests.support.standins.serving import Request, Response

ACCESS_KEY = "AKIASTANDINEXAMPLE"
SECRET_KEY = "stand-in/secret+key"
REGION = "eu-west-1"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:alerts"
ROLE = "arn:aws:iam::123456789012:role/alerts"
POD_TOKEN = "token-of-the-pod"

_PUBLISH_KEYS = {"Action", "Version", "TopicArn", "TargetArn", "PhoneNumber", "Subject", "Message"}
_PUBLISH_KEYS |= {"MessageDeduplicationId", "MessageGroupId", "MessageStructure"}
_ATTRIBUTE = re.compile(r"MessageAttributes\.entry\.\d+\.(Name|Value\.(DataType|StringValue))")


class AwsStandIn(ServiceStandIn):
    """`published` are the parameters of the messages; `asked` counts what credentials were asked for.

    keys: access key → (secret key, session token). Roles get keys of their own when they are assumed.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.keys: dict[str, tuple[str, str]] = {ACCESS_KEY: (SECRET_KEY, "")}
        self.published: list[dict[str, str]] = []
        self.assumed: list[dict[str, str]] = []
        self.asked: Counter[str] = Counter()
        self.lifetime = 900.0  # seconds of temporary credentials
        self.used: list[str] = []  # the access key of each message

    def take(self, request: Request) -> Response:
        if request.path.startswith(("/latest/", "/container")):
            return self._metadata(request)
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True))
        service = "sts" if form.get("Action", "").startswith("AssumeRole") else "sns"
        if form.get("Action") == "AssumeRoleWithWebIdentity":
            _aws("authorization" not in request.headers, 403, "SignatureDoesNotMatch")
            _aws(form.get("WebIdentityToken") == POD_TOKEN, 400, "InvalidIdentityToken")
        else:
            self.used.append(self._check_signature(request, service))
        _aws(request.method == "POST", 405, "InvalidAction")
        kind = request.headers.get("content-type", "").partition(";")[0]
        _aws(kind == "application/x-www-form-urlencoded", 400, "InvalidAction")
        return self._publish(form) if service == "sns" else self._assume(form)

    def _publish(self, form: dict[str, str]) -> Response:
        unknown = {
            key for key in form if key not in _PUBLISH_KEYS and not _ATTRIBUTE.fullmatch(key)
        }
        _aws(not unknown, 400, "ValidationError", f"unknown {unknown}")
        version = (form["Action"], form["Version"]) == ("Publish", "2010-03-31")
        _aws(version, 400, "InvalidAction")
        targets = [form[key] for key in ("TopicArn", "TargetArn", "PhoneNumber") if key in form]
        _aws(len(targets) == 1, 400, "InvalidParameter", "TopicArn or TargetArn Reason: no value")
        _aws(form.get("Message"), 400, "InvalidParameter", "Empty message")
        _aws(len(form["Message"].encode()) <= 256 * 1024, 400, "InvalidParameter", "too long")
        subject = form.get("Subject", "x")
        fine = 0 < len(subject) <= 100 and "\n" not in subject
        _aws(fine, 400, "InvalidParameter", "Invalid parameter: Subject")
        if targets[0].endswith(".fifo"):
            _aws(form.get("MessageGroupId"), 400, "InvalidParameter", "MessageGroupId")
        for key, value in form.items():
            _aws(value or not _ATTRIBUTE.fullmatch(key), 400, "ParameterValueInvalid", key)
        self.published.append(form)
        return Response(
            200,
            b"<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>",
        )

    def _assume(self, form: dict[str, str]) -> Response:
        _aws(form.get("Version") == "2011-06-15", 400, "InvalidAction")
        _aws(form.get("RoleArn") == ROLE, 403, "AccessDenied", "not authorized to assume it")
        named = re.fullmatch(r"[\w+=,.@-]{2,64}", form.get("RoleSessionName", ""))
        _aws(named, 400, "ValidationError", "roleSessionName")
        self.assumed.append(form)
        key, secret, token, until = self._temporary("role")
        body = (
            "<AssumeRoleResponse><AssumeRoleResult><Credentials>"
            f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>"
            f"<SessionToken>{token}</SessionToken><Expiration>{until}</Expiration>"
            "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
        )
        return Response(200, body.encode(), {"Content-Type": "text/xml"})

    def _metadata(self, request: Request) -> Response:
        if request.path == "/container":
            known = request.headers.get("authorization") == "container-token"
            check(known, 401, {})
            return self._as_json("container")
        if request.path == "/latest/api/token":
            check(request.method == "PUT", 405, {})
            check("x-aws-ec2-metadata-token-ttl-seconds" in request.headers, 400, {})
            return Response(200, b"metadata-token")
        check(request.headers.get("x-aws-ec2-metadata-token") == "metadata-token", 401, {})
        place = request.path.removeprefix("/latest/meta-data/iam/security-credentials/")
        return (
            self._as_json("instance")
            if place == "instance-role"
            else Response(200, b"instance-role")
        )

    def _as_json(self, of: str) -> Response:
        key, secret, token, until = self._temporary(of)
        found = {"AccessKeyId": key, "SecretAccessKey": secret, "Token": token, "Expiration": until}
        return Response.json(found | {"Code": "Success"})

    def _temporary(self, of: str) -> tuple[str, str, str, str]:
        self.asked[of] += 1
        key, secret, token = f"ASIA{of.upper()}{self.asked[of]}", f"{of}-secret", f"{of}+token/="
        self.keys[key] = secret, token
        until = datetime.fromtimestamp(time.time() + self.lifetime, UTC)
        return key, secret, token, until.strftime("%Y-%m-%dT%H:%M:%SZ")

    def _check_signature(self, request: Request, service: str) -> str:
        """The access key of a request that is signed right. Raises RefusedRequest."""
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8})/([\w-]+)/(\w+)/aws4_request, ?"
            r"SignedHeaders=([\w;-]+), ?Signature=([0-9a-f]{64})",
            request.headers.get("authorization", ""),
        )
        _aws(found, 403, "MissingAuthenticationToken")
        assert found is not None
        key, day, region, named, signed, signature = found.groups()
        _aws(key in self.keys, 403, "InvalidClientTokenId", "The security token is invalid")
        secret, token = self.keys[key]
        _aws(request.headers.get("x-amz-security-token", "") == token, 403, "InvalidClientTokenId")
        _aws((region, named) == (REGION, service), 403, "SignatureDoesNotMatch", "scope")
        stamp = request.headers["x-amz-date"]
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        soon = stamp.startswith(day) and abs(at.timestamp() - time.time()) < 900
        _aws(soon, 403, "SignatureDoesNotMatch", "Signature expired")
        names = signed.split(";")
        must = {"host", "x-amz-date"} | ({"x-amz-security-token"} if token else set())
        _aws(must <= set(names), 403, "SignatureDoesNotMatch", "unsigned headers")
        canonical = "\n".join(
            [
                request.method,
                quote(request.path, safe="/"),
                "",
                *(f"{name}:{' '.join(request.headers[name].split())}" for name in names),
                "",
                signed,
                hashlib.sha256(request.body).hexdigest(),
            ]
        )
        scope = f"{day}/{region}/{named}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signing = b"AWS4" + secret.encode()
        for part in scope.split("/"):
            signing = hmac.digest(signing, part.encode(), "sha256")
        wanted = hmac.digest(
            signing, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), "sha256"
        ).hex()
        _aws(hmac.compare_digest(wanted, signature), 403, "SignatureDoesNotMatch", "calculated")
        return key


def attributes(form: dict[str, str]) -> dict[str, str]:
    """The message's attributes by their names."""
    numbers = [key.split(".")[2] for key in form if key.endswith(".Name")]
    place = "MessageAttributes.entry"
    assert all(form[f"{place}.{number}.Value.DataType"] == "String" for number in numbers)
    return {
        form[f"{place}.{number}.Name"]: form[f"{place}.{number}.Value.StringValue"]
        for number in numbers
    }


def refusal(status: int, code: str, message: str = "") -> Response:
    """What Amazon answers to a request that it does not take."""
    body = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>"
        f"<Message>{message}</Message></Error></ErrorResponse>"
    )
    return Response(status, body.encode(), {"Content-Type": "text/xml"})


def _aws(fine: Any, status: int, code: str, message: str = "") -> None:
    if not fine:
        refused = RefusedRequest(status, f"{code} {message}")
        refused.response = refusal(status, code, message)
        raise refused
