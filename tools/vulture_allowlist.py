"""Names that vulture cannot see used: templates, libraries and plug-ins reach for them by name.

A name stands here with who uses it. What nobody uses is deleted, not listed.
"""

# ruff: noqa: B018, F821

# Templates (amproxy/web/templates).
_.bands
_.chips
_.conditional
_.date_range
_.density_query
_.form_links
_.height
_.is_long
_.is_today
_.may_change
_.mine_query
_.open_end
_.picture
_.short_time
_.states_query
_.telling
_.unanswered_query
_.without
_.as_view
_.__call__

# Alertmanager's JSON: msgspec encodes the fields by their names.
_.branch
_.buildDate
_.buildUser
_.cluster
_.createdBy
_.ends_at
_.goVersion
_.inhibitedBy
_.isEqual
_.isRegex
_.mutedBy
_.responses
_.routeLabels
_.silencedBy
_.starts_at
_.truncated_alerts
_.updatedAt
_.versionInfo

# Answers of the API: msgspec encodes the fields by their names.
_.all_keys_counted
_.config_digest
_.config_since
_.day_hours
_.duration_ms
_.last_refusal
_.end_local
_.error_arguments
_.error_code
_.event_arguments
_.problem_arguments
_.problem_code
_.escalation_policies
_.eviction
_.externalDocs
_.first_hidden
_.held_by_arguments
_.held_by_code
_.last_beat
_.last_delivery
_.last_error
_.last_error_arguments
_.last_error_code
_.last_hidden
_.last_used
_.loaded_at
_.median_time_to_resolve
_.muted_by_codes
_.next_open
_.next_step
_.night_hours
_.openapi
_.p50
_.p90
_.pages_day
_.pages_night
_.pages_weekend
_.ping_ms
_.reason_arguments
_.reason_codes
_.seen_at
_.signed_in_at
_.snoozed
_.start_local
_.subject_arguments
_.subject_code
_.time_to_end_by_itself
_.told_at
_.triggered
_.undeliverable_arguments
_.undeliverable_code
_.unsaved_changes
_.weekend_hours
_.why_not_arguments
_.why_not_code

# Settings of libraries, and methods that they call: ruamel.yaml, re2, httpx, itsdangerous, uvicorn.
_.log_errors
_.auth_flow
_.async_auth_flow
_.get_timestamp
_.force_exit
_.capture_signals
_.startup
_.servers
_.wait_closed
_.send_400_response
_.disconnected

# The registry of channels (config/channels.py) names them as MODULE:NAME.
_.ALERTMANAGER
_.CONSOLE
_.DISCORD
_.EMAIL
_.INCIDENTIO
_.JIRA
_.MATTERMOST
_.MSTEAMS
_.MSTEAMSV2
_.OPSGENIE
_.PAGERDUTY
_.PUSHOVER
_.PUSH_KIND
_.ROCKETCHAT
_.SLACK
_.SNS
_.TELEGRAM
_.VICTOROPS
_.WEBEX
_.WEBHOOK
_.WECHAT
_.AlertmanagerChannel
_.DiscordChannel
_.EmailChannel
_.IncidentioChannel
_.JiraChannel
_.MattermostChannel
_.OpsgenieChannel
_.PagerDutyChannel
_.PushChannel
_.PushoverChannel
_.RocketChatChannel
_.SlackChannel
_.SnsChannel
_.TeamsConnectorChannel
_.TeamsWorkflowChannel
_.TelegramChannel
_.TelegramPollers
_.VictorOpsChannel
_.WebexChannel
_.WebhookChannel
_.WechatChannel

# Texts by the names of fields: of an attachment, and of receivers' default texts.
_.pretext
_.author_name
_.author_link
_.author_icon
_.footer
_.footer_icon

# A key of Alertmanager's that loads and is without effect: a redirect is a failed delivery, because
# following it would lose the body.
_.follow_redirects

# Switches of the logging module, which it reads for each record.
_.logThreads
_.logProcesses
_.logMultiprocessing

# The class of Jinja's contexts, which an environment makes.
_.context_class
