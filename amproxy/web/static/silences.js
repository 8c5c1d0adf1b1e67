// Shows what a silence would hide while it is being written: fetches the page that its form leads to, and takes the preview out of it.
"use strict";
(() => {
  const PATIENCE = 350; // ms after the last key
  let planned = 0;
  let asked = 0; // only the last answer counts

  async function look(form) {
    const mine = ++asked;
    const fields = new FormData(form);
    fields.delete("seen");
    const url = `${form.getAttribute("action")}?${new URLSearchParams(fields)}`;
    document.getElementById("save").disabled = true; // nothing is saved that was not shown
    let page;
    try {
      const answer = await fetch(url, { cache: "no-store" });
      if (answer.status >= 500) return;
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      return; // live.js says that there is no connection
    }
    const fresh = page.getElementById("preview");
    if (mine !== asked || !fresh) return;
    document.getElementById("preview").replaceWith(document.adoptNode(fresh));
    document.getElementById("said").textContent = fresh.dataset.problem || fresh.dataset.said;
    history.replaceState(null, "", url);
  }

  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-preview]");
    if (!form) return;
    clearTimeout(planned);
    document.getElementById("save").disabled = true;
    planned = setTimeout(look, PATIENCE, form);
  });
})();
