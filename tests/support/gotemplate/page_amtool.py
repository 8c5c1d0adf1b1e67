"""Pages through Debian's amtool, many at a time, beside those of this package.

`python -m tests.support.gotemplate.page_amtool --cases 20000 [--seed N]` compares any number of
generated ones and prints those that differ.
"""

from __future__ import annotations

import argparse
import sys
from random import Random
from typing import Any

from amproxy.gotemplate.alertmanager import FUNCTIONS
from amproxy.gotemplate.alertmanager_data import NotificationData, data_from_json
from amproxy.gotemplate.errors import GoTemplateError
from amproxy.gotemplate.html.template import html_text
from amproxy.gotemplate.template import TemplateSet
from tests.support.gotemplate.amtool import BATCH, REFUSED, Difference, render
from tests.support.gotemplate.generator import data
from tests.support.gotemplate.pages import Page, Pages


def ours(page: Page, texts: TemplateSet, told: NotificationData) -> str | None:
    """The text that this package makes, None for an error."""
    try:
        return html_text(texts, page.body + page.helpers).render(told, now=0)
    except GoTemplateError:
        return None


def page_differences(seed: int, cases: int) -> list[Difference]:
    """The generated pages that the two render differently."""
    random = Random(seed)
    pages, texts = Pages(random), TemplateSet(FUNCTIONS, "zero")
    found: list[Difference] = []
    for start in range(0, cases, BATCH):
        document = data(random)
        told = data_from_json(document)
        good: dict[Page, str] = {}
        bad: list[Page] = []
        while len(good) < min(BATCH, cases - start):
            page = pages.page()
            mine = ours(page, texts, told)
            if mine is None:
                bad.append(page)
            else:
                good[page] = mine
        found += _compare(good, bad[:REFUSED], document)
    return found


def _compare(good: dict[Page, str], bad: list[Page], document: dict[str, Any]) -> list[Difference]:
    pages = list(good)
    helpers = "".join(page.helpers for page in pages)
    real = render([page.body for page in pages], document, "html", helpers)
    if real is None:
        # One of them is refused: which?
        real = [_alone(page, document) for page in pages]
    found = [
        Difference(page.body + page.helpers, document, their, good[page])
        for page, their in zip(pages, real, strict=True)
        if their != good[page]
    ]
    for page in bad:
        their = _alone(page, document)
        if their is not None:
            found.append(Difference(page.body + page.helpers, document, their, None))
    return found


def _alone(page: Page, document: dict[str, Any]) -> str | None:
    return (render([page.body], document, "html", page.helpers) or [None])[0]


def main() -> int:
    """Compare, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    found = page_differences(wanted.seed, wanted.cases)
    for difference in found[:20]:
        print(
            f"{difference.template!r}\n  amtool {difference.theirs!r}\n  ours   {difference.ours!r}"
        )
    print(f"{wanted.cases} pages, {len(found)} differ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
