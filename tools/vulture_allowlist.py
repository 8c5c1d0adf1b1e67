"""Names that vulture cannot see used: templates, libraries and plug-ins reach for them by name.

A name stands here with who uses it. What nobody uses is deleted, not listed.
"""

# ruff: noqa: B018, F821

# Templates (amproxy/web/templates).
_.bands
_.conditional
_.date_range
_.form_links
_.height
_.is_today
_.may_change
_.open_end
_.picture
_.short_time
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
_.escalation_policies
_.eviction
_.externalDocs
_.first_hidden
_.held_by_arguments
_.held_by_code
_.last_beat
_.last_delivery
_.last_error
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
_.time_to_end_by_itself
_.told_at
_.triggered
_.unsaved_changes
_.weekend_hours

# Settings of libraries, and methods that they call: ruamel.yaml, re2, httpx, itsdangerous, uvicorn.
_.log_errors
_.auth_flow
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
_.EMAIL
_.SLACK
_.TELEGRAM
_.WEBHOOK
_.AlertmanagerChannel
_.EmailChannel
_.SlackChannel
_.TelegramChannel
_.TelegramPollers
_.WebhookChannel

# A key of Alertmanager's that loads and is without effect: a redirect is a failed delivery, because
# following it would lose the body.
_.follow_redirects

# Switches of the logging module, which it reads for each record.
_.logThreads
_.logProcesses
_.logMultiprocessing
