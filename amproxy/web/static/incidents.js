// The list: "select all shown" without loading the page anew, and filters that close as menus do.
"use strict";
(() => {
  const boxes = () => [...document.querySelectorAll(".pick input")];

  function name() {
    const all = document.getElementById("pick-all");
    if (all) all.textContent = boxes().every((box) => box.checked) ? all.dataset.none : all.dataset.all;
  }

  document.addEventListener("click", (event) => {
    if (!event.target.closest("#pick-all")) return;
    event.preventDefault();
    const checked = !boxes().every((box) => box.checked);
    for (const box of boxes()) box.checked = checked;
    name();
  });
  document.addEventListener("change", (event) => event.target.matches(".pick input") && name());
  name();

  // Of the filters one is open at a time; Escape and a press elsewhere close it.
  function closeFilters(but) {
    for (const one of document.querySelectorAll(".drop[open]")) if (one !== but) one.open = false;
  }
  document.addEventListener("click", (event) => closeFilters(event.target.closest(".drop")));
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && document.querySelector(".drop[open]");
    if (!open) return;
    open.open = false;
    open.querySelector("summary").focus();
  });
  // Incidents that arrive later must not be ticked before the reader has read them.
  const address = new URL(location.href);
  if (address.searchParams.has("select")) {
    address.searchParams.delete("select");
    history.replaceState(null, "", address);
    for (const box of boxes()) [box.defaultChecked, box.checked] = [false, true];
  }
})();
