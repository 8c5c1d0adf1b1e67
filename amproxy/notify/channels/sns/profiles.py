"""AWS's shared files: the profiles of ~/.aws/config and ~/.aws/credentials."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

from amproxy.errors import DeliveryError
from amproxy.text import phrase


def load_profile(name: str, env: Mapping[str, str]) -> dict[str, str]:
    """The keys of a profile, those of the credentials file first; {} = there is no such profile.

    name: "" = the one that AWS_PROFILE names, or `default`. Raises DeliveryError (permanent) where
    a file is no such file.
    """
    wanted = name or env.get("AWS_PROFILE", "") or "default"
    home = Path(env.get("HOME", "~")).expanduser() / ".aws"
    config = env.get("AWS_CONFIG_FILE") or home / "config"
    credentials = env.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials"
    section = wanted if wanted == "default" else f"profile {wanted}"
    return {**_section(Path(config), section), **_section(Path(credentials), wanted)}


def _section(path: Path, name: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False, default_section="")
    try:
        parser.read_string(path.read_text("utf-8"))
    except OSError:
        return {}  # a machine may have neither file
    except (configparser.Error, UnicodeError):
        words = phrase("failure.aws_profiles", path=str(path))
        raise DeliveryError(words, permanent=True, reason="auth_error") from None
    return dict(parser[name]) if parser.has_section(name) else {}
