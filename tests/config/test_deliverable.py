"""One table of contacts and what `global` has, and every place that says whether a page can arrive."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from amproxy import metrics
from amproxy.config.channels import can_be_reached, notification_rules
from amproxy.config.structs import Config, Notify, NotifyStep
from amproxy.errors import DeliveryError
from amproxy.notify.channel_health import assess_channels
from amproxy.notify.delivery import DeliveryService
from amproxy.oncall.reachable import assess_reachability
from amproxy.oncall.roster import Roster
from amproxy.respond.targets import BadAction
from amproxy.respond.test_messages import send_test_page
from amproxy.server.reload import report_config
from amproxy.simulation.explain import explain_text
from amproxy.simulation.simulate import SimulationRequest, simulate
from amproxy.text.render import in_english
from amproxy.times import to_utc
from amproxy.web.incidents.forecast import list_upcoming
from tests.support.config.configs import loaded
from tests.support.machine.incidents import START, Drive
from tests.support.simulation.files import MONDAY

MAIL = "smtp_smarthost: 'mail.example.org:587', smtp_from: amproxy@example.org"
OAUTH = (
    "http_config: {oauth2: {client_id: c, client_secret: s, token_url: 'https://h.example.org/'}}"
)
PORT = "smtp_smarthost is not host:port with the number of a port"
TELEGRAM = "it is no Telegram id (a number; send /id to the bot to learn it)"
NETWORK = "the address lies in a network that contacts may not reach (global.contact_networks)"
NOT_YET = "amproxy cannot deliver over it yet"


class Case(NamedTuple):
    """A contact, the keys of `global`, and the reason why it cannot be delivered to; "" = it can."""

    channel: str
    address: str
    keys: str
    reason: str


CASES = [
    Case("console", "here", "", ""),
    Case("email", "a@example.org", MAIL, ""),
    Case("email", "a@example.org", "", "global has no smtp_smarthost, smtp_from"),
    Case("email", "a@example.org", "smtp_from: f@example.org", "global has no smtp_smarthost"),
    Case("email", "a@example.org", "smtp_smarthost: 'h:25'", "global has no smtp_from"),
    Case("email", "a@example.org", "smtp_smarthost: 'h:smtp', smtp_from: f@example.org", PORT),
    Case("email", "a@example.org", "smtp_smarthost: 'h:25', smtp_from: f", "smtp_from is no e-mail address"),
    Case("email", "alice", MAIL, "it is no e-mail address"),
    Case("telegram", "111", "telegram_bot_token: '1:x'", ""),
    Case("telegram", "-100111", "telegram_bot_token_file: not-there-yet", ""),
    Case("telegram", "111", "", "global has no telegram_bot_token"),
    Case("telegram", "@alice", "telegram_bot_token: '1:x'", TELEGRAM),
    Case("telegram", "111", f"telegram_bot_token: '1:x', {OAUTH}", ""),
    Case("slack", "U012AB3CD", "slack_app_token: x", ""),
    Case("slack", "U012AB3CD", "slack_app_token_file: not-there-yet", ""),
    Case("slack", "U012AB3CD", "", "global has no slack_app_token"),
    Case("slack", "U012AB3CD", "slack_api_url: 'https://h.example.org/'", "global has no slack_app_token"),
    Case("slack", "Alice Ash", "slack_app_token: x", "it is no Slack member id"),
    Case("webhook", "https://hooks.example.org/x", "", ""),
    Case("webhook", "http://10.0.0.5/x", "contact_networks: [10.0.0.0/8]", ""),
    Case("webhook", "http://10.0.0.5/x", "", NETWORK),
    Case("webhook", "hooks", "", "it is no http or https URL"),
    Case("alertmanager", "http://h.example.org/", "", NOT_YET),
    Case("phone_call", "+491700000001", "", NOT_YET),
    Case("siren", "loud", "", NOT_YET),
]  # fmt: skip


def text_of(case: Case) -> str:
    """Alice has the contact alone; the one after her is reached in any case."""
    return f"""\
