// Send forms without leaving the page: where the service refuses, is away or cannot be reached, the page
// stays with what was typed and says why. Without scripts the service answers with a page that does so.
"use strict";
(() => {
  const TIMEOUT = 30000; // ms until a press counts as not answered
  const STORED = "amproxy.press"; // in the tab's own store: a press to be done after signing in
  const MAX_AGE = 30 * 60000; // ms that such a press is offered for

  const byId = (id) => document.getElementById(id);
  const TEXTS = JSON.parse(byId("live").dataset.texts);
  const text = (name, values) => TEXTS[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
  const ROOT = new URL("..", document.currentScript.src).pathname; // "/", or the service's prefix
  const here = () => location.pathname + location.search;
  const under = new Set(); // presses on their way
  const left = []; // what stood in <main> before a form was answered with another page

  function button(name, act, kind = "") {
    const one = document.createElement("button");
    one.type = "button";
    one.className = kind;
    one.textContent = name;
    one.addEventListener("click", act);
    return one;
  }

  function hide() {
    byId("press").hidden = true;
    byId("press").replaceChildren();
  }

  function show(message, ...controls) {
    const [words, row] = [document.createElement("p"), document.createElement("div")];
    words.textContent = message;
    row.className = "do";
    row.append(...controls, button(TEXTS.close, hide, "quiet"));
    byId("press").replaceChildren(words, row);
    byId("press").hidden = false;
  }

  function link(name, url, before = () => {}) {
    const one = document.createElement("a");
    one.className = "button primary";
    one.href = url;
    one.textContent = name;
    one.addEventListener("click", before);
    return one;
  }

  // A press: where it goes, the fields that go with it, and the name of its button.
  function pressOf(form, submitter) {
    const fields = new URLSearchParams(new FormData(form));
    if (submitter?.name) fields.append(submitter.name, submitter.value);
    const action = new URL(submitter?.getAttribute("formaction") ?? form.getAttribute("action"), location.href);
    const name = (submitter?.getAttribute("aria-label") || submitter?.textContent || "").trim();
    return { action: action.href, fields: fields.toString(), name, form, submitter };
  }

  // Once more, with what stands in the form by now: the page may have been drawn anew meanwhile.
  function again(press) {
    const submitter = press.submitter?.id ? byId(press.submitter.id) : press.submitter;
    const form = submitter?.form ?? press.form;
    send(form?.isConnected ? pressOf(form, submitter) : press);
  }

  const tryAgain = (press) => button(TEXTS.again, () => again(press), "primary");

  async function send(press) {
    const key = `${press.action} ${press.fields}`;
    if (under.has(key)) return; // pressed twice
    under.add(key);
    press.submitter?.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(press.action, {
        method: "POST",
        body: new URLSearchParams(press.fields),
        headers: { "X-Press": "1" },
        signal: AbortSignal.timeout(TIMEOUT),
      });
      await take(press, response);
    } catch {
      show(TEXTS.press_offline, tryAgain(press));
    } finally {
      under.delete(key);
      press.submitter?.removeAttribute("aria-busy");
    }
  }

  async function take(press, response) {
    const next = response.headers.get("X-Location");
    if (next) return next.startsWith("/sign-in") ? askToSignIn(press, next) : go(next);
    const media = response.headers.get("Content-Type") ?? "";
    if (media.startsWith("application/json")) return show((await response.json()).detail, tryAgain(press));
    const failed = text("press_failed", { status: response.status });
    if (!media.startsWith("text/html")) return show(failed, tryAgain(press));
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const [main, problem] = [page.getElementById("main"), page.querySelector("#main [role=alert]")];
    if (page.querySelector("[data-error]")) return refuse(press, page.querySelector("[data-error]"));
    if (!main) return show(failed, tryAgain(press));
    // A page that is being filled in comes back as it was sent, with the reason on it.
    if (response.ok || document.querySelector("[data-still]")) return replacePage(page, press);
    return problem ? refuse(press, problem) : replacePage(page, press);
  }

  function refuse(press, problem) {
    const words = problem.querySelector("#error-reason")
      ? [...problem.querySelectorAll("strong, #error-reason")].map((one) => one.textContent)
      : [...problem.childNodes].map((one) => one.textContent);
    show(words.map((one) => one.trim()).filter(Boolean).join(" "), tryAgain(press));
    document.dispatchEvent(new Event("refreshpage")); // it may be refused for what has changed
  }

  function askToSignIn(press, next) {
    const url = ROOT + next.slice(1).replace(/[?&]undone=1/, "");
    const keep = () => {
      const { action, fields, name } = press;
      sessionStorage.setItem(STORED, JSON.stringify({ action, fields, name, page: here(), at: Date.now() }));
    };
    show(TEXTS.press_ended, link(TEXTS.sign_in, url, keep), tryAgain(press));
  }

  // Go on to the next page. The same page with an anchor would only be scrolled, so it is loaded anew.
  function go(next) {
    const url = new URL(ROOT + next.slice(1), location.origin);
    if (!url.hash || url.pathname + url.search !== here()) return location.assign(url);
    for (const form of document.forms) form.reset(); // some browsers keep what was typed
    history.replaceState(history.state, "", url);
    location.reload();
  }

  // Show the page that a form was answered with, with what it needs. Its address is that of the form's
  // page, which can be loaded again; the way back leads to the form as it was.
  function replacePage(page, press) {
    for (const kind of ["link[rel=stylesheet][href]", "script[src]"]) {
      const name = kind.startsWith("link") ? "href" : "src";
      for (const one of page.querySelectorAll(`head ${kind}`)) {
        const url = one.getAttribute(name);
        if (document.head.querySelector(`[${name}="${CSS.escape(url)}"]`)) continue;
        const copy = document.createElement(one.tagName);
        for (const attribute of one.attributes) copy.setAttribute(attribute.name, attribute.value);
        document.head.append(copy);
      }
    }
    hide();
    left.push([byId("main"), document.title]);
    history.pushState({ left: left.length }, "");
    byId("main").replaceWith(document.adoptNode(page.getElementById("main")));
    document.title = page.title;
    const anchor = decodeURIComponent(new URL(press.action).hash.slice(1));
    const place = document.querySelector("#main [role=alert]") ?? (anchor && byId(anchor)) ?? byId("main");
    (place || byId("main")).scrollIntoView({ block: place === byId("main") ? "start" : "nearest" });
    place?.setAttribute("tabindex", "-1");
    place?.focus({ preventScroll: true });
  }

  window.addEventListener("popstate", (event) => {
    const before = left[event.state?.left ?? 0];
    if (!before) return;
    left.length = event.state?.left ?? 0;
    byId("main").replaceWith(before[0]);
    document.title = before[1];
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || (form.getAttribute("method") ?? "").toLowerCase() !== "post") return;
    // Browsers offer to keep a password when its form leads to another page.
    if (form.querySelector("input[type=password]")) return;
    if (new URL(form.getAttribute("action"), location.href).pathname === `${ROOT}sign-out`) return;
    event.preventDefault();
    hide();
    send(pressOf(form, event.submitter));
  });

  document.addEventListener("signedout", (event) => {
    show(TEXTS.signed_out, link(TEXTS.sign_in, event.detail));
  });

  function offerStored() {
    const stored = JSON.parse(sessionStorage.getItem(STORED) ?? "null");
    if (!stored || location.pathname === `${ROOT}sign-in` || here() !== stored.page) return;
    sessionStorage.removeItem(STORED);
    if (Date.now() - stored.at > MAX_AGE) return;
    show(text("press_undone", { name: stored.name }), button(TEXTS.do_now, () => send(stored), "primary"));
  }
  offerStored();
})();
