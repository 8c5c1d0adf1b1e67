"""The shapes of well-known senders: by which keys each is known, and where it says what.

A field is text: paths, the first that holds a text counts. `a|b` are alternatives, a blank joins
parts (`host service`), dots lead into objects and lists (`links.0.href`). Keys are compared as
words.py does: `notificationtype` is NOTIFICATIONTYPE as well as notification_type.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

from amproxy.accept.words import plain, words

MAX_COMPARED_KEYS: Final = 500  # of one object


class Shape(Struct, frozen=True, kw_only=True):
    """One kind of body. What a field does not give is looked for as in any other body."""

    sender: str
    keys: str  # fields that must be there, each with an alternative that is; null counts as there
    identity: str = ""
    title: str = ""
    text: str = ""
    state: str = ""
    over: frozenset[str] | None = None  # states that mean the end; None = the words of any sender
    # States that begin an alert. The rest then changes nothing; None = whatever is not the end.
    fires: frozenset[str] | None = None
    silent: frozenset[str] = frozenset()  # states that change nothing
    severity: str = ""
    link: str = ""
    labels: Mapping[str, str] = {}


_NAGIOS_SERVICE: Final = "servicedesc|servicedescription|servicename|service"
_NAGIOS_HOST: Final = "hostname|host|hostalias"
_CI_FAILED: Final = words("failed failure timedout startupfailure")
_CI_PASSED: Final = words("success")

# The first that fits counts: the more particular ones come first.
SHAPES: Final = (
    Shape(
        sender="Uptime Kuma",
        keys="heartbeat.status monitor.id|monitor.name",
        identity="monitor.id|monitor.name",
        title="monitor.name",
        text="msg|heartbeat.msg",
        state="heartbeat.status",
        over=words("1"),
        fires=words("0"),  # 2 is pending, 3 maintenance
        link="monitor.url",
    ),
    Shape(
        sender="Sentry",
        keys="action data.metricalert",
        identity="data.metricalert.id|data.metricalert.identifier",
        title="data.metricalert.alertrule.name|data.metricalert.title|data.descriptiontitle",
        text="data.descriptiontext",
        state="action",
        severity="action",
        link="data.weburl",
    ),
    Shape(
        sender="Sentry",
        keys="action data.issue.id",
        identity="data.issue.id",
        title="data.issue.title",
        text="data.issue.metadata.value|data.issue.culprit",
        state="action",
        over=words("resolved archived ignored"),
        silent=words("assigned unassigned"),
        severity="data.issue.level",
        link="data.issue.weburl|data.issue.permalink",
        labels={"project": "data.issue.project.slug"},
    ),
    Shape(
        sender="Sentry",
        keys="action data.event|data.error",
        # the issue, so that its end is found, whose webhook names it alone
        identity="data.event.issueid|data.event.eventid|data.error.issueid|data.error.eventid",
        title="data.event.title|data.event.message|data.error.title",
        text="data.event.culprit|data.event.location|data.triggeredrule|data.error.culprit",
        state="action",
        severity="data.event.level|data.error.level",
        link="data.event.weburl|data.error.weburl",
    ),
    Shape(
        sender="Sentry",
        keys="event.eventid project culprit",
        identity="id|event.eventid",
        title="event.title|message|culprit",
        text="message|culprit",
        severity="level",
        link="url",
        labels={"project": "project"},
    ),
    Shape(
        sender="CloudWatch",
        keys="alarmname newstatevalue",
        identity="alarmarn|awsaccountid region alarmname",
        title="alarmname",
        text="newstatereason|alarmdescription",
        state="newstatevalue",
        labels={"region": "region", "namespace": "trigger.namespace", "account": "awsaccountid"},
    ),
    Shape(
        sender="CloudWatch",
        keys="detailtype detail.alarmname",
        identity="resources.0|account region detail.alarmname",
        title="detail.alarmname",
        text="detail.state.reason|detail.configuration.description",
        state="detail.state.value",
        labels={"region": "region", "account": "account"},
    ),
    Shape(
        sender="Google Cloud",
        keys="incident.incidentid",
        identity="incident.incidentid",
        title="incident.policyname|incident.conditionname",
        text="incident.summary|incident.documentation.content",
        state="incident.state",
        severity="incident.severity",
        link="incident.url",
        labels={"resource": "incident.resourcename", "condition": "incident.conditionname"},
    ),
    Shape(
        sender="Azure Monitor",
        keys="data.essentials.alertid",
        identity="data.essentials.alertid",
        title="data.essentials.alertrule",
        text="data.essentials.description",
        state="data.essentials.monitorcondition",
        severity="data.essentials.severity",
        link="data.essentials.investigationlink",
        labels={"resource": "data.essentials.configurationitems.0"},
    ),
    Shape(
        sender="Azure Monitor",
        keys="schemaid data.context.id",
        identity="data.context.id",
        title="data.context.name",
        text="data.context.description",
        state="data.status",
        severity="data.context.severity",
        link="data.context.portallink",
        labels={"resource": "data.context.resourcename"},
    ),
    Shape(
        sender="Datadog",
        keys="alerttransition alertcyclekey|aggregkey|alertid",
        identity="alertcyclekey|aggregkey|alertid alertscope",
        title="alerttitle|eventtitle|title",
        text="textonlymsg|eventmsg|body|alertstatus",
        state="alerttransition",
        severity="alertpriority|priority|alerttype",
        link="link|url",
    ),
    Shape(
        # its own payload, whose id is that of the event: the title tells an alert
        sender="Datadog",
        keys="lastupdated eventtype title org",
        identity="alertcyclekey|aggregkey",
        text="body",
        severity="priority|alerttype",
        link="link|url",
    ),
    Shape(
        sender="New Relic",
        keys="issueurl|issuepageurl state title",
        identity="id|issueid",
        text="impactedentities.0|alertconditionnames.0",
        state="state",
        silent=words("acknowledged"),
        severity="priority",
        link="issueurl|issuepageurl",
        labels={"policy": "alertpolicynames.0", "condition": "alertconditionnames.0"},
    ),
    Shape(
        sender="New Relic",
        keys="currentstate conditionname incidentid",
        identity="incidentid",
        title="conditionname",
        text="details",
        state="currentstate",
        silent=words("acknowledged"),
        severity="severity",
        link="incidenturl",
        labels={"policy": "policyname"},
    ),
    Shape(
        sender="Nagios or Icinga",
        keys=f"notificationtype {_NAGIOS_HOST}",
        identity=f"{_NAGIOS_HOST} {_NAGIOS_SERVICE}",
        title=f"{_NAGIOS_SERVICE}|{_NAGIOS_HOST}",
        text="serviceoutput|hostoutput|output|longserviceoutput",
        state="notificationtype",
        over=words("recovery"),
        fires=words("problem"),  # the rest tells of acknowledgements, flapping and downtimes
        severity="servicestate|hoststate|state",
        labels={"host": _NAGIOS_HOST, "service": _NAGIOS_SERVICE},
    ),
    Shape(
        sender="PagerDuty",
        keys="eventaction",
        identity="dedupkey",
        title="payload.summary",
        text="payload.customdetails.message|payload.customdetails.description"
        "|payload.customdetails.firing",
        state="eventaction",
        over=words("resolve"),
        silent=words("acknowledge"),
        severity="payload.severity",
        link="clienturl|links.0.href",
        labels={
            "instance": "payload.source",
            "component": "payload.component",
            "group": "payload.group",
            "class": "payload.class",
        },
    ),
    Shape(
        sender="PagerDuty",
        keys="servicekey eventtype",
        identity="incidentkey",
        title="description",
        state="eventtype",
        over=words("resolve"),
        silent=words("acknowledge"),
        link="clienturl",
    ),
    Shape(
        sender="Opsgenie",
        keys="action alert.alertid",
        identity="alert.alias|alert.alertid",
        title="alert.message",
        text="alert.description",
        state="action",
        over=words("close delete"),
        fires=words("create"),
        severity="alert.priority",
        labels={"entity": "alert.entity", "team": "alert.team"},
    ),
    Shape(
        sender="Healthchecks",
        keys="npings status name",
        identity="uniquekey|uuid|pingurl|slug",
        title="name",
        text="desc",
        state="status",
        over=words("up"),
        fires=words("down"),
    ),
    Shape(
        sender="Kapacitor",
        keys="id level data.series|previouslevel|recoverable",
        identity="id",
        title="id",
        text="message|details",
        state="level",
        over=words("ok"),
        severity="level",
    ),
    Shape(
        sender="ElastAlert",
        keys="numhits nummatches",
        identity="alertuid|index id",
        title="title|rulename|alertsubject|name|message",
        text="alerttext|message",
        link="kibanadiscoverurl|kibanalink",
    ),
    Shape(
        sender="Zabbix",
        keys="eventid|triggerid eventvalue|eventstatus|triggerstatus",
        identity="eventid|triggerid",
        title="eventname|triggername|alertsubject|subject|title|name",
        text="alertmessage|message|eventopdata|opdata|triggerdescription",
        state="eventvalue|eventstatus|triggerstatus",
        severity="eventseverity|triggerseverity|severity",
        link="triggerurl|eventurl|url",
        labels={"host": _NAGIOS_HOST},
    ),
    Shape(
        sender="Zabbix",
        keys="event.id trigger.id|trigger.name|host.name|host.host",
        identity="event.id",
        title="event.name|trigger.name",
        text="event.opdata|trigger.description",
        state="event.value|event.status|trigger.status|status",
        severity="event.severity|trigger.severity|severity",
        link="trigger.url|event.url",
        labels={"host": "host.name|host.host"},
    ),
    Shape(
        sender="GitLab",
        keys="objectkind objectattributes.iid objectattributes.state objectattributes.title",
        identity="objectkind project.id objectattributes.iid",
        title="objectattributes.title",
        text="objectattributes.description",
        state="objectattributes.state",
        over=words("closed merged"),
        severity="objectattributes.severity",
        link="objectattributes.url",
        labels={"project": "project.pathwithnamespace"},
    ),
    Shape(
        sender="GitLab",
        keys="objectkind objectattributes.status",
        identity="objectkind project.id objectattributes.ref",
        title="objectkind project.pathwithnamespace|project.name objectattributes.ref",
        text="commit.title|commit.message",
        state="objectattributes.status",
        over=_CI_PASSED,
        fires=_CI_FAILED,
        link="objectattributes.url|project.weburl",
        labels={"project": "project.pathwithnamespace"},
    ),
    Shape(
        sender="GitLab",
        keys="objectkind buildstatus",
        identity="objectkind projectid ref buildname",
        title="objectkind projectname ref buildname",
        text="commit.message|buildfailurereason",
        state="buildstatus",
        over=_CI_PASSED,
        fires=_CI_FAILED,
        link="project.weburl|repository.homepage",
        labels={"project": "projectname"},
    ),
    Shape(
        sender="GitLab",
        keys="objectkind deploymentid|deployableid status",
        identity="objectkind project.id environment",
        title="objectkind project.pathwithnamespace environment",
        text="committitle",
        state="status",
        over=_CI_PASSED,
        fires=_CI_FAILED,
        link="deployableurl|commiturl",
        labels={"project": "project.pathwithnamespace"},
    ),
    Shape(
        sender="GitHub",
        keys="action workflowrun.id",
        identity="repository.fullname workflowrun.workflowid workflowrun.headbranch",
        title="workflowrun.name repository.fullname workflowrun.headbranch",
        text="workflowrun.displaytitle|workflowrun.headcommit.message",
        state="workflowrun.conclusion|workflowrun.status",
        over=_CI_PASSED,
        fires=_CI_FAILED,
        link="workflowrun.htmlurl",
        labels={"repository": "repository.fullname"},
    ),
    Shape(
        sender="GitHub",
        keys="action checkrun.id",
        identity="repository.fullname checkrun.name checkrun.checksuite.headbranch",
        title="checkrun.name repository.fullname checkrun.checksuite.headbranch",
        text="checkrun.output.title|checkrun.output.summary",
        state="checkrun.conclusion|checkrun.status",
        over=_CI_PASSED,
        fires=_CI_FAILED,
        link="checkrun.htmlurl",
        labels={"repository": "repository.fullname"},
    ),
    Shape(
        sender="GitHub",
        keys="action alert.number repository.fullname",
        identity="alert.htmlurl|alert.url",
        title="alert.securityadvisory.summary|alert.rule.description|alert.secrettypedisplayname"
        "|alert.secrettype",
        text="alert.securityadvisory.description|alert.rule.fulldescription",
        state="action",
        over=words("fixed dismissed autodismissed closedbyuser resolved revoked"),
        fires=words("created reopened autoreopened reopenedbyuser reintroduced"),
        severity="alert.securityadvisory.severity|alert.rule.securityseveritylevel"
        "|alert.rule.severity",
        link="alert.htmlurl",
        labels={"repository": "repository.fullname"},
    ),
    Shape(
        sender="GitHub",
        keys="action issue.number repository.fullname",
        identity="issue.htmlurl|issue.url",
        title="issue.title",
        text="issue.body",
        state="action",
        over=words("closed deleted"),
        fires=words("opened reopened"),
        link="issue.htmlurl",
        labels={"repository": "repository.fullname"},
    ),
    Shape(sender="GitHub", keys="zen hookid", title="zen", state="zen", fires=frozenset()),
)


def recognise(payload: dict[str, Any]) -> Shape | None:
    """The shape of a body; None for any other sender's."""
    return next((one for one in SHAPES if _has_all(payload, one.keys)), None)


