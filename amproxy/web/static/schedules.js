// Timelines: a tooltip for each bar; a period drawn over the first row, a click on a shift, or a
// shift that is carried to a person or another time fills in the forms, and nothing else: what is
// there is sent by its own button. live.js replaces <main> now and then, so everything listens on the document
// and keeps no nodes.
"use strict";
(() => {
  const STEP = 1800; // seconds: what is drawn begins and ends at half hours
  const MIN_DRAWN = 6; // pixels: less is a click
  const AWAY = 24; // pixels above or beneath the row: the shift is carried, not a period drawn
  const HOLD = 350; // ms, less than a phone takes to open the menu of a link
  const NS = "http://www.w3.org/2000/svg";

  let drawing = null; // {start, zone, from, x, y}: start of the row and from in Unix seconds
  let held = null; // the shift under the pointer: {user, start, end, from, to, grabbed, zone}
  let carried = false; // it follows the pointer
  let holdTimer = 0;
  let drawn = false; // the click that ends a drawing must not follow a link

  const byId = (id) => document.getElementById(id);

  function tooltip() {
    let box = byId("tip");
    if (!box) {
      box = document.createElement("div");
      box.id = "tip";
      box.className = "tip";
      box.hidden = true;
      box.setAttribute("aria-hidden", "true");
      document.body.append(box);
    }
    return box;
  }

  // The browser's own tooltip would cover ours: its text moves to where screen readers find it.
  function textOf(bar) {
    const title = bar.querySelector("title");
    if (title) {
      bar.setAttribute("aria-label", title.textContent);
      title.remove();
    }
    return bar.getAttribute("aria-label");
  }

  function showTooltip(bar) {
    const [box, at] = [tooltip(), bar.getBoundingClientRect()];
    box.textContent = textOf(bar);
    box.hidden = false;
    const left = Math.min(Math.max(8, at.left), window.innerWidth - box.offsetWidth - 8);
    const above = at.top - box.offsetHeight - 8;
    box.style.left = `${Math.max(8, left)}px`;
    box.style.top = `${above > 0 ? above : at.bottom + 8}px`;
  }

  const hideTooltip = () => {
    tooltip().hidden = true;
  };

  const TOOLTIP_EVENTS = {
    pointerover: showTooltip,
    pointerout: hideTooltip,
    focusin: showTooltip,
    focusout: hideTooltip,
  };
  for (const [name, change] of Object.entries(TOOLTIP_EVENTS)) {
    document.addEventListener(name, (event) => {
      const bar = event.target.closest?.(".bar");
      if (bar && !drawing) change(bar);
    });
  }
  document.addEventListener("scroll", hideTooltip, { passive: true, capture: true });

  // The value of a form field for a time, on the clock of a zone.
  function fieldValue(seconds, zone) {
    const parts = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone,
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    }).formatToParts(seconds * 1000);
    const of = Object.fromEntries(parts.map((part) => [part.type, part.value]));
    return `${of.year}-${of.month}-${of.day}T${of.hour}:${of.minute}`;
  }

  // user: whose shift it is; taker: who is to be on call.
  function fill(start, end, user, taker) {
    for (const form of ["override", "swap"]) {
      if (!byId(`${form}-start`)) continue;
      byId(`${form}-start`).value = start;
      byId(`${form}-end`).value = end;
    }
    if (user && byId("swap-user")) byId("swap-user").value = user;
    if (taker) byId("override-user").value = taker;
    // Values set by a script cause no event, and live.js waits for one.
    for (const id of ["override-start", "swap-start"]) {
      byId(id)?.dispatchEvent(new Event("change", { bubbles: true }));
    }
  }

  function toForm() {
    byId("change")?.scrollIntoView({ block: "nearest" });
    byId("override-user")?.focus({ preventScroll: true });
  }

  function secondsAt(area, x) {
    const box = area.getBoundingClientRect();
    const share = Math.min(Math.max((x - box.left) / box.width, 0), 1);
    const [start, end] = [Number(area.dataset.start), Number(area.dataset.end)];
    return start + Math.round((share * (end - start)) / STEP) * STEP;
  }

  // The row of a drawing. It may have been replaced meanwhile: its period finds it again.
  const areaOf = (drawn) => document.querySelector(`.drag[data-start="${drawn.start}"]`);

  function paint(area, from, to) {
    for (const old of document.querySelectorAll(".drawn")) old.remove();
    if (!area || from === to) return;
    const [start, end] = [Number(area.dataset.start), Number(area.dataset.end)];
    const rect = document.createElementNS(NS, "rect");
    rect.setAttribute("class", "drawn");
    rect.setAttribute("x", `${((Math.min(from, to) - start) / (end - start)) * 100}%`);
    rect.setAttribute("width", `${(Math.abs(to - from) / (end - start)) * 100}%`);
    rect.setAttribute("height", "100%");
    area.querySelector("svg").append(rect);
  }

  function carry() {
    clearTimeout(holdTimer);
    if (!held || drawn) return;
    [carried, drawn, drawing] = [true, true, null]; // drawn: no click follows
    hideTooltip();
    document.documentElement.classList.add("carries");
  }

  function letGo() {
    clearTimeout(holdTimer);
    [carried, held, drawing] = [false, null, null];
    document.documentElement.classList.remove("carries");
    for (const old of document.querySelectorAll(".taker")) old.classList.remove("taker");
  }

  // What lies under the pointer: a person, or a place in the first row of some days.
  function placeAt(event) {
    const part = document.elementFromPoint(event.clientX, event.clientY);
    const [person, area] = [part?.closest("[data-person]"), part?.closest(".drag")];
    if (!area) return { person };
    const from = secondsAt(area, event.clientX) - Math.round(held.grabbed / STEP) * STEP;
    return { area, from, to: from + (held.to - held.from) };
  }

  function showPlace({ person, area, from, to }) {
    for (const old of document.querySelectorAll(".taker")) old.classList.remove("taker");
    person?.classList.add("taker");
    if (area) paint(area, Math.max(from, Number(area.dataset.start)), Math.min(to, Number(area.dataset.end)));
    else paint(null);
  }

  function drop({ person, area, from, to }) {
    if (area && from !== held.from) {
      fill(fieldValue(from, held.zone), fieldValue(to, held.zone), held.user, held.user);
    } else if (person && person.dataset.person !== held.user) {
      fill(held.start, held.end, held.user, person.dataset.person);
    } else {
      return paint(null);
    }
    toForm();
  }

  document.addEventListener("pointerdown", (event) => {
    const area = event.target.closest?.(".drag");
    drawn = false;
    if (!area || event.button !== 0 || !byId("override-start")) return;
    const from = secondsAt(area, event.clientX);
    const { start, zone } = area.dataset;
    drawing = { start, zone, from, x: event.clientX, y: event.clientY };
    const bar = event.target.closest("a.bar");
    if (!bar?.dataset.user) return;
    const [begins, ends] = [Number(bar.dataset.from), Number(bar.dataset.to)];
    held = { ...bar.dataset, from: begins, to: ends, grabbed: from - begins, zone };
    holdTimer = setTimeout(carry, HOLD);
  });

  document.addEventListener("pointermove", (event) => {
    if (carried) return showPlace(placeAt(event));
    const far = drawing && held && Math.abs(event.clientY - drawing.y) > AWAY;
    if (far && !drawn && event.pointerType === "mouse") return carry();
    if (!drawing || Math.abs(event.clientX - drawing.x) < MIN_DRAWN) return;
    const area = areaOf(drawing);
    if (!area) return;
    hideTooltip();
    clearTimeout(holdTimer);
    drawn = true;
    paint(area, drawing.from, secondsAt(area, event.clientX));
  });

  document.addEventListener("pointerup", (event) => {
    if (carried) drop(placeAt(event));
    const area = drawing && areaOf(drawing);
    if (area && drawn) {
      const [one, other] = [drawing.from, secondsAt(area, event.clientX)];
      if (one !== other) {
        const [start, end] = [Math.min(one, other), Math.max(one, other)];
        fill(fieldValue(start, drawing.zone), fieldValue(end, drawing.zone));
        toForm();
      }
    }
    letGo();
  });

  document.addEventListener("pointercancel", () => {
    paint(null);
    letGo();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !carried) return;
    paint(null);
    letGo();
  });
  // A page does not scroll, and no menu opens, under a finger that carries a shift.
  for (const kind of ["touchmove", "contextmenu"]) {
    document.addEventListener(kind, (event) => carried && event.preventDefault(), { passive: false });
  }

  // Or the browser would drag the link of a bar.
  document.addEventListener("dragstart", (event) => {
    if (event.target.closest?.(".drag")) event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const bar = event.target.closest?.("a.bar");
    if (!bar || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (!byId("override-start")) return;
    event.preventDefault();
    if (!drawn) {
      fill(bar.dataset.start, bar.dataset.end, bar.dataset.user);
      toForm();
    }
    drawn = false;
  });
})();
