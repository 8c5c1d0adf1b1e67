// Shows pushes as notifications, and carries their buttons out: it works while no page is open.
// It keeps no pages: who is on call must never be read from a store that may be old.
"use strict";
const ROOT = new URL(self.registration.scope).pathname; // "/", or the service's prefix
const DONE_WITHIN = 15000; // ms for a button; after that the person is sent to the page

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

// An address of the service as this browser calls it: messages have the service's own name for itself.
function here(url) {
  try {
    const found = new URL(url, self.location.origin);
    const path = found.pathname.startsWith(ROOT) ? found.pathname : ROOT;
    return new URL(path + found.search, self.location.origin).href;
  } catch {
    return new URL(ROOT, self.location.origin).href;
  }
}

function read(event) {
  try {
    return event.data.json();
  } catch {
    return { title: "amproxy", tag: "amproxy", url: ROOT }; // a browser insists on a notification
  }
}

// One notification for each incident and device: one with the same tag takes the place of the other.
function show(message) {
  const actions = message.actions || [];
  return self.registration.showNotification(message.title, {
    body: message.body || "",
    tag: message.tag,
    timestamp: message.at,
    icon: `${ROOT}static/icon-192.png`,
    badge: `${ROOT}static/badge-96.png`,
    renotify: !message.quiet,
    silent: Boolean(message.quiet),
    requireInteraction: !message.quiet && actions.length > 0,
    actions: actions.map(({ action, title }) => ({ action, title })),
    data: message,
  });
}

async function open(url) {
  const address = here(url);
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const known = windows.find((one) => one.url === address);
  return known ? known.focus() : self.clients.openWindow(address);
}

// Press a button: the signed link says who presses it. What becomes of it is shown in its place.
async function press(message, button) {
  let done = false;
  try {
    const response = await fetch(here(button.url), {
      method: "POST",
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      redirect: "manual", // a redirect is how a page says that it is done
      signal: AbortSignal.timeout(DONE_WITHIN),
    });
    done = response.type === "opaqueredirect";
  } catch {
    // no connection
  }
  if (done) return show({ ...message, title: `${button.done} · ${message.title}`, quiet: true, actions: [] });
  await show({ ...message, quiet: true });
  return open(button.url); // which says what is wrong, and offers the button again
}

async function subscribeAnew(event) {
  const old = event.oldSubscription;
  const fresh =
    event.newSubscription || (old && (await self.registration.pushManager.subscribe(old.options)));
  if (!fresh) return;
  const { endpoint, keys } = fresh.toJSON();
  const fields = { endpoint, p256dh: keys.p256dh, auth: keys.auth, replaces: old?.endpoint || "" };
  await fetch(`${ROOT}me/push`, { method: "POST", body: new URLSearchParams(fields), redirect: "manual" });
}

self.addEventListener("push", (event) => event.waitUntil(show(read(event))));

self.addEventListener("notificationclick", (event) => {
  const message = event.notification.data || {};
  const button = (message.actions || []).find((one) => one.action === event.action);
  // What becomes of a button takes its place: closed before, it could close that as well.
  if (button) return event.waitUntil(press(message, button));
  event.notification.close();
  event.waitUntil(open(message.url || ROOT));
});

self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(subscribeAnew(event)));
