"""Bodies of known senders, as their documentation shows them, and what is to be read in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class SentCase(NamedTuple):
    """The beginning of an alert, what its page must say, and its end."""

    sender: str
    title: str
    text: str
    begins: dict[str, Any]
    ends: dict[str, Any] | None  # None: the sender tells of no end
    severity: str = ""
    link: str = ""
    labels: Mapping[str, str] = MappingProxyType({})
    says_nothing: dict[str, Any] | None = None


def kuma(status: int, msg: str) -> dict[str, Any]:
    return {
        "heartbeat": {
            **{"monitorID": 7, "status": status, "time": "2026-11-30 03:00:00.000", "msg": msg},
            **{"important": True, "duration": 60, "timezone": "Europe/Berlin", "retries": 1},
        },
        "monitor": {
            **{"id": 7, "name": "shop", "url": "https://shop.example/", "type": "http"},
            **{"hostname": None, "port": None, "active": True, "parent": None, "tags": []},
        },
        "msg": f"[shop] {msg}",
    }


def sentry_issue(action: str, status: str) -> dict[str, Any]:
    issue = {
        **{"id": "1170820242", "shortId": "JS-2", "title": "ReferenceError: blue is not defined"},
        **{"culprit": "?(<anonymous>)", "level": "error", "status": status, "count": "3"},
        "metadata": {"type": "ReferenceError", "value": "blue is not defined"},
        "project": {"id": "1", "name": "front", "slug": "front"},
        "web_url": "https://sentry.example/organizations/o/issues/1170820242/",
    }
    actor = {"type": "user", "id": 789, "name": "Person"}
    return {"action": action, "actor": actor, "data": {"issue": issue}, "installation": {"uuid": 1}}


def sentry_event(title: str = "TypeError: x") -> dict[str, Any]:
    event = {
        **{"event_id": "e4874d664c3540c1a32eab185f12c5ab", "issue_id": "1170820242"},
        **{"title": title, "culprit": "checkout", "level": "error", "platform": "javascript"},
        "contexts": {"browser": {"name": "Chrome", "type": "browser"}},
        "web_url": "https://sentry.example/organizations/o/issues/1170820242/events/e4874d/",
    }
    return {"action": "triggered", "data": {"event": event, "triggered_rule": "Very important"}}


def sentry_metric(action: str) -> dict[str, Any]:
    alert = {
        **{"id": "4", "identifier": "11", "status": 20, "title": "Too many errors"},
        "alert_rule": {"id": "7", "name": "Too many errors", "aggregate": "count()"},
    }
    return {
        "action": action,
        "data": {
            "metric_alert": alert,
            "description_text": "1000 events in the last 10 minutes",
            "description_title": f"{action.title()}: Too many errors",
            "web_url": "https://sentry.example/organizations/o/alerts/rules/details/11/",
        },
    }


def cloudwatch(state: str) -> dict[str, Any]:
    return {
        **{"AlarmName": "cpu", "AlarmDescription": None, "AWSAccountId": "123456789012"},
        **{"NewStateValue": state, "NewStateReason": "Threshold Crossed: 1 datapoint [91.0]"},
        **{"OldStateValue": "OK", "Region": "EU (Frankfurt)"},
        "AlarmArn": "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:cpu",
        "Trigger": {
            **{"MetricName": "CPUUtilization", "Namespace": "AWS/EC2"},
            "Dimensions": [{"name": "InstanceId", "value": "i-1"}],
        },
    }


def sns(message: str, subject: str) -> dict[str, Any]:
    return {
        **{"Type": "Notification", "MessageId": f"22b80b92-{subject}", "Subject": subject},
        **{"TopicArn": "arn:aws:sns:eu-central-1:123456789012:alarms", "Message": message},
        **{"Timestamp": "2026-11-30T03:00:00.000Z", "SignatureVersion": "1", "Signature": "EX=="},
        "SigningCertURL": "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-f.pem",
        "UnsubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe",
    }


def event_bridge(state: str) -> dict[str, Any]:
    return {
        **{"version": "0", "id": "c4c1c1c9-6542", "detail-type": "CloudWatch Alarm State Change"},
        **{"source": "aws.cloudwatch", "account": "123456789012", "region": "us-east-1"},
        "resources": ["arn:aws:cloudwatch:us-east-1:123456789012:alarm:ServerCpuTooHigh"],
        "detail": {
            "alarmName": "ServerCpuTooHigh",
            "state": {"value": state, "reason": "Threshold Crossed: 99.5"},
            "previousState": {"value": "OK", "reason": "Threshold Crossed: 12"},
        },
    }


def gcp(state: str) -> dict[str, Any]:
    incident = {
        **{"incident_id": "0.lj2va6zdkemq", "resource_id": "", "resource_name": "web appserver"},
        "resource": {"type": "gce_instance", "labels": {"zone": "us-central1-c"}},
        **{
            "started_at": 1580920957,
            "policy_name": "CPU Usage",
            "condition_name": "CPU above 90 %",
        },
        "url": "https://console.cloud.google.com/monitoring/alerting/incidents/0.lj2va6zdkemq",
        **{"state": state, "ended_at": None, "severity": "Critical"},
        "summary": "CPU usage for web appserver is above the threshold of 0.9.",
    }
    return {"incident": incident, "version": "1.2"}


def azure(condition: str) -> dict[str, Any]:
    essentials = {
        "alertId": "/subscriptions/1/providers/Microsoft.AlertsManagement/alerts/aaaa0a0a",
        **{"alertRule": "WCUS-R2-Gen2", "severity": "Sev3", "signalType": "Metric"},
        **{"monitorCondition": condition, "monitoringService": "Platform"},
        "configurationItems": ["wcus-r2-gen2"],
        **{"description": "CPU is busy", "essentialsVersion": "1.0"},
    }
    context = {"properties": None, "conditionType": "SingleResource", "condition": {"allOf": []}}
    data = {"essentials": essentials, "alertContext": context}
    return {"schemaId": "azureMonitorCommonAlertSchema", "data": data}


def azure_metric(status: str) -> dict[str, Any]:
    context = {
        **{"id": "/subscriptions/1/metricAlerts/cpu", "name": "cpu", "description": "CPU is busy"},
        **{"severity": "2", "resourceName": "vm1", "portalLink": "https://portal.azure.com/#vm1"},
    }
    return {"schemaId": "AzureMonitorMetricAlert", "data": {"status": status, "context": context}}


def datadog(kind: str, number: int) -> dict[str, Any]:
    return {
        **{"body": "Load over 5", "last_updated": "1700000000000", "date": "1700000000000"},
        "event_type": "query_alert_monitor",
        "title": f"[{kind} on {{host:db1}}] Load is high",
        **{"org": {"id": "1", "name": "acme"}, "id": str(number)},
    }


def datadog_own(transition: str) -> dict[str, Any]:
    return {
        **{"alert_transition": transition, "alert_cycle_key": "6271", "alert_id": "1234"},
        **{"alert_title": f"[{transition}] Load", "event_msg": "Load over 5", "id": transition},
        **{"alert_priority": "P1", "link": "https://app.datadoghq.com/event/event?id=1"},
        "tags": "env:prod,host:db1",
    }


def new_relic(state: str) -> dict[str, Any]:
    return {
        **{"id": "0ea2df1c-adab", "title": "Memory Used % > 90 on 'checkout'", "state": state},
        "issueUrl": "https://radar-api.service.newrelic.com/accounts/1/issues/0ea2df1c",
        **{"priority": "CRITICAL", "impactedEntities": ["checkout"], "totalIncidents": 1},
        **{
            "trigger": "STATE_CHANGE",
            "isCorrelated": False,
            "createdAt": 1,
            "sources": ["newrelic"],
        },
        **{"alertPolicyNames": ["Golden"], "alertConditionNames": ["Memory high"]},
    }


def new_relic_legacy(state: str) -> dict[str, Any]:
    return {
        **{"event_type": "INCIDENT", "incident_id": 163450695, "condition_name": "Pings"},
        **{"details": "Monitor failed for location San Francisco", "severity": "CRITICAL"},
        **{"current_state": state, "policy_name": "Synthetic", "owner": "", "targets": []},
        "incident_url": "https://alerts.newrelic.com/accounts/1/incidents/163450695",
    }


def nagios(kind: str, state: str) -> dict[str, Any]:
    return {
        **{"notification_type": kind, "host_name": "db1", "host_address": "192.0.2.1"},
        **{"service_description": "Disk", "service_state": state},
        "service_output": "DISK - free space: / 1 %",
    }


def icinga_host(kind: str, state: str) -> dict[str, Any]:
    return {
        **{"NOTIFICATIONTYPE": kind, "HOSTNAME": "db1", "HOSTSTATE": state},
        **{"HOSTOUTPUT": "PING - loss 100 %", "LONGDATETIME": f"2026-11-30 {state}"},
    }


def pagerduty(action: str) -> dict[str, Any]:
    return {
        **{"routing_key": "R0UT1NG", "event_action": action, "dedup_key": "srv01/HTTP"},
        "payload": {
            **{"summary": "HTTP is down on srv01", "source": "srv01", "severity": "critical"},
            **{"component": "nginx", "group": "prod", "class": "http", "custom_details": {"n": 1}},
        },
        "links": [{"href": "https://graphs.example/1", "text": "Graph"}],
    }


def pagerduty_v1(event: str) -> dict[str, Any]:
    return {
        **{"service_key": "S", "event_type": event, "incident_key": "srv01/HTTP"},
        **{
            "description": "HTTP is down",
            "client": "Monitor",
            "client_url": "https://monitor.example",
        },
        "details": {"ping": "1500 ms"},
    }


def opsgenie(action: str) -> dict[str, Any]:
    alert = {
        **{"alertId": "052652ac-5d1c", "message": "Disk full", "tags": ["OverwriteQuietHours"]},
        **{"tinyId": "23", "entity": "db1", "alias": "disk/db1", "createdAt": 1462352325},
        **{"username": "System", "description": "1 % free", "priority": "P1", "team": "ops"},
    }
    return {"action": action, "alert": alert, "source": {"name": "", "type": "web"}}


def healthchecks(status: str) -> dict[str, Any]:
    return {
        **{
            "name": "Nightly backup",
            "slug": "nightly-backup",
            "tags": "prod db",
            "desc": "pg_dump",
        },
        **{"grace": 3600, "n_pings": 12, "status": status, "started": False, "timeout": 86400},
        "ping_url": "https://hc-ping.com/803f680d-e89b-492b-82ef-2be7b774a92d",
    }


def kapacitor(level: str) -> dict[str, Any]:
    return {
        **{"id": "cpu:host=a", "message": f"cpu:host=a is {level}", "details": "", "level": level},
        **{"time": "2026-11-30T03:00:00Z", "duration": 60_000_000_000, "recoverable": True},
        "data": {"series": [{"name": "cpu", "tags": {"host": "a"}, "values": [["t", 91]]}]},
        "previousLevel": "OK",
    }


def elastalert(number: int) -> dict[str, Any]:
    return {
        **{"rule_name": "Too many 500", "num_hits": 12, "num_matches": 1, "_index": "log-1"},
        **{"_id": f"doc{number}", "@timestamp": "2026-11-30T03:00:00Z", "message": "GET /x 500"},
    }


def zabbix(value: str, event: int = 1001, host: str = "db1") -> dict[str, Any]:
    return {
        **{"event_id": str(event), "event_value": value, "event_name": "Load is high"},
        **{"event_severity": "High", "host_name": host, "trigger_id": "55", "event_source": "0"},
        "alert_message": "Load over 5 for 5 minutes",
    }


def zabbix_nested(status: str) -> dict[str, Any]:
    return {
        "event": {"id": 77, "name": "Load is high", "status": status, "severity": "High"},
        "host": {"host": "db1"},
        "trigger": {"id": 5, "description": "Load over 5"},
    }


def gitlab_pipeline(number: int, status: str) -> dict[str, Any]:
    return {
        "object_kind": "pipeline",
        "object_attributes": {
            **{"id": number, "ref": "main", "status": status, "stages": ["build", "test"]},
            "url": f"https://gitlab.example/group/shop/-/pipelines/{number}",
        },
        "user": {"name": "Person", "username": "person"},
        "project": {"id": 1, "name": "shop", "path_with_namespace": "group/shop"},
        "commit": {"title": "Add a till"},
    }


def gitlab_job(status: str) -> dict[str, Any]:
    return {
        **{"object_kind": "build", "ref": "main", "build_id": 9, "build_name": "test"},
        **{"build_status": status, "project_id": 1, "project_name": "group / shop"},
        "commit": {"id": 5, "message": "Add a till"},
        "project": {"web_url": "https://gitlab.example/group/shop"},
    }


def gitlab_incident(state: str) -> dict[str, Any]:
    return {
        "object_kind": "incident",
        "project": {"id": 1, "path_with_namespace": "group/shop"},
        "object_attributes": {
            **{"iid": 23, "title": "Shop is down", "description": "502", "state": state},
            **{"severity": "critical", "url": "https://gitlab.example/group/shop/-/issues/23"},
        },
    }


def gitlab_deployment(status: str) -> dict[str, Any]:
    return {
        **{
            "object_kind": "deployment",
            "status": status,
            "deployment_id": 15,
            "deployable_id": 796,
        },
        **{"deployable_url": "https://gitlab.example/group/shop/-/jobs/796", "environment": "prod"},
        "project": {"id": 1, "path_with_namespace": "group/shop"},
        "commit_title": "Add a till",
    }


def github_run(number: int, conclusion: str | None) -> dict[str, Any]:
    return {
        "action": "completed" if conclusion else "requested",
        "workflow_run": {
            **{"id": number, "workflow_id": 159, "name": "CI", "head_branch": "main"},
            **{"status": "completed" if conclusion else "queued", "conclusion": conclusion},
            **{"display_title": "Add a till", "html_url": "https://github.com/acme/shop/actions/9"},
        },
        "repository": {"id": 1, "full_name": "acme/shop", "private": True},
        "sender": {"login": "person", "type": "User"},
    }


def github_check(conclusion: str) -> dict[str, Any]:
    return {
        "action": "completed",
        "check_run": {
            **{"id": 4, "name": "lint", "status": "completed", "conclusion": conclusion},
            **{"check_suite": {"head_branch": "main"}, "output": {"title": "3 faults"}},
            "html_url": "https://github.com/acme/shop/runs/4",
        },
        "repository": {"full_name": "acme/shop"},
    }


def github_alert(action: str) -> dict[str, Any]:
    return {
        "action": action,
        "alert": {
            **{"number": 3, "state": "open" if action == "created" else "fixed"},
            "security_advisory": {"summary": "Bad parser", "description": "x", "severity": "high"},
            "html_url": "https://github.com/acme/shop/security/dependabot/3",
        },
        "repository": {"full_name": "acme/shop"},
    }


def github_issue(action: str) -> dict[str, Any]:
    return {
        "action": action,
        "issue": {
            **{"number": 5, "title": "Shop is down", "body": "502", "state": "open"},
            "html_url": "https://github.com/acme/shop/issues/5",
        },
        "repository": {"full_name": "acme/shop"},
    }


SENTRY_LEGACY = {
    **{"id": "27379932", "project": "front", "project_name": "Front", "culprit": "raven.scripts"},
    **{
        "level": "error",
        "url": "https://sentry.example/x/27379932/",
        "message": "This is an error",
    },
    "event": {"event_id": "9fac2ceed9344f2b", "title": "This is an example"},
}

CASES = {
    "Uptime Kuma": SentCase(
        "Uptime Kuma",
        "shop",
        "[shop] timeout",
        kuma(0, "timeout"),
        kuma(1, "200 - OK"),
        link="https://shop.example/",
        says_nothing=kuma(3, "Monitor under maintenance"),
    ),
    "Sentry, issue": SentCase(
        "Sentry",
        "ReferenceError: blue is not defined",
        "blue is not defined",
        sentry_issue("created", "unresolved"),
        sentry_issue("resolved", "resolved"),
        "error",
        "https://sentry.example/organizations/o/issues/1170820242/",
        {"project": "front"},
        sentry_issue("assigned", "unresolved"),
    ),
    "Sentry, event alert ended by its issue": SentCase(
        "Sentry",
        "TypeError: x",
        "checkout",
        sentry_event(),
        sentry_issue("resolved", "resolved"),
        "error",
        "https://sentry.example/organizations/o/issues/1170820242/events/e4874d/",
    ),
    "Sentry, metric alert": SentCase(
        "Sentry",
        "Too many errors",
        "1000 events in the last 10 minutes",
        sentry_metric("critical"),
        sentry_metric("resolved"),
        "critical",
        "https://sentry.example/organizations/o/alerts/rules/details/11/",
    ),
    "Sentry, legacy": SentCase(
        "Sentry",
        "This is an example",
        "This is an error",
        SENTRY_LEGACY,
        None,
        "error",
        "https://sentry.example/x/27379932/",
        {"project": "front"},
    ),
    "CloudWatch by SNS": SentCase(
        "CloudWatch",
        "cpu",
        "Threshold Crossed: 1 datapoint [91.0]",
        sns(json.dumps(cloudwatch("ALARM")), "ALARM: cpu"),
        sns(json.dumps(cloudwatch("OK")), "OK: cpu"),
        labels={
            "region": "EU (Frankfurt)",
            "namespace": "AWS/EC2",
            "account": "123456789012",
        },
    ),
    "SNS, text": SentCase(
        "",
        'ALARM: "cpu" in Frankfurt',
        "You are receiving this",
        sns("You are receiving this", 'ALARM: "cpu" in Frankfurt'),
        sns("You are receiving this too", 'OK: "cpu" in Frankfurt'),
    ),
    "CloudWatch by EventBridge": SentCase(
        "CloudWatch",
        "ServerCpuTooHigh",
        "Threshold Crossed: 99.5",
        event_bridge("ALARM"),
        event_bridge("OK"),
        labels={"region": "us-east-1", "account": "123456789012"},
    ),
    "Google Cloud": SentCase(
        "Google Cloud",
        "CPU Usage",
        "CPU usage for web appserver is above the threshold of 0.9.",
        gcp("open"),
        gcp("closed"),
        "critical",
        "https://console.cloud.google.com/monitoring/alerting/incidents/0.lj2va6zdkemq",
        {"resource": "web appserver", "condition": "CPU above 90 %"},
    ),
    "Azure": SentCase(
        "Azure Monitor",
        "WCUS-R2-Gen2",
        "CPU is busy",
        azure("Fired"),
        azure("Resolved"),
        "sev3",
        labels={"resource": "wcus-r2-gen2"},
    ),
    "Azure, metric alert": SentCase(
        "Azure Monitor",
        "cpu",
        "CPU is busy",
        azure_metric("Activated"),
        azure_metric("Deactivated"),
        "2",
        "https://portal.azure.com/#vm1",
        {"resource": "vm1"},
    ),
    "Datadog": SentCase(
        "Datadog",
        "[Triggered on {host:db1}] Load is high",
        "Load over 5",
        datadog("Triggered", 1),
        datadog("Recovered", 2),
    ),
    "Datadog, own payload": SentCase(
        "Datadog",
        "[Triggered] Load",
        "Load over 5",
        datadog_own("Triggered"),
        datadog_own("Recovered"),
        "p1",
        "https://app.datadoghq.com/event/event?id=1",
        {"env": "prod", "host": "db1"},
    ),
    "New Relic": SentCase(
        "New Relic",
        "Memory Used % > 90 on 'checkout'",
        "checkout",
        new_relic("ACTIVATED"),
        new_relic("CLOSED"),
        "critical",
        "https://radar-api.service.newrelic.com/accounts/1/issues/0ea2df1c",
        {"policy": "Golden", "condition": "Memory high"},
        new_relic("ACKNOWLEDGED"),
    ),
    "New Relic, legacy": SentCase(
        "New Relic",
        "Pings",
        "Monitor failed for location San Francisco",
        new_relic_legacy("open"),
        new_relic_legacy("closed"),
        "critical",
        "https://alerts.newrelic.com/accounts/1/incidents/163450695",
        {"policy": "Synthetic"},
        new_relic_legacy("acknowledged"),
    ),
    "Nagios": SentCase(
        "Nagios or Icinga",
        "Disk",
        "DISK - free space: / 1 %",
        nagios("PROBLEM", "CRITICAL"),
        nagios("RECOVERY", "OK"),
        "critical",
        labels={"host": "db1", "service": "Disk"},
        says_nothing=nagios("ACKNOWLEDGEMENT", "CRITICAL"),
    ),
    "Icinga, host": SentCase(
        "Nagios or Icinga",
        "db1",
        "PING - loss 100 %",
        icinga_host("PROBLEM", "DOWN"),
        icinga_host("RECOVERY", "UP"),
        "down",
        labels={"host": "db1"},
        says_nothing=icinga_host("DOWNTIMESTART", "DOWN"),
    ),
    "PagerDuty": SentCase(
        "PagerDuty",
        "HTTP is down on srv01",
        "",
        pagerduty("trigger"),
        {"routing_key": "R0UT1NG", "event_action": "resolve", "dedup_key": "srv01/HTTP"},
        "critical",
        "https://graphs.example/1",
        {"instance": "srv01", "component": "nginx", "group": "prod", "class": "http"},
        pagerduty("acknowledge"),
    ),
    "PagerDuty v1": SentCase(
        "PagerDuty",
        "HTTP is down",
        "",
        pagerduty_v1("trigger"),
        pagerduty_v1("resolve"),
        link="https://monitor.example",
        says_nothing=pagerduty_v1("acknowledge"),
    ),
    "Opsgenie": SentCase(
        "Opsgenie",
        "Disk full",
        "1 % free",
        opsgenie("Create"),
        opsgenie("Close"),
        "p1",
        labels={"entity": "db1", "team": "ops"},
        says_nothing=opsgenie("AddNote"),
    ),
    "Healthchecks": SentCase(
        "Healthchecks",
        "Nightly backup",
        "pg_dump",
        healthchecks("down"),
        healthchecks("up"),
        says_nothing=healthchecks("paused"),
    ),
    "Kapacitor": SentCase(
        "Kapacitor",
        "cpu:host=a",
        "cpu:host=a is CRITICAL",
        kapacitor("CRITICAL"),
        kapacitor("OK"),
        "critical",
    ),
    "ElastAlert": SentCase("ElastAlert", "Too many 500", "GET /x 500", elastalert(1), None),
    "Zabbix": SentCase(
        "Zabbix",
        "Load is high",
        "Load over 5 for 5 minutes",
        zabbix("1"),
        zabbix("0"),
        "high",
        labels={"host": "db1"},
    ),
    "Zabbix, nested": SentCase(
        "Zabbix",
        "Load is high",
        "Load over 5",
        zabbix_nested("PROBLEM"),
        zabbix_nested("RESOLVED"),
        "high",
        labels={"host": "db1"},
    ),
    "GitLab, pipeline": SentCase(
        "GitLab",
        "pipeline group/shop main",
        "Add a till",
        gitlab_pipeline(31, "failed"),
        gitlab_pipeline(32, "success"),
        link="https://gitlab.example/group/shop/-/pipelines/31",
        labels={"project": "group/shop"},
        says_nothing=gitlab_pipeline(32, "running"),
    ),
    "GitLab, job": SentCase(
        "GitLab",
        "build group / shop main test",
        "Add a till",
        gitlab_job("failed"),
        gitlab_job("success"),
        link="https://gitlab.example/group/shop",
        labels={"project": "group / shop"},
        says_nothing=gitlab_job("pending"),
    ),
    "GitLab, incident": SentCase(
        "GitLab",
        "Shop is down",
        "502",
        gitlab_incident("opened"),
        gitlab_incident("closed"),
        "critical",
        "https://gitlab.example/group/shop/-/issues/23",
        {"project": "group/shop"},
    ),
    "GitLab, deployment": SentCase(
        "GitLab",
        "deployment group/shop prod",
        "Add a till",
        gitlab_deployment("failed"),
        gitlab_deployment("success"),
        link="https://gitlab.example/group/shop/-/jobs/796",
        labels={"project": "group/shop"},
        says_nothing=gitlab_deployment("running"),
    ),
    "GitHub, workflow": SentCase(
        "GitHub",
        "CI acme/shop main",
        "Add a till",
        github_run(1, "failure"),
        github_run(2, "success"),
        link="https://github.com/acme/shop/actions/9",
        labels={"repository": "acme/shop"},
        says_nothing=github_run(2, None),
    ),
    "GitHub, check": SentCase(
        "GitHub",
        "lint acme/shop main",
        "3 faults",
        github_check("failure"),
        github_check("success"),
        link="https://github.com/acme/shop/runs/4",
        says_nothing=github_check("neutral"),
    ),
    "GitHub, security": SentCase(
        "GitHub",
        "Bad parser",
        "x",
        github_alert("created"),
        github_alert("fixed"),
        "high",
        "https://github.com/acme/shop/security/dependabot/3",
    ),
    "GitHub, issue": SentCase(
        "GitHub",
        "Shop is down",
        "502",
        github_issue("opened"),
        github_issue("closed"),
        link="https://github.com/acme/shop/issues/5",
        says_nothing=github_issue("labeled"),
    ),
}