def look_up(payload: Any, field: str) -> str:
    """The text at a field's paths, "" where there is none."""
    parts = [_first_text(payload, alternatives) for alternatives in _parse(field)]
    return " ".join(filter(None, parts))


def follow(payload: Any, path: tuple[str, ...]) -> tuple[bool, Any]:
    """Return whether something is at a path, and what."""
    for step in path:
        if isinstance(payload, list) and step.isascii() and step.isdecimal():
            at = int(step[:6])
            if at >= len(payload):
                return False, None
            payload = payload[at]
        elif isinstance(payload, dict):
            key = step if step in payload else _similar_key(payload, step)
            if key is None:
                return False, None
            payload = payload[key]
        else:
            return False, None
    return True, payload


def _similar_key(payload: dict[str, Any], step: str) -> str | None:
    # Each shape asks for some: an object of thousands of keys is none of theirs.
    if len(payload) > MAX_COMPARED_KEYS:
        return None
    wanted = plain(step)
    return next((key for key in payload if plain(key) == wanted), None)


def as_text(value: Any) -> str:
    """The text of a text or number, without blanks around it; "" for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()


def _has_all(payload: dict[str, Any], keys: str) -> bool:
    return all(
        any(follow(payload, path)[0] for path in alternatives) for alternatives in _parse(keys)
    )


def _first_text(payload: Any, alternatives: tuple[tuple[str, ...], ...]) -> str:
    for path in alternatives:
        if text := as_text(follow(payload, path)[1]):
            return text
    return ""


@lru_cache(maxsize=1024)
def _parse(field: str) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """The parts of a field, each with its alternative paths."""
    return tuple(
        tuple(tuple(path.split(".")) for path in part.split("|")) for part in field.split()
    )
