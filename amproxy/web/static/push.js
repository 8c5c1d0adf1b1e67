// The button at Me that makes this browser take pushes. The list of devices works without scripts.
"use strict";
(() => {
  const ROOT = new URL("..", document.currentScript.src).pathname; // "/", or the service's prefix
  const ID_DIGITS = 24; // of the digest of an endpoint, which is a device's id in the list

  const byId = (id) => document.getElementById(id);
  const supported =
    "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

  const bytesOf = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));

  async function idOf(endpoint) {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(endpoint));
    const digits = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0"));
    return digits.join("").slice(0, ID_DIGITS);
  }

  async function currentSubscription() {
    const registration = await navigator.serviceWorker.getRegistration(ROOT);
    return (await registration?.pushManager.getSubscription()) ?? null;
  }

  const isFor = (subscription, key) => {
    const known = subscription.options?.applicationServerKey;
    return known && String(new Uint8Array(known)) === String(bytesOf(key));
  };

  // Show one of: the button, or the reason why there is none. Called again for each fresh page.
  async function draw() {
    const form = byId("push-form");
    if (!form || form.dataset.drawn) return;
    form.dataset.drawn = "1";
    const say = (name) => {
      for (const hint of document.querySelectorAll("[data-push-hint]")) hint.hidden = hint.dataset.pushHint !== name;
    };
    if (!supported) return say(navigator.standalone === false ? "ios" : "unsupported");
    if (Notification.permission === "denied") return say("denied");
    const subscription = await currentSubscription().catch(() => null);
    const device = subscription && isFor(subscription, form.dataset.key) && byId(`device-${await idOf(subscription.endpoint)}`);
    if (device && !device.hasAttribute("data-ended")) device.querySelector(".this-device").hidden = false;
    else form.hidden = false;
  }

  async function switchOn(form) {
    if ((await Notification.requestPermission()) === "denied") throw new Error(Notification.permission);
    await navigator.serviceWorker.register(`${ROOT}service-worker.js`, { scope: ROOT });
    const registration = await navigator.serviceWorker.ready;
    const old = await registration.pushManager.getSubscription();
    // A subscription belongs to one key; with another the push service would refuse every message.
    if (old && !isFor(old, form.dataset.key)) await old.unsubscribe();
    const made = await registration.pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: bytesOf(form.dataset.key),
    });
    const { endpoint, keys } = made.toJSON();
    const fields = { endpoint, p256dh: keys.p256dh, auth: keys.auth, replaces: old?.endpoint || "" };
    for (const [name, value] of Object.entries(fields)) form.elements[name].value = value;
    form.submit();
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.id !== "push-form") return;
    event.preventDefault();
    const button = byId("push-on");
    button.disabled = true;
    try {
      await switchOn(form);
    } catch (error) {
      const failed = byId("push-failed");
      failed.hidden = false;
      failed.textContent = failed.dataset.text.replace("{said}", error.message);
      button.disabled = false;
    }
  });

  // live.js replaces <main> with a fresh one.
  new MutationObserver(draw).observe(document.body, { childList: true });
  draw();
})();
