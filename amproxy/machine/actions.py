"""People's actions on an incident: acknowledge, snooze, resolve, reopen, escalate.

Actions that involve others are in responders.py and merging.py.
"""

from __future__ import annotations

from amproxy.config.channels import contact_address, notification_rules, why_undeliverable
from amproxy.config.structs import Notify
from amproxy.errors import Conflict
from amproxy.machine.chains import untried_channels
from amproxy.machine.draft import (
    END_PHRASES,
    Draft,
    close_by_hand,
    end_wait,
    new_id,
    restart_steps,
    set_triggered,
    set_wait,
    start_acknowledge_timeout,
    stop_steps,
    trigger_again,
)
from amproxy.machine.events import (
    Absorb,
    Acknowledge,
    Act,
    AddResponders,
    Escalate,
    Merge,
    Note,
    Reassign,
    Reopen,
    Resolve,
    Snooze,
    TakeOut,
    Unacknowledge,
    Unmerge,
)
from amproxy.machine.holds import release_hold
from amproxy.machine.merging import absorb, merge, take_out, unmerge
from amproxy.machine.responders import add_responders, reassign
from amproxy.machine.steps import begin_policy_anew
from amproxy.model import Page
from amproxy.text import Moment, PeopleNames, Phrase, phrase


def act(draft: Draft, event: Act) -> None:
    """Apply a person's action.

    Raises Conflict when the state, or the epoch of the button that was pressed, forbids it.
    """
    _refuse_stale(draft, event)
    draft.incident.heard_at = draft.now
    match event:
        case Note():
            what = phrase("event.note", by=draft.people(event.user), text=event.text)
            draft.record("note", what, user=event.user, note=event.text)
        case Acknowledge():
            _acknowledge(draft, event)
        case Unacknowledge():
            _unacknowledge(draft, event)
        case Resolve():
            _resolve(draft, event)
        case Reopen():
            begin_policy_anew(draft)
            what = phrase("event.reopened", by=draft.people(event.user), via=event.via)
            trigger_again(draft, "reopened", what, event.user)
        case Snooze():
            _snooze(draft, event)
        case Escalate():
            _escalate(draft, event)
        case Reassign():
            reassign(draft, event)
        case AddResponders():
            add_responders(draft, event)
        case Merge():
            merge(draft, event)
        case Absorb():
            absorb(draft, event)
        case Unmerge():
            unmerge(draft, event)
        case TakeOut():
            take_out(draft, event)
        case _:
            raise TypeError(f"no such action: {event!r}")


def _refuse_stale(draft: Draft, event: Act) -> None:
    incident = draft.incident
    number = {"number": str(incident.number)}
    state = Phrase(f"refusal.state_{incident.state}")
    if isinstance(event, Note | TakeOut):
        return  # a note may be added whatever the state, and what was merged may leave
    if isinstance(event, Unmerge):
        if not incident.merged_into:
            raise Conflict(Phrase("refusal.not_merged", number))
    elif incident.merged_into:
        raise Conflict(Phrase("refusal.merged", number))
    elif isinstance(event, Reopen):
        if incident.state != "resolved":
            raise Conflict(Phrase("refusal.not_resolved", {**number, "state": state}))
    elif incident.state == "resolved":
        if end := incident.end_reason:
            reason = END_PHRASES[end]
            raise Conflict(Phrase("refusal.already_over", {**number, "end": reason}))
        by = PeopleNames((incident.resolved_by,))
        raise Conflict(Phrase("refusal.already_resolved", {**number, "user": by}))
    # A button in an old message must not, say, acknowledge what was triggered again since.
    if event.epoch is not None and event.epoch != incident.epoch:
        raise Conflict(Phrase("refusal.stale_button", {**number, "state": state}))


def _resolve(draft: Draft, event: Resolve) -> None:
    by, incident = draft.people(event.user), draft.incident
    incident.quiet_until = event.quiet_until if incident.firing else None
    if incident.quiet_until is None:
        what = phrase("event.resolved_by", by=by, via=event.via)
    else:
        until = Moment(incident.quiet_until)
        what = phrase("event.resolved_firing", n=incident.firing, by=by, via=event.via, until=until)
    close_by_hand(draft, what, user=event.user, via=event.via)


def _acknowledge(draft: Draft, event: Acknowledge) -> None:
    """Acknowledge it; of an acknowledged incident, join or renew. Raises Conflict if neither."""
    incident = draft.incident
    if incident.state != "acknowledged":
        _set_acknowledged(draft, event)
    elif not (_try_join(draft, event) or _try_renew(draft, event)):
        raise Conflict(
            Phrase(
                "refusal.already_acknowledged",
                {
                    "number": str(incident.number),
                    "user": PeopleNames((incident.acknowledged_by,)),
                },
            )
        )


