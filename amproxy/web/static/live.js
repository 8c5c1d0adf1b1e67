// Keeps an open page up to date: fetches it again when something has changed and swaps <main>. Every action works without this.
"use strict";
(() => {
  const PATIENCE = 150; // ms: changes that come together are fetched once; the service tells of them once a second at most
  const OFTEN = 30000; // ms: also without a change, because shifts end by themselves

  const ROOT = new URL("..", document.currentScript.src).pathname; // "/", or the path that the service lies under

  const byId = (id) => document.getElementById(id);
  const TEXTS = JSON.parse(byId("live").dataset.texts);
  const say = (name, values) => TEXTS[name].replace(/\{(\w+)\}/g, (_, place) => values[place]);
  let skew = 0; // ms that this device's clock is ahead of the service's
  let planned = 0;
  // When all that is known of had happened, on performance.now()'s clock: pages must be drawn later. At first: when this one was asked for.
  let known = performance.getEntriesByType("navigation")[0]?.requestStart ?? performance.now();
  let fetching = false;
  let source = null;

  document.documentElement.classList.add("scripts");

  function measureSkew() {
    skew = Date.now() - Number(byId("main").dataset.now) * 1000;
  }

  function span(seconds) {
    const left = Math.max(0, Math.round(seconds));
    if (left < 3600) return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    const [d, h, m] = [Math.floor(left / 86400), Math.floor(left / 3600), Math.floor((left % 3600) / 60)];
    return d ? say("days", { d, h: h % 24 }) : say("hours", { h, m });
  }

  function age(seconds) {
    const left = Math.max(0, Math.floor(seconds));
    if (left < 60) return TEXTS.just_now;
    if (left < 3600) return say("minutes_ago", { m: Math.floor(left / 60) });
    return left < 86400 ? say("hours_ago", { h: Math.floor(left / 3600) }) : say("days_ago", { d: Math.floor(left / 86400) });
  }

  function tick() {
    const now = (Date.now() - skew) / 1000;
    for (const time of document.querySelectorAll("time[data-in]")) {
      const left = Number(time.dataset.in) - now;
      time.textContent = left <= 0 ? TEXTS.now : say("in", { span: span(left) });
    }
    for (const time of document.querySelectorAll("time[data-ago]")) time.textContent = age(now - Number(time.dataset.ago));
  }

  function show(live, text) {
    byId("live").hidden = false;
    byId("live").classList.toggle("lost", !live);
    byId("live-text").textContent = text;
  }

  // What a person has begun to write, and where they are, must outlive a swap.
  function keep(old, fresh) {
    for (const part of old.querySelectorAll("details[id]")) {
      const twin = fresh.querySelector(`#${CSS.escape(part.id)}`);
      if (twin) twin.open = part.open;
    }
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

  // What somebody is on, in the fresh page: by its id, and a link by where it leads.
  function twinOf(control, fresh) {
    if (control.id) return byId(control.id);
    const href = control.getAttribute("href");
    return href && fresh.querySelector(`a[href="${CSS.escape(href)}"]`);
  }

  function swap(page) {
    const old = byId("main");
    const fresh = page.getElementById("main");
    if (!fresh) return;
    keep(old, fresh);
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const [from, to] = focused && "selectionStart" in focused ? [focused.selectionStart, focused.selectionEnd] : [null, null];
    const before = old.dataset.open;
    old.replaceWith(document.adoptNode(fresh));
    const twin = focused && twinOf(focused, fresh);
    if (twin) {
      twin.focus({ preventScroll: true });
      if (from !== null) twin.setSelectionRange(from, to);
    }
    const nav = page.querySelector("nav");
    if (nav && !document.querySelector("nav").contains(document.activeElement)) {
      keep(document.querySelector("nav"), nav);
      document.querySelector("nav").replaceWith(document.adoptNode(nav));
    }
    document.title = page.title;
    if (byId("icon").getAttribute("href") !== page.getElementById("icon").getAttribute("href")) {
      byId("icon").replaceWith(document.adoptNode(page.getElementById("icon")));
    }
    if (fresh.dataset.open !== before) byId("said").textContent = fresh.dataset.said;
    measureSkew();
    tick();
  }

  // Nothing is swapped under a finger: what is pressed must still be there when it is let go, and so must an open list of choices.
  const CHOOSING = 15000; // ms that somebody may take, since nothing tells that a list was closed without a choice
  const CHOICES = "select, input[list], input[type=date], input[type=time], input[type=datetime-local]";
  let pressed = false;
  let chosenBy = 0; // on performance.now()'s clock
  let held = null; // the page that waits for that

  function swapSoon(page) {
    held = page;
    const wait = chosenBy - performance.now();
    if (wait > 0) setTimeout(swapHeld, wait);
    else swapHeld();
  }

  function swapHeld() {
    if (!held || pressed || chosenBy > performance.now()) return;
    const page = held;
    held = null;
    swap(page);
  }

  function letGo(event) {
    pressed = false;
    if (event.type === "change" || event.type === "focusout") chosenBy = 0;
    setTimeout(swapHeld, 50); // the click comes a little later
  }

  document.addEventListener("pointerdown", (event) => {
    pressed = true;
    chosenBy = event.target.matches?.(CHOICES) ? performance.now() + CHOOSING : 0;
  }, true);
  document.addEventListener("keydown", () => (pressed = true), true);
  for (const kind of ["pointerup", "pointercancel", "keyup", "change", "focusout"]) document.addEventListener(kind, letGo, true);
  window.addEventListener("blur", letGo);

  async function refresh() {
    planned = 0;
    if (fetching) return plan();
    fetching = true;
    try {
      // The header says how old the page may be, in ms: readers who see the same share one drawing.
      const age = String(Math.max(0, Math.floor(performance.now() - known)));
      const answer = await fetch(location.href, { cache: "no-store", headers: { "X-Live": age } });
      if (answer.redirected && new URL(answer.url).pathname === `${ROOT}sign-in`) return location.assign(answer.url); // signed out meanwhile
      if (answer.status === 503) return show(false, TEXTS.redis_away);
      swapSoon(new DOMParser().parseFromString(await answer.text(), "text/html"));
      show(source?.readyState === EventSource.OPEN, source?.readyState === EventSource.OPEN ? TEXTS.live : TEXTS.reconnecting);
    } catch {
      show(false, TEXTS.no_connection);
    } finally {
      fetching = false;
    }
  }

  function plan() {
    planned ||= setTimeout(refresh, PATIENCE);
  }

  function listen() {
    if (source) return;
    source = new EventSource(`${ROOT}events`);
    source.onopen = () => {
      show(true, TEXTS.live);
      plan(); // what happened while nobody listened
    };
    source.onmessage = (event) => {
      known = Math.max(known, performance.now() - parseInt(event.data, 10));
      plan();
    };
    source.onerror = () => show(false, TEXTS.reconnecting);
  }

  // A page that nobody sees holds no connection: browsers have only a few for each site.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else {
      listen();
    }
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });

  // What was done is said for a while, and is no part of the address that somebody keeps.
  const address = new URL(location.href);
  if (address.searchParams.has("done")) {
    address.searchParams.delete("done");
    address.searchParams.delete("n");
    setTimeout(() => history.replaceState(null, "", address), 20000);
  }

  measureSkew();
  tick();
  setInterval(tick, 1000);
  // An answer to a form that changed nothing stands at an address that cannot be fetched again; what somebody edits must stay; and a
  // look back changes little by what happens now.
  if (document.querySelector("[data-still]")) return;
  if (location.pathname.startsWith(`${ROOT}act/`) || location.pathname.startsWith(`${ROOT}sign-in`)) return;
  setInterval(() => document.hidden || plan(), OFTEN);
  if (!document.hidden) listen();
})();
