// Previews a silence while its form is being filled in: fetches the page that the form leads to,
// and takes the preview out of it.
"use strict";
(() => {
  const PREVIEW_DELAY = 350; // ms after the last key
  let timer = 0;
  let latest = 0; // number of the last request: responses may arrive in another order

  async function refreshPreview(form) {
    const number = ++latest;
    const fields = new FormData(form);
    fields.delete("seen");
    const url = `${form.getAttribute("action")}?${new URLSearchParams(fields)}`;
    document.getElementById("save").disabled = true; // nothing is saved that was not shown
    let page;
    try {
      const response = await fetch(url, { cache: "no-store" });
      if (response.status >= 500) return;
      page = new DOMParser().parseFromString(await response.text(), "text/html");
    } catch {
      return; // live.js shows that there is no connection
    }
    const fresh = page.getElementById("preview");
    if (number !== latest || !fresh) return;
    document.getElementById("preview").replaceWith(document.adoptNode(fresh));
    // For screen readers: they do not notice a section that is replaced.
    const announcement = document.getElementById("announcement");
    announcement.textContent = fresh.dataset.problem || fresh.dataset.announcement;
    history.replaceState(null, "", url);
  }

  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-preview]");
    if (!form) return;
    clearTimeout(timer);
    document.getElementById("save").disabled = true;
    timer = setTimeout(refreshPreview, PREVIEW_DELAY, form);
  });
})();