def _set_acknowledged(draft: Draft, event: Acknowledge) -> None:
    """Stop the policy; the rules of others who were paged by hand go on."""
    incident = draft.incident
    stop_steps(draft)
    incident.chains = [chain for chain in incident.chains if chain.user != event.user]
    incident.state = "acknowledged"
    incident.acknowledged_by, incident.acknowledged_at = event.user, draft.now
    incident.gravest = incident.severity
    incident.snoozed_by, incident.snoozed_until = "", None
    if incident.first_acknowledged_at is None:
        incident.first_acknowledged_by, incident.first_acknowledged_at = event.user, draft.now
    start_acknowledge_timeout(draft)
    what = phrase("event.acknowledged", by=draft.people(event.user), via=event.via)
    draft.record("acknowledged", what, user=event.user)
    draft.refresh_messages(what)


def _try_join(draft: Draft, event: Acknowledge) -> bool:
    """End the rules of somebody who was paged by hand and answers; False for anybody else."""
    incident = draft.incident
    if not any(chain.user == event.user and chain.insists for chain in incident.chains):
        return False
    incident.chains = [chain for chain in incident.chains if chain.user != event.user]
    what = phrase("event.joined", by=draft.people(event.user), via=event.via)
    draft.record("joined", what, user=event.user)
    draft.refresh_messages(what)
    return True


def _try_renew(draft: Draft, event: Acknowledge) -> bool:
    """Restart the time-out of one's own acknowledgement, once reminded of it; else False."""
    incident = draft.incident
    reminded = incident.acknowledge_due is not None and incident.reminder_due is None
    if not reminded or not incident.plan.acknowledge_reminder:
        return False
    if event.user != incident.acknowledged_by:
        return False
    start_acknowledge_timeout(draft)
    what = phrase("event.renewed", by=draft.people(event.user), via=event.via)
    draft.record("renewed", what, user=event.user)
    draft.refresh_messages(what)
    return True


def expire_acknowledgement(draft: Draft) -> None:
    """Trigger again when the acknowledgement runs out; before that, remind its owner."""
    incident = draft.incident
    if incident.state != "acknowledged" or incident.acknowledge_due is None:
        return
    if incident.acknowledge_due <= draft.now:
        by = draft.people(incident.acknowledged_by)
        trigger_again(draft, "unacknowledged", phrase("event.acknowledgement_over", by=by), "")
    elif incident.reminder_due is not None and incident.reminder_due <= draft.now:
        incident.reminder_due = None
        _remind(draft, incident.acknowledge_due)


def _remind(draft: Draft, due: float) -> None:
    """Remind over the channels of the first rule; where it has no contact, over any other."""
    name = draft.incident.acknowledged_by
    user = draft.roster.config.users.get(name)
    rules = notification_rules(draft.roster.config, user, "default") if user else ()
    rule = next((rule for rule in rules if isinstance(rule, Notify)), None)
    # A list, not any() of a generator: all channels of the rule are used.
    reminded = [_remind_over(draft, name, channel) for channel in rule.channels] if rule else []
    person, at = draft.people(name), Moment(due)
    if any(reminded) or _remind_next(draft, name):
        draft.record("reminded", phrase("event.reminded", person=person, at=at), user=name)
    else:
        draft.record("failed", phrase("event.not_reminded", person=person, at=at), user=name)


def _remind_over(draft: Draft, name: str, channel: str) -> bool:
    """Send one reminder over one channel; False where no contact for it can be delivered to."""
    config = draft.roster.config
    address = contact_address(config.users[name], channel)
    if address is None or why_undeliverable(config, channel, address):
        return False
    page = Page(
        id=new_id(),
        kind="reminder",
        user=name,
        channel=channel,
        address=address,
        policy=draft.incident.policy,
        reason=phrase("reason.acknowledgement_runs_out"),
        due=draft.now,
    )
    draft.page(page)
    return True


def _remind_next(draft: Draft, name: str) -> bool:
    """Send one reminder over the first contact not tried yet; False where there is none."""
    incident = draft.incident
    # Reminders of an earlier acknowledgement do not count.
    since = (incident.acknowledge_due or 0.0) - incident.plan.acknowledge_reminder
    tried = [
        page
        for page in incident.pages
        if page.kind == "reminder" and page.user == name and page.due >= since
    ]
    channels = untried_channels(draft, name, tried)
    return any(_remind_over(draft, name, channel) for channel in channels)


