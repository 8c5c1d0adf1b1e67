// Shows what a changed form would do while it is being filled in; the button does the same without scripts.
"use strict";
(() => {
  const PATIENCE = 500; // ms after the last change

  let planned = 0;
  let asked = 0;

  async function look() {
    const form = document.getElementById("layers");
    const mine = ++asked;
    const fields = new URLSearchParams(new FormData(form));
    fields.set("do", "preview");
    let answer;
    try {
      answer = await fetch(form.getAttribute("action"), { method: "POST", body: fields });
    } catch {
      return; // the button is still there
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("preview");
    if (mine !== asked || !fresh) return; // the form has changed since
    document.getElementById("preview").replaceWith(document.adoptNode(fresh));
  }

  document.addEventListener("input", (event) => {
    if (!event.target.closest?.("#layers")) return;
    asked++;
    clearTimeout(planned);
    planned = setTimeout(look, PATIENCE);
  });
})();
