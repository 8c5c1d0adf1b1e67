"""One person's browser: what they see, what they press, and whether everybody could."""

from __future__ import annotations

from typing import Literal, Self

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Response

from tests.support.waiting import until

SIZES = {"desktop": (1280, 900), "phone": (375, 812)}
SERIOUS = ("serious", "critical")
_OPEN_ALL = """
for (const part of document.querySelectorAll("details")) {
  part.removeAttribute("name");
  part.open = true;
}
"""
# A box that is ticked is as high as its label.
_SMALL = """
[...document.querySelectorAll("a[href], button, summary, select, textarea, input:not([type=hidden])")]
  .filter((part) => {
    const look = getComputedStyle(part), box = part.getBoundingClientRect();
    const isSeen = box.width && box.height && look.clipPath === "none" && !part.closest(".unseen, .skip, svg");
    if (!isSeen || (part.tagName === "A" && look.display === "inline")) return false;
    return (part.closest("label") ?? part).getBoundingClientRect().height < 43.5 && box.height < 43.5;
  })
  .map((part) => `${part.tagName} ${part.id} ${part.className} ${part.getBoundingClientRect().height}`)
"""


class Visitor:
    """A page of a fresh profile. Errors of scripts, refused resources and answers of 500 fail the test when it closes."""

    def __init__(
        self,
        browser: Browser,
        url: str,
        *,
        size: Literal["desktop", "phone"] = "desktop",
        scripts: bool = True,
        dark: bool = False,
        language: str = "en",
        zone: str | None = None,
    ) -> None:
        width, height = SIZES[size]
        self._context = browser.new_context(
            viewport={"width": width, "height": height},
            java_script_enabled=scripts,
            color_scheme="dark" if dark else "light",
            locale=language,
            timezone_id=zone,
            reduced_motion="reduce",
        )
        self.url, self.scripts, self.width = url, scripts, width
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(60_000)
        self.trouble: list[str] = []
        self.page.on("pageerror", lambda error: self.trouble.append(f"script: {error}"))
        self.page.on("console", self._printed)
        self.page.on("response", self._answered)

    def _printed(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "status of 4" not in message.text:
            self.trouble.append(f"console: {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status >= 500:
            self.trouble.append(f"{response.status} from {response.url}")

    def go(self, path: str) -> Self:
        self.page.goto(f"{self.url}{path}", wait_until="load")
        return self

    @property
    def text(self) -> str:
        """What stands on the page."""
        return self.page.locator("body").inner_text()

    def press(
        self, name: str, role: Literal["button", "link", "checkbox", "tab"] = "button"
    ) -> Self:
        """Press what has this name; the first where several do."""
        self.page.get_by_role(role, name=name).first.click()
        return self

    def sees(self, text: str) -> Self:
        """Wait until this text can be seen."""
        self.page.get_by_text(text).filter(visible=True).first.wait_for(state="visible")
        return self

    def fits(self) -> Self:
        """Nothing sticks out: the page does not scroll sideways on a screen of this width."""
        inner = self.page.evaluate("document.documentElement.scrollWidth")
        assert inner <= self.width, f"{self.page.url} is {inner} pixels wide on {self.width}"
        return self

    def resize(self, width: int, height: int) -> Self:
        self.page.set_viewport_size({"width": width, "height": height})
        self.width = width
        return self

    def opens_all(self) -> Self:
        """Open everything that can be opened, at once. Needs scripts."""
        self.page.evaluate(_OPEN_ALL)
        return self

    def is_for_fingers(self) -> Self:
        """Whatever can be pressed is 44 pixels high, except links within text and tooltips' bars."""
        small = self.page.evaluate(_SMALL)
        assert not small, f"{self.page.url}: {small}"
        return self

    def place(self, selector: str) -> tuple[float, float]:
        """The top and the bottom of the first such part, in pixels from that of the window.

        An open page that is brought up to date has none for a moment.
        """
        why = f"{selector} is not to be seen"
        box = until(self.page.locator(selector).first.bounding_box, seconds=10, why=why)
        return box["y"], box["y"] + box["height"]

    def accessible(self) -> Self:
        """No serious finding of axe-core. Needs scripts."""
        found = Axe().run(self.page).response["violations"]
        serious = [
            f"{one['id']}: {one['help']} at {[node['target'] for node in one['nodes']][:3]}"
            for one in found
            if one["impact"] in SERIOUS
        ]
        assert not serious, f"{self.page.url}: {serious}"
        return self

    def close(self) -> None:
        self._context.close()
        assert not self.trouble, self.trouble
