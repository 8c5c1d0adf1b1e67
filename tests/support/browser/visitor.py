"""One person's browser: what they see, what they press, and whether everybody could."""

from __future__ import annotations

from typing import Literal, Self

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Response

SIZES = {"desktop": (1280, 900), "phone": (375, 812)}
SERIOUS = ("serious", "critical")


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
        self.url, self.scripts = url, scripts
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
        """Nothing sticks out: the page does not scroll sideways."""
        inner, outer = self.page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert inner <= outer, f"{self.page.url} is {inner} pixels wide in a window of {outer}"
        return self

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
