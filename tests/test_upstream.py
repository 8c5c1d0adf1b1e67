"""The comparison of Alertmanager's grammar with ours, on a module of two small packages."""

from __future__ import annotations

from pathlib import Path

from tools.upstream import every_key, structs_of, unknown_keys

MODULE = "example.org/am"
CONFIG = """
package config

import (
\t"example.org/am/notify/hook"
)

// Config is the whole file.
type Config struct {
\tRoute     *Route      `yaml:"route,omitempty" json:"route,omitempty"`
\tReceivers []Receiver  `yaml:"receivers,omitempty"`
\toriginal  string
}

type Route struct {
\tReceiver string   `yaml:"receiver,omitempty"`
\tRoutes   []*Route `yaml:"routes,omitempty"`
\tHidden   string   `yaml:"-"`
}

type Receiver struct {
\tName  string         `yaml:"name"`
\tHooks []*hook.Config `yaml:"webhook_configs,omitempty"`
}
"""
HOOK = """
package hook

type Common struct {
\tSendResolved bool `yaml:"send_resolved"`
}

type Config struct {
\tCommon `yaml:",inline"`
\tURL string `yaml:"url"`
\tURLRef string `yaml:"url_ref"`
\tNovelty map[string]string `yaml:"novelty"`
}
"""


def test_every_key_of_the_structs_is_found_and_the_unknown_ones_are_named(tmp_path: Path) -> None:
    for name, text in (("config/config.go", CONFIG), ("notify/hook/hook.go", HOOK)):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    keys = every_key(structs_of(tmp_path, MODULE), f"{MODULE}/config.Config")
    hook = {"send_resolved": None, "url": None, "novelty": None}
    assert keys == {
        "route": {"receiver": None, "routes": [{"receiver": None, "routes": None}]},
        "receivers": [{"name": None, "webhook_configs": [hook]}],
    }
    [missing] = unknown_keys(keys)
    assert missing.startswith("receivers[0].webhook_configs[0].novelty: unknown key 'novelty'")