def remind_after_failure(draft: Draft, page: Page) -> None:
    """Remind over the next contact, because a reminder failed and no other may still arrive."""
    incident = draft.incident
    if (
        incident.state != "acknowledged"
        or incident.acknowledged_by != page.user
        or incident.reminder_due is not None  # renewed meanwhile
    ):
        return
    if not any(
        p.kind == "reminder" and p.due == page.due and p.state in ("due", "sent")
        for p in incident.pages
    ):
        _remind_next(draft, page.user)


def _unacknowledge(draft: Draft, event: Unacknowledge) -> None:
    incident = draft.incident
    if incident.state != "acknowledged":
        state = Phrase(f"refusal.state_{incident.state}")
        raise Conflict(
            Phrase("refusal.not_acknowledged", {"number": str(incident.number), "state": state})
        )
    what = phrase("event.unacknowledged", by=draft.people(event.user), via=event.via)
    trigger_again(draft, "unacknowledged", what, event.user)


def _snooze(draft: Draft, event: Snooze) -> None:
    """Let nothing happen until a time, in any state. Raises Conflict for a time that is past."""
    incident = draft.incident
    if event.until <= draft.now:
        raise Conflict(Phrase("refusal.snooze_future"))
    if incident.state == "triggered":
        _save_remaining_waits(draft)
    # After an acknowledgement there is nothing to resume: the policy had stopped.
    resumes = incident.plan.after_snooze == "resume" and incident.state in ("triggered", "snoozed")
    left, waiting, waiting_for = incident.step_left, incident.waiting, incident.waiting_for
    chains = incident.chains
    stop_steps(draft)
    incident.chains = chains if resumes else []
    if resumes:
        incident.step_left, incident.waiting, incident.waiting_for = left, waiting, waiting_for
    incident.state, incident.snoozed_by, incident.snoozed_until = "snoozed", event.user, event.until
    incident.gravest = incident.severity
    incident.acknowledged_by, incident.acknowledged_at = "", None
    what = phrase(
        "event.snoozed",
        by=draft.people(event.user),
        until=Moment(event.until),
        via=event.via,
    )
    draft.record("snoozed", what, user=event.user, until=event.until)
    draft.refresh_messages(what)


def _save_remaining_waits(draft: Draft) -> None:
    """Save the seconds that the policy and each person's rules would still have waited."""
    incident = draft.incident
    for chain in incident.chains:
        chain.left, chain.due = _seconds_until(draft, chain.due), None
    # A step that waits for alerts checks again at the end: some may have come meanwhile.
    incident.step_left = (
        0.0 if incident.waiting == "alerts" else _seconds_until(draft, incident.step_due)
    )


def _seconds_until(draft: Draft, due: float | None) -> float | None:
    return None if due is None else max(0.0, due - draft.now)


def expire_snooze(draft: Draft) -> None:
    """Trigger again at the end of a snooze; with `after_snooze: resume` all goes on as it was."""
    incident = draft.incident
    until = incident.snoozed_until
    if incident.state != "snoozed" or until is None or until > draft.now:
        return
    running = [chain for chain in incident.chains if chain.left is not None]
    # Where nothing is left to resume the policy begins anew, or nobody would ever be paged.
    if incident.plan.after_snooze == "restart" or (incident.step_left is None and not running):
        trigger_again(draft, "triggered", phrase("event.snooze_over"), "")
        return
    set_triggered(draft)
    step_due = None if incident.step_left is None else draft.now + incident.step_left
    set_wait(draft, incident.waiting, step_due, incident.waiting_for)
    incident.step_left = None
    for chain in running:
        chain.due, chain.left = draft.now + (chain.left or 0.0), None
    what = phrase("event.snooze_resumed")
    draft.record("triggered", what)
    draft.refresh_messages(what)


def _escalate(draft: Draft, event: Escalate) -> None:
    """Run the next step now, whatever it waits for; without one, the policy begins anew."""
    incident = draft.incident
    what = phrase("event.escalated", by=draft.people(event.user), via=event.via)
    if incident.state != "triggered":
        trigger_again(draft, "escalated", what, event.user)
        return
    draft.record("escalated", what, user=event.user)
    release_hold(draft, phrase("hold.escalated"))
    if incident.waiting in ("alerts", "shift"):
        incident.position += 1  # such a step would only wait again
    elif incident.step_due is None:
        restart_steps(draft)
    end_wait(draft)
