"""Alertmanager's newest grammar against amproxy's: `python -m tools.upstream [VERSION]`.

The Go toolchain fetches the module of Alertmanager and those that its configuration is made of. A
file with every key of their structs, none with a value, is then read by amproxy: the keys that it
does not know are printed, and the exit code is 1 where there is one.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from amproxy import ALERTMANAGER_VERSION
from amproxy.config.loader import load_text
from amproxy.errors import ConfigError

MODULE = "github.com/prometheus/alertmanager"
# Modules besides its own that have structs of the configuration.
PARTS = ("github.com/prometheus/common", "github.com/prometheus/sigv4")
USUAL_PLACE = "/usr/local/go/bin/go"
UNKNOWN = "problem.unknown_key"
# Names of secrets in a manager of secrets, which Alertmanager does not have: it takes no such file.
OF_OTHERS = "_ref"

_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\s*(?:\w+\s+)?(\S+)\s+`[^`]*yaml:\"([^\"]*)\"[^`]*`", re.MULTILINE)
_IMPORT = re.compile(r'^\s*(?:import )?(?:(\w+) )?"([\w./-]+)"$', re.MULTILINE)
_REQUIRED = re.compile(r"^\s*(\S+) (v\S+)", re.MULTILINE)


class GoField(NamedTuple):
    """A field with a key of YAML; "" = its fields are those of the struct around it."""

    key: str
    type: str  # PACKAGE.NAME without pointers, or a type of Go
    wrap: str  # "list", "map" or ""


def find_go() -> str | None:
    """The path of the Go toolchain; None where there is none."""
    return shutil.which("go") or shutil.which(USUAL_PLACE)


def fetch(go: str, module: str, version: str) -> tuple[str, Path]:
    """The version and the folder of a module. Raises CalledProcessError."""
    command = [go, "mod", "download", "-json", f"{module}@{version}"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found["Version"], Path(found["Dir"])


def structs_of(folder: Path, module: str) -> dict[str, list[GoField]]:
    """The structs of a module's folder with keys of YAML: PATH.NAME → their fields."""
    found: dict[str, list[GoField]] = {}
    for path in folder.rglob("*.go"):
        if path.name.endswith("_test.go"):
            continue
        text = path.read_text("utf-8")
        package = "/".join((module, *path.parent.relative_to(folder).parts))
        imports = {
            alias or place.rpartition("/")[2]: place for alias, place in _IMPORT.findall(text)
        }
        for name, body in _STRUCT.findall(text):
            fields = [_field(kind, tag, package, imports) for kind, tag in _FIELD.findall(body)]
            found[f"{package}.{name}"] = [
                field for field in fields if field.key != "-" and not field.key.endswith(OF_OTHERS)
            ]
    return {name: fields for name, fields in found.items() if fields}


def _field(kind: str, tag: str, package: str, imports: dict[str, str]) -> GoField:
    key, _, options = tag.partition(",")
    wrap = "list" if kind.startswith("[]") else "map" if kind.startswith("map[") else ""
    bare = re.sub(r"^(\[\]|map\[\w+\])?\*?", "", kind)
    qualifier, dot, name = bare.rpartition(".")
    place = imports.get(qualifier, qualifier) if dot else package
    inline = "inline" in options.split(",")
    return GoField("" if inline else key, f"{place}.{name}", wrap)


def every_key(
    structs: dict[str, list[GoField]], name: str, within: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A map with every key of a struct and, in turn, of those of its fields; a leaf is None."""
    keys: dict[str, Any] = {}
    for field in structs[name]:
        below: Any = None
        if field.type in structs and field.type not in within:
            below = every_key(structs, field.type, (*within, name))
        if not field.key:
            keys |= below or {}
        elif below is None:
            keys[field.key] = None
        else:
            keys[field.key] = {"list": [below], "map": {"x": below}}.get(field.wrap, below)
    return keys


def unknown_keys(keys: dict[str, Any]) -> list[str]:
    """The paths of keys that amproxy does not know."""
    try:
        load_text(json.dumps(keys), "upstream.yml")
    except ConfigError as error:
        return [
            f"{problem.path}: {problem.message}"
            for problem in error.problems
            if problem.words.key == UNKNOWN
        ]
    return []


def main(wanted: str) -> int:
    """Print what is missing. Return 1 where something is, 2 without the Go toolchain."""
    go = find_go()
    if go is None:
        print("upstream: there is no Go toolchain to fetch Alertmanager with", file=sys.stderr)
        return 2
    # Go's versions begin with v, Alertmanager's own do not
    version, folder = fetch(go, MODULE, f"v{wanted}" if wanted[:1].isdigit() else wanted)
    structs = structs_of(folder, MODULE)
    required = dict(_REQUIRED.findall((folder / "go.mod").read_text("utf-8")))
    for part in PARTS:
        if part in required:
            structs |= structs_of(fetch(go, part, required[part])[1], part)
    missing = unknown_keys(every_key(structs, f"{MODULE}/config.Config"))
    for line in missing:
        print(line)
    print(f"Alertmanager {version}, amproxy speaks {ALERTMANAGER_VERSION}: {len(missing)} unknown")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "latest"))
