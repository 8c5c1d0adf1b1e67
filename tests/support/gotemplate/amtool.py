"""Templates through Debian's amtool, many at a time, beside the templates of this package.

`python -m tests.support.gotemplate.amtool --cases 100000 [--seed N]` compares any number of
generated ones and prints those that differ.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from amproxy.gotemplate.alertmanager import FUNCTIONS
from amproxy.gotemplate.alertmanager_data import NotificationData, data_from_json
from amproxy.gotemplate.errors import GoTemplateError
from amproxy.gotemplate.quoting import decode, readable
from amproxy.gotemplate.template import TemplateSet
from tests.support.gotemplate.generator import Generator, data
from tests.support.servers import find

AMTOOL = find("amtool")
_MARK = "\n~~ next ~~\n"
BATCH = 100
# How many templates of a batch that fail here are tried there, one call each.
REFUSED = 2


@dataclass(frozen=True, slots=True)
class Difference:
    """A template that is rendered otherwise; None stands for an error."""

    template: str
    document: dict[str, Any]
    theirs: str | None
    ours: str | None


def ours(template: str, texts: TemplateSet, told: NotificationData) -> str | None:
    """The text that this package makes, None for an error."""
    try:
        return texts.text(template).render(told, now=0)
    except GoTemplateError:
        return None


def render(
    templates: list[str], document: dict[str, Any], kind: str = "text", helpers: str = ""
) -> list[str | None] | None:
    """The texts of some templates, None where one of them is refused.

    helpers: definitions that they use.
    """
    assert AMTOOL
    with tempfile.TemporaryDirectory() as folder:
        file, body = Path(folder, "all.tmpl"), Path(folder, "data.json")
        file.write_text(
            "".join(f'{{{{define "t{at}"}}}}{text}{{{{end}}}}' for at, text in enumerate(templates))
            + helpers,
            "utf-8",
        )
        body.write_text(json.dumps(document), "utf-8")
        calls = _MARK.join(f'{{{{template "t{at}" .}}}}' for at in range(len(templates)))
        command = [AMTOOL, "template", "render", f"--template.glob={file}"]
        command += [f"--template.data={body}", f"--template.type={kind}"]
        done = subprocess.run(
            [*command, f"--template.text={calls}"], capture_output=True, check=False, timeout=60
        )
    if done.returncode:
        return None
    return list(readable(decode(done.stdout)).split(_MARK))


def differences(seed: int, cases: int) -> list[Difference]:
    """The generated templates that the two render differently."""
    random = Random(seed)
    generator = Generator(random, old=True)
    texts = TemplateSet(FUNCTIONS, "zero")
    found: list[Difference] = []
    for start in range(0, cases, BATCH):
        document = data(random)
        told = data_from_json(document)
        good: dict[str, str] = {}
        bad: list[str] = []
        while len(good) < min(BATCH, cases - start):
            template = generator.template()
            mine = ours(template, texts, told)
            if mine is None:
                bad.append(template)
            else:
                good[template] = mine
        found += _compare(good, bad[:REFUSED], document)
    return found


def _compare(good: dict[str, str], bad: list[str], document: dict[str, Any]) -> list[Difference]:
    templates = list(good)
    real = render(templates, document)
    if real is None:
        # One of them is refused: which?
        real = [(render([template], document) or [None])[0] for template in templates]
    found = [
        Difference(template, document, their, good[template])
        for template, their in zip(templates, real, strict=True)
        # Names and values are a type of their own since 0.35.
        if their != good[template].replace("template.Strings", "[]string")
    ]
    for template in bad:
        their = (render([template], document) or [None])[0]
        if their is not None:
            found.append(Difference(template, document, their, None))
    return found


def main() -> int:
    """Compare, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    found = differences(wanted.seed, wanted.cases)
    for difference in found[:20]:
        print(
            f"{difference.template!r}\n  amtool {difference.theirs!r}\n  ours   {difference.ours!r}"
        )
    print(f"{wanted.cases} cases, {len(found)} differ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
