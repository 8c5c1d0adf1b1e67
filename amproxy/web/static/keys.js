// Search by Ctrl-K, single keys on incidents, and menus that close. Each of these only does what a link or
// a button does: pages work without this script.
"use strict";
(() => {
  const ROOT = new URL("..", document.currentScript.src).pathname; // "/", or the service's prefix
  const SEARCH_DELAY = 80; // ms: letters that are typed together are looked up once
  const SWITCH = "amproxy-single-keys"; // in localStorage: "off" = single keys do nothing
  const LIST = "amproxy-list"; // in sessionStorage: the addresses of the incidents of the last list
  const LAST = "amproxy-last"; // in sessionStorage: the incident of that list where the reader was
  const ROWS = "main a[id^='incident-']";

  const byId = (id) => document.getElementById(id);

  // Storage may be refused or full: then nothing is remembered.
  function remembered(storage, name) {
    try {
      return window[storage].getItem(name);
    } catch {
      return null;
    }
  }

  function remember(storage, name, value) {
    try {
      window[storage].setItem(name, value);
    } catch {
      // as above
    }
  }

  // A letter by its key, or by its place where the keyboard writes another alphabet.
  function letterOf(event) {
    const key = event.key.toLowerCase();
    if (/^[a-z?]$/.test(key)) return key;
    const isForeign = key.length === 1 && /\p{L}/u.test(key);
    return isForeign && event.code.startsWith("Key") ? event.code.slice(3).toLowerCase() : key;
  }

  const isWriting = (element) =>
    element.isContentEditable || Boolean(element.closest?.("input:not([type=checkbox]), textarea, select"));

  // Windows

  function openWindow(dialog) {
    if (!dialog.open) dialog.showModal();
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest("dialog .close")) event.target.closest("dialog").close();
    else if (event.target.matches?.("dialog[open]")) {
      const box = event.target.getBoundingClientRect(); // a tap beside it is one on the dialog itself
      const { clientX: x, clientY: y } = event;
      if (x < box.left || x > box.right || y < box.top || y > box.bottom) event.target.close();
    }
  });

  // Menus

  function closeMenus(except) {
    let closed = null;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (except && menu.contains(except)) continue;
      menu.open = false;
      closed = menu;
    }
    return closed;
  }

  document.addEventListener("pointerdown", (event) => closeMenus(event.target), true);
  document.addEventListener("focusin", (event) => closeMenus(event.target));

  // Search

  const search = document.querySelector("dialog#search");
  const TEXTS = search ? JSON.parse(search.dataset.texts) : {};
  let searchTimer = 0;
  let asked = null; // AbortController of the request under way
  let shownFor = null; // the text whose answer is shown

  function element(name, className, text) {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  }

  function foundItem(one) {
    const link = document.createElement("a");
    link.href = ROOT + one.path.slice(1);
    const name = element("span", "name", "");
    const title = document.createElement("bdi");
    title.textContent = one.title.slice(0, 160);
    name.append(title);
    if (one.detail) name.append(" ", element("small", "", one.detail.slice(0, 80)));
    link.append(element("span", "kind", TEXTS[one.kind]), name);
    if (one.state) link.append(element("span", `state ${one.state}`, TEXTS[one.state]));
    return asItem(link);
  }

  function asItem(link) {
    const item = document.createElement("li");
    item.append(link);
    return item;
  }

  function allItem(text) {
    const link = element("a", "all", TEXTS.all);
    const states = ["triggered", "acknowledged", "snoozed", "resolved"].map((state) => ["state", state]);
    link.href = `${ROOT}incidents?${new URLSearchParams([...states, ["text", text]])}`;
    return asItem(link);
  }

  async function lookUp() {
    const text = byId("search-text").value;
    asked?.abort();
    asked = new AbortController();
    try {
      const address = `${ROOT}api/v1/search?${new URLSearchParams({ text })}`;
      const response = await fetch(address, { signal: asked.signal, cache: "no-store" });
      if (!response.ok) throw new Error(String(response.status));
      const { found } = await response.json();
      byId("search-found").replaceChildren(...found.map(foundItem), ...(text.trim() ? [allItem(text)] : []));
      byId("search-status").textContent = found.length ? "" : TEXTS.none;
      shownFor = text;
    } catch (error) {
      if (error.name === "AbortError") return;
      shownFor = null;
      byId("search-found").replaceChildren();
      byId("search-status").textContent = TEXTS.no_answer;
    }
  }

  function openSearch() {
    if (search.open) return;
    openWindow(search);
    byId("search-text").focus();
    byId("search-text").select();
    lookUp();
  }

  function moveInSearch(event) {
    const links = [...search.querySelectorAll(".found a")];
    const at = links.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !links.length) return;
    event.preventDefault();
    (links[at + step] ?? (step > 0 ? links.at(-1) : byId("search-text"))).focus();
  }

  if (search) {
    search.addEventListener("keydown", moveInSearch);
    byId("search-text").addEventListener("input", () => {
      clearTimeout(searchTimer);
      searchTimer = setTimeout(lookUp, SEARCH_DELAY);
    });
    // Enter goes to the best of what is shown; the form leads to the page while there is no answer.
    search.querySelector("form").addEventListener("submit", (event) => {
      const first = search.querySelector(".found a");
      if (!first || shownFor !== byId("search-text").value) return;
      event.preventDefault();
      first.click();
    });
    document.addEventListener("click", (event) => {
      const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey;
      if (!isPlain || !event.target.closest(".open-search, .menu-search")) return;
      event.preventDefault();
      closeMenus();
      openSearch();
    });
  }

  // Single keys

  function rows() {
    return [...document.querySelectorAll(ROWS)];
  }

  const rowOf = (link) => link.closest("article, tr, li");

  // The row that the focus is in, else the one where the reader was last.
  function currentRow(links) {
    const row = document.activeElement.closest?.("article, tr, li");
    const focused = links.findIndex((link) => row && rowOf(link) === row);
    return focused >= 0 ? focused : links.findIndex((link) => link.id === remembered("sessionStorage", LAST));
  }

  function move(step) {
    const links = rows();
    if (links.length) {
      const at = currentRow(links);
      const next = links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + step))];
      next.focus();
      rowOf(next)?.scrollIntoView({ block: "nearest" });
      return remember("sessionStorage", LAST, next.id);
    }
    // On an incident: to its neighbour in the list that the reader came from.
    const list = JSON.parse(remembered("sessionStorage", LIST) ?? "[]");
    const at = list.indexOf(location.pathname);
    if (at >= 0 && list[at + step]) {
      remember("sessionStorage", LAST, `incident-${list[at + step].split("/").at(-1)}`);
      location.assign(list[at + step]);
    }
  }

  // Show a control that is folded away, and go to it.
  function goTo(control) {
    for (let part = control.parentElement; part; part = part.parentElement) {
      if (part.tagName === "DETAILS" && !control.closest("summary")) part.open = true;
    }
    control.focus();
    control.scrollIntoView({ block: "nearest" });
  }

  // A button that stands alone is pressed; what asks for more is opened, so that the reader decides.
  function use(control) {
    if (!control) return;
    if (control.tagName === "SUMMARY") {
      control.parentElement.open = true;
      const first = control.parentElement.querySelector("button, select, input:not([type=hidden])");
      return (first ?? control).focus();
    }
    const asks = control.form?.querySelector("select, textarea, input:not([type=hidden])");
    if (asks) goTo(control);
    else control.click();
  }

  const BUTTONS = { a: "do-acknowledge", s: "snooze-summary", e: "do-escalate" };

  function act(key) {
    const links = rows();
    const own = document.querySelector(`main [data-key="${key}"]`) ?? byId(BUTTONS[key]);
    if (!links.length) return use(own);
    const link = links[currentRow(links)];
    if (!link) return;
    remember("sessionStorage", LAST, link.id);
    const inRow = rowOf(link)?.querySelector(`[data-key="${key}"]`);
    if (inRow) return use(inRow);
    if (key === "a") return use(rowOf(link)?.querySelector("button[id^='acknowledge-']"));
    const pick = rowOf(link)?.querySelector(".pick input");
    const snooze = document.querySelector("#bulk button[value=snooze]");
    if (key === "s" && pick && snooze) {
      if (!pick.checked) pick.click();
      return goTo(snooze);
    }
    location.assign(`${link.href}#${BUTTONS[key]}`);
  }

  // The sheet stands on the page of the search.
  async function showSheet() {
    let sheet = byId("sheet");
    if (!sheet) {
      const response = await fetch(`${ROOT}search`);
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const keys = page.getElementById("keys-sheet");
      if (!keys || byId("sheet")) return;
      const title = element("h2", "", page.getElementById("keys").textContent);
      sheet = document.createElement("dialog");
      sheet.id = "sheet";
      sheet.className = "sheet";
      sheet.setAttribute("aria-label", title.textContent);
      const close = element("button", "close", search.querySelector(".close").textContent);
      close.type = "button";
      keys.removeAttribute("id");
      sheet.append(title, close, document.adoptNode(keys));
      document.body.append(sheet);
      showSwitches();
    }
    openWindow(sheet);
  }

  function showSwitches() {
    const on = remembered("localStorage", SWITCH) !== "off";
    for (const box of document.querySelectorAll(".single-keys")) box.checked = on;
  }

  document.addEventListener("change", (event) => {
    if (!event.target.matches(".single-keys")) return;
    remember("localStorage", SWITCH, event.target.checked ? "on" : "off");
    showSwitches();
  });

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.defaultPrevented) return;
    if (event.key === "Escape") {
      // in a field for searching the browser's own Escape only empties the field
      const dialog = document.querySelector("dialog[open]");
      if (!dialog) return closeMenus()?.querySelector("summary").focus();
      event.preventDefault();
      return dialog.close();
    }
    const letter = letterOf(event);
    if (letter === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && search) {
      event.preventDefault();
      for (const other of document.querySelectorAll("dialog[open]")) if (other !== search) other.close();
      return openSearch();
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && !"jk".includes(letter)) return;
    if (isWriting(event.target) || document.querySelector("dialog[open]")) return;
    if (remembered("localStorage", SWITCH) === "off" || !search) return;
    if (letter === "?") showSheet();
    else if (letter === "j" || letter === "k") move(letter === "j" ? 1 : -1);
    else if (!event.shiftKey && Object.hasOwn(BUTTONS, letter)) act(letter);
    else return;
    event.preventDefault();
  });

  showSwitches();
  if (rows().length) {
    const list = rows().map((link) => new URL(link.href).pathname);
    remember("sessionStorage", LIST, JSON.stringify(list));
  }
  const meant = location.hash.startsWith("#do-") && byId(location.hash.slice(1));
  if (meant) goTo(meant);
})();