global: {{{case.keys}}}
route: {{receiver: d, group_by: [alertname], group_wait: 0s}}
receivers: [{{name: d, oncall_configs: [{{escalation_policy: p}}]}}]
users:
  - {{name: alice, contacts: {{{case.channel}: '{case.address}'}}}}
  - {{name: bob, contacts: {{console: here}}}}
escalation_policies:
  - {{name: p, steps: [{{notify: {{users: [alice]}}}}, {{wait: 5m}}, {{notify: {{users: [bob]}}}}]}}
  - {{name: alone, steps: [{{notify: {{users: [alice]}}}}]}}
"""


@pytest.fixture(params=CASES, ids=lambda case: f"{case.channel}-{case.address}-{case.keys[:40]}")
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def known(case: Case) -> Config:
    return loaded(text_of(case)).config


def test_check_names_the_person_the_contact_and_what_is_missing(case: Case) -> None:
    found = [(one.kind, one.message) for one in loaded(text_of(case)).warnings]
    said = [message for kind, message in found if kind == "undeliverable"]
    wanted = f"alice cannot be paged over the contact {case.channel}: {case.reason}"
    assert said == ([wanted] if case.reason else [])
    nobody = [message for kind, message in found if kind == "no_contact"]
    wanted = "alice can be paged, but has no contact that amproxy can deliver to"
    assert nobody == ([wanted] if case.reason else [])
    ends = [message for kind, message in found if kind == "ends_with_nobody"]
    assert ["'alone'" in message for message in ends] == ([True] if case.reason else [])


def test_the_rules_that_nobody_wrote_use_what_can_be_delivered_to(
    case: Case, known: Config
) -> None:
    rules = () if case.reason else (Notify(channels=(case.channel,)),)
    assert notification_rules(known, known.users["alice"], "default") == rules
    assert can_be_reached(known, known.users["alice"]) is not bool(case.reason)


def test_the_escalation_passes_over_it_at_once_and_says_why(case: Case, known: Config) -> None:
    drive = _drive(known)
    assert drive.pages == [(0, "bob", "console") if case.reason else (0, "alice", case.channel)]
    said = [line for line in drive.told if line.startswith(f"{case.channel} to alice: not sent")]
    assert said == ([f"{case.channel} to alice: not sent, {case.reason}."] if case.reason else [])
    assert drive.said("alice cannot be reached over any contact") is bool(case.reason)


def test_so_does_a_rule_that_somebody_wrote(case: Case, known: Config) -> None:
    rule = Notify(channels=(case.channel,))
    drive = _drive(known, notification_rules={"default": (rule,)})
    assert drive.pages == [(0, "bob", "console") if case.reason else (0, "alice", case.channel)]
    assert drive.said(f"{case.channel} to alice: not sent, {case.reason}") is bool(case.reason)


def test_a_contact_that_can_be_delivered_to_takes_its_place(case: Case, known: Config) -> None:
    spare = "webhook" if case.channel == "console" else "console"
    contacts = {case.channel: case.address, spare: "https://hooks.example.org/y"}
    drive = _drive(known, contacts=contacts)
    assert drive.pages[0] == (0, "alice", spare if case.reason else case.channel)


def _drive(known: Config, **alice: Any) -> Drive:
    users = known.users | {"alice": replace(known.users["alice"], **alice)}
    config = {"global_": known.global_, "users": users, "teams": {}, "schedules": {}}
    return Drive(*known.policies["p"].steps, config=config)


def test_simulate_and_explain_tell_the_same(case: Case, known: Config) -> None:
    roster, at = Roster(known), to_utc(MONDAY)
    request = SimulationRequest(labels={"alertname": "Down"}, at=at, duration=3600.0)
    first = simulate(request, roster)["pages"][0]
    assert (first["user"], first["channel"]) == (
        ("bob", "console") if case.reason else ("alice", case.channel)
    )
    text = " ".join(explain_text(known, {"alertname": "Down"}, at, roster).split())
    found = f"has no contact that amproxy can use ({case.channel}: {case.reason})"
    assert (found in text) is bool(case.reason)


def test_the_forecast_promises_nothing_over_it(case: Case, known: Config) -> None:
    plan = known.policies["p"]
    config = {"global_": known.global_, "users": known.users, "teams": {}, "schedules": {}}
    drive = Drive(plan.steps[1], *plan.steps, config=config)
    shown = list_upcoming(drive.incident, drive.roster)
    pages = [(one.at - START, *page) for one in shown for page in one.pages]
    alone = [(300, "bob", "console")]
    assert pages == (
        alone if case.reason else [(300, "alice", case.channel), (600, "bob", "console")]
    )


def test_people_channels_and_gauges_show_it(case: Case, known: Config) -> None:
    reached = assess_reachability(known, {})
    assert reached["alice"].reachable is not bool(case.reason)
    why = reached["alice"].why_not
    assert (in_english(why) if why else "") == (
        f"{case.channel}: {case.reason}" if case.reason else ""
    )
    [contact] = [one for one in reached["alice"].contacts if one.channel == case.channel]
    assert contact.state == ("undeliverable" if case.reason else "untried")
    assert (in_english(contact.reason) if contact.reason else "") == case.reason
    health = {one.channel: one for one in assess_channels(known, reached, {}, {}, {})}
    if case.channel != "console":
        state = "undeliverable" if case.reason else "unknown"
        assert health[case.channel].state == state
    report_config(known)
    assert metrics.undeliverable._value.get() == bool(case.reason)  # type: ignore[attr-defined]


async def test_neither_a_test_page_nor_a_late_message_is_sent(case: Case, known: Config) -> None:
    if not case.reason:
        return
    context: Any = SimpleNamespace(config=known)
    for channel in (case.channel, ""):
        with pytest.raises(BadAction) as refused:
            await send_test_page(context, "alice", channel)
        assert case.reason in str(refused.value)
    service = DeliveryService(context, {}, None)  # type: ignore[arg-type]
    with pytest.raises(DeliveryError) as failed:
        service.person(case.channel, case.address)
    assert failed.value.permanent and case.reason in str(failed.value)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("slack_configs: [{app_token: x, channel: '#ops'}]", ""),
        ("slack_configs: [{app_token: x}]", "channel is missing, which an app token needs"),
        ("slack_configs: [{api_url: 'https://h.example.org/'}]", ""),
        ("email_configs: [{to: a@example.org, from: f@example.org, smarthost: 'h:25'}]", ""),
        ("email_configs: [{to: a@example.org, from: f@example.org, smarthost: 'h:smtp'}]",
         "smarthost is not host:port with the number of a port"),
        ("email_configs: [{to: a@example.org, from: f, smarthost: 'h:25'}]",
         "from is no e-mail address"),
        ("email_configs: [{to: alice, from: f@example.org, smarthost: 'h:25'}]",
         "to is no e-mail address"),
        (f"webhook_configs: [{{url: 'https://h.example.org/', {OAUTH}}}]", ""),
        ("discord_configs: [{webhook_url: 'https://h.example.org/'}]", ""),
        (f"msteams_configs: [{{webhook_url: 'https://h.example.org/', {OAUTH}}}]", ""),
    ],
)  # fmt: skip
def test_a_receiver_is_told_or_not_by_the_same_rule(entry: str, reason: str) -> None:
    found = loaded(f"route: {{receiver: d}}\nreceivers: [{{name: d, {entry}}}]\n")
    [integration] = found.config.receivers["d"].integrations
    said = in_english(integration.undeliverable) if integration.undeliverable else ""
    assert said == reason
    assert [one.message for one in found.warnings if one.kind == "undeliverable"] == (
        [reason] if reason else []
    )
    drive = Drive(NotifyStep(receiver="d"), config={"receivers": found.config.receivers})
    report_config(found.config)
    assert metrics.undeliverable._value.get() == bool(reason)  # type: ignore[attr-defined]
    assert drive.who == [(0, "d")]
