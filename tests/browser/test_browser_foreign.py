"""What a page of another site can make a real browser do to amproxy: nothing."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.server.reached import ROUTES, Client
from tests.support.servers import Server, Servers, needs

pytestmark = needs("chromium")

# Each attempt ends by setting the title, however it was answered.
ATTACK = """<!doctype html><title>begun</title><body><iframe name=hidden></iframe>
<form method=post enctype=text/plain target=hidden action="{url}/webhook/form">
<input name='{{"alerts":[{{"status":"firing","labels":{{"alertname":"Form' value='"}}}}]}}'></form>
<script>
const alerts = JSON.stringify({{alerts: [{{status: "firing", labels: {{alertname: "Fetch"}}}}]}});
const image = (path) => new Promise((done) => {{
  const one = new Image();
  one.onload = one.onerror = done;
  one.src = "{url}" + path;
}});
const push = (path, more) => fetch("{url}" + path, {{method: "POST", body: alerts, ...more}}).catch(() => 0);
(async () => {{
  await push("/webhook/fetch", {{mode: "no-cors"}});
  await push("/webhook/cors", {{headers: {{"Content-Type": "application/json"}}}});
  await push("/heartbeat/watchdog", {{mode: "no-cors"}});
  await image("/heartbeat/watchdog");
  navigator.sendBeacon("{url}/webhook/beacon", alerts);
  const loaded = new Promise((done) => document.querySelector("iframe").onload = done);
  document.forms[0].submit();
  await loaded;
  document.title = "done";
}})();
</script>"""


@pytest.fixture(scope="module")
def amproxy(house: Servers) -> Server:
    return house.amproxy(f"{ROUTES}\nheartbeats: [{{name: watchdog, every: 1h}}]")


@pytest.fixture
def page_of(amproxy: Server) -> Iterator[Callable[[str], str]]:
    """The address of a page, at a host of our choice, that attacks amproxy by an address."""

    class Page(http.server.BaseHTTPRequestHandler):
        target = amproxy.url

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(ATTACK.format(url=self.target).encode())

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def address(host: str) -> str:
        return f"http://{host}:{server.server_port}/"

    yield address
    server.shutdown()
    server.server_close()


# 127.0.0.1 and localhost are two sites, two ports of one host are one.
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_foreign_page_pushes_nothing_and_beats_nothing(
    amproxy: Server, chromium: Browser, page_of: Callable[[str], str], host: str
) -> None:
    page = chromium.new_page()
    page.goto(page_of(host))
    page.wait_for_function("document.title == 'done'", timeout=60_000)
    client = Client(amproxy.url)
    assert client.json("/api/v2/alerts") == []
    assert client.json("/api/v1/heartbeats")[0]["last_beat"] is None
    page.goto(f"{amproxy.url}/incidents")  # a link leads here all the same
    assert page.title() != "done"
    page.close()
