// Previews the change while the form is being filled in; without scripts a button does so.
"use strict";
(() => {
  const PREVIEW_DELAY = 500; // ms after the last change

  let timer = 0;
  let latest = 0; // number of the last request: responses may arrive in another order

  async function refreshPreview() {
    const form = document.getElementById("layers");
    const number = ++latest;
    const fields = new URLSearchParams(new FormData(form));
    fields.set("do", "preview");
    let response;
    try {
      response = await fetch(form.getAttribute("action"), { method: "POST", body: fields });
    } catch {
      return; // the button is still there
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById("preview");
    if (number !== latest || !fresh) return; // the form has changed since
    document.getElementById("preview").replaceWith(document.adoptNode(fresh));
  }

  document.addEventListener("input", (event) => {
    if (!event.target.closest?.("#layers")) return;
    latest++; // a preview on its way is of the old form
    clearTimeout(timer);
    timer = setTimeout(refreshPreview, PREVIEW_DELAY);
  });
})();
