// Keep an open page up to date: fetch what changed after each change and replace <main>. Every action
// works without this script.
"use strict";
(() => {
  const REFRESH_DELAY = 150; // ms: changes that come together are fetched once
  const REFRESH_INTERVAL = 30000; // ms: also without a change, because shifts end by themselves
  const CHOOSING_TIME = 15000; // ms for an open list: no event says that it closed without a choice
  const CHOICES =
    "select, input[list], input[type=date], input[type=time], input[type=datetime-local]";

  const CHANGES = "application/vnd.amproxy.changes+json";
  const ROOT = new URL("..", document.currentScript.src).pathname; // "/", or the service's prefix

  const byId = (id) => document.getElementById(id);
  const TEXTS = JSON.parse(byId("live").dataset.texts);
  const text = (name, values) => TEXTS[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
  let skew = 0; // ms that this device's clock is ahead of the service's
  let refreshTimer = 0;
  // The time of the last known change, on performance.now()'s clock: pages must be rendered after it.
  // At first the time at which this page was requested.
  let lastChange = performance.getEntriesByType("navigation")[0]?.requestStart ?? performance.now();
  let fetching = false;
  let source = null; // of the server-sent events
  let pressed = false;
  let choosingUntil = 0; // on performance.now()'s clock
  let redisAway = false;
  let waitingPage = null; // fetched, and not shown while somebody presses or chooses
  let known = null; // the tag and lines of the page that was fetched last

  document.documentElement.classList.add("scripts");

  // now: the service's time, Unix seconds.
  function measureSkew(now) {
    byId("main").dataset.now = now;
    skew = Date.now() - Number(now) * 1000;
  }

  function durationText(seconds) {
    const left = Math.max(0, Math.round(seconds));
    if (left < 3600) return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    const [d, h, m] = [Math.floor(left / 86400), Math.floor(left / 3600), Math.floor((left % 3600) / 60)];
    return d ? text("days", { d, h: h % 24 }) : text("hours", { h, m });
  }

  function ageText(seconds) {
    const left = Math.max(0, Math.floor(seconds));
    if (left < 60) return TEXTS.just_now;
    if (left < 3600) return text("minutes_ago", { m: Math.floor(left / 60) });
    if (left < 86400) return text("hours_ago", { h: Math.floor(left / 3600) });
    return text("days_ago", { d: Math.floor(left / 86400) });
  }

  function tick() {
    const now = (Date.now() - skew) / 1000;
    for (const time of document.querySelectorAll("time[data-in]")) {
      const left = Number(time.dataset.in) - now;
      time.textContent = left <= 0 ? TEXTS.now : text("in", { duration: durationText(left) });
    }
    for (const time of document.querySelectorAll("time[data-ago]")) {
      time.textContent = ageText(now - Number(time.dataset.ago));
    }
  }

  function showStatus(live, message) {
    byId("live").hidden = false;
    byId("live").classList.toggle("lost", !live);
    byId("live-text").textContent = message;
  }

  // Copy what a person has entered and opened into the fresh page: it must outlive the replacement.
  function copyInput(old, fresh) {
    for (const control of old.querySelectorAll("input[id], textarea[id], select[id]")) {
      const twin = fresh.querySelector(`#${CSS.escape(control.id)}`);
      if (!twin) continue;
      if (control.type === "checkbox") {
        if (control.checked !== control.defaultChecked) twin.checked = control.checked;
      } else if (control.tagName === "SELECT") {
        if (!control.selectedOptions[0]?.defaultSelected) twin.value = control.value;
      } else if (control.value !== control.defaultValue) {
        twin.value = control.value;
      }
    }
    for (const details of old.querySelectorAll("details[id]")) {
      const twin = fresh.querySelector(`#${CSS.escape(details.id)}`);
      if (twin) twin.open = details.open;
    }
  }

  // The control of the fresh page that corresponds to the focused one: by its id, a link by its address.
  function twinOf(control, fresh) {
    if (control.id) return byId(control.id);
    const href = control.getAttribute("href");
    return href && fresh.querySelector(`a[href="${CSS.escape(href)}"]`);
  }

  function replacePage(page) {
    const old = byId("main");
    const fresh = page.getElementById("main");
    if (!fresh) return;
    copyInput(old, fresh);
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const hasSelection = focused && "selectionStart" in focused;
    const [from, to] = hasSelection ? [focused.selectionStart, focused.selectionEnd] : [null, null];
    const openBefore = old.dataset.open;
    old.replaceWith(document.adoptNode(fresh));
    const twin = focused && twinOf(focused, fresh);
    if (twin) {
      twin.focus({ preventScroll: true });
      if (from !== null) twin.setSelectionRange(from, to);
    }
    const nav = document.querySelector("nav");
    const freshNav = page.querySelector("nav");
    if (freshNav && !nav.contains(document.activeElement)) {
      copyInput(nav, freshNav);
      nav.replaceWith(document.adoptNode(freshNav));
    }
    document.title = page.title;
    if (byId("icon").getAttribute("href") !== page.getElementById("icon").getAttribute("href")) {
      byId("icon").replaceWith(document.adoptNode(page.getElementById("icon")));
    }
    if (fresh.dataset.open !== openBefore) {
      byId("announcement").textContent = fresh.dataset.announcement;
    }
    fresh.dataset.now = old.dataset.now;
    tick();
  }

  // Nothing is replaced under a finger: what is pressed must still be there at its release, and so must
  // an open list of choices.
  function replaceSoon(page) {
    waitingPage = page;
    const wait = choosingUntil - performance.now();
    if (wait > 0) setTimeout(replaceWaiting, wait);
    else replaceWaiting();
  }

  function replaceWaiting() {
    if (!waitingPage || pressed || choosingUntil > performance.now()) return;
    const page = waitingPage;
    waitingPage = null;
    replacePage(page);
  }

  function release(event) {
    pressed = false;
    if (event.type === "change" || event.type === "focusout") choosingUntil = 0;
    setTimeout(replaceWaiting, 50); // the click comes a little later
  }

  document.addEventListener("pointerdown", (event) => {
    pressed = true;
    choosingUntil = event.target.matches?.(CHOICES) ? performance.now() + CHOOSING_TIME : 0;
  }, true);
  document.addEventListener("keydown", () => (pressed = true), true);
  for (const kind of ["pointerup", "pointercancel", "keyup", "change", "focusout"]) {
    document.addEventListener(kind, release, true);
  }
  window.addEventListener("blur", release);

  // The text of the page, whole or put together from the lines that stay and those that came; null
  // where it is the one that is known.
  async function readPage(response) {
    if (response.status === 304) return null;
    const tag = response.headers.get("ETag");
    const before = known;
    known = null; // until all of it has come
    let page = "";
    if (response.headers.get("Content-Type").startsWith(CHANGES)) {
      const piece = (one) =>
        typeof one === "string" ? one : before.lines.slice(one[0], one[0] + one[1]).join("\n");
      page = (await response.json()).map(piece).join("\n");
    } else {
      page = await response.text();
    }
    known = tag && { tag, lines: page.split("\n") };
    return page;
  }

  // What somebody has typed outlives the session: press.js says so in place of the sign-in.
  function signIn(url) {
    const isTyped = (one) =>
      one.type === "checkbox" || one.type === "radio"
        ? one.checked !== one.defaultChecked
        : "defaultValue" in one && one.type !== "hidden" && one.value !== one.defaultValue;
    if (![...byId("main").querySelectorAll("input, textarea")].some(isTyped)) return location.assign(url);
    if (byId("press").hidden) document.dispatchEvent(new CustomEvent("signedout", { detail: url }));
  }

  async function refresh() {
    refreshTimer = 0;
    if (document.querySelector("[data-still]")) return; // also where a press has brought it
    if (fetching) return scheduleRefresh();
    fetching = true;
    try {
      // The header has the allowed age of the page in ms: readers who see the same share a rendering.
      const headers = { "X-Page-Age": String(Math.max(0, Math.floor(performance.now() - lastChange))) };
      if (known) headers["If-None-Match"] = known.tag;
      const response = await fetch(location.href, { cache: "no-store", headers });
      const signedOut = response.redirected && new URL(response.url).pathname === `${ROOT}sign-in`;
      if (signedOut) return signIn(response.url);
      if (response.status === 503) return showStatus(false, TEXTS.redis_away);
      const page = await readPage(response);
      const now = response.headers.get("X-Now");
      if (now) measureSkew(now);
      if (page !== null) replaceSoon(new DOMParser().parseFromString(page, "text/html"));
      if (redisAway) return; // a page from before: the service has said so meanwhile
      const live = source?.readyState === EventSource.OPEN;
      showStatus(live, live ? TEXTS.live : TEXTS.reconnecting);
    } catch {
      showStatus(false, TEXTS.no_connection);
    } finally {
      fetching = false;
    }
  }

  function scheduleRefresh() {
    refreshTimer ||= setTimeout(refresh, REFRESH_DELAY);
  }

  function listen() {
    if (source) return;
    const page = `/${location.pathname.slice(ROOT.length)}${location.search}`;
    source = new EventSource(`${ROOT}events?page=${encodeURIComponent(page)}`);
    source.onopen = () => {
      redisAway = false; // or it is said at once
      showStatus(true, TEXTS.live);
      scheduleRefresh(); // for changes while there was no connection
    };
    source.onmessage = (event) => {
      lastChange = Math.max(lastChange, performance.now() - parseInt(event.data, 10));
      scheduleRefresh();
    };
    source.addEventListener("redis", (event) => {
      redisAway = event.data === "away";
      if (redisAway) showStatus(false, TEXTS.redis_away);
      else scheduleRefresh();
    });
    source.onerror = () => showStatus(false, TEXTS.reconnecting);
  }

  // A page in the background has no connection: browsers allow only a few for each site.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else {
      listen();
    }
  });

  document.addEventListener("refreshpage", scheduleRefresh); // from press.js

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });

  // The confirmation of an action stands for a while, and must not stay in an address that is shared.
  const address = new URL(location.href);
  if (address.searchParams.has("done")) {
    address.searchParams.delete("done");
    address.searchParams.delete("n");
    setTimeout(() => history.replaceState(null, "", address), 20000);
  }

  // For pushes; it keeps no pages. Browsers have it on https and on this machine only.
  navigator.serviceWorker?.register(`${ROOT}service-worker.js`, { scope: ROOT }).catch(() => {});

  // A reader who is nobody in particular gets the clock of this browser: pages are drawn by the cookie.
  // Only once for each zone, so that a server that does not know the zone is not asked for ever.
  function tellZone() {
    const drawn = document.body.dataset.zone;
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (drawn === undefined || !zone || drawn === zone) return false;
    const cookie = `amproxy_zone=${encodeURIComponent(zone)}`;
    const isTold = () => document.cookie.split("; ").includes(cookie);
    if (isTold()) return false;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${cookie}; Path=${ROOT}; Max-Age=31536000; SameSite=Lax${secure}`;
    return isTold();
  }

  // The response to a form cannot be fetched again: the next page has the zone.
  if (tellZone() && !document.querySelector("main[data-still]")) return location.reload();

  measureSkew(byId("main").dataset.now);
  tick();
  setInterval(tick, 1000);
  // Not refreshed: the response to a form, whose address cannot be fetched again; a page being edited;
  // and reports, which a new change hardly alters.
  if (document.querySelector("[data-still]")) return;
  if (location.pathname.startsWith(`${ROOT}act/`) || location.pathname.startsWith(`${ROOT}sign-in`)) return;
  setInterval(() => document.hidden || scheduleRefresh(), REFRESH_INTERVAL);
  if (!document.hidden) listen();
})();
