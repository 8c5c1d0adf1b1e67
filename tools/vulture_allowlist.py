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
