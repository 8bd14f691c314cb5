// Keys of the list of alerts: j and k move between rows, others act on the row that has the focus (? lists them).
(function () {
  "use strict";
  let going = false;  // after g, the next key belongs to the console's navigation
  const rows = () => [...document.querySelectorAll("#live .alert-row")];
  const current = () => document.activeElement?.closest(".alert-row");

  function move(step) {
    const all = rows();
    const at = all.indexOf(current());
    const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1);
    all[next]?.focus();
  }

  function snooze(row) {
    if (row.dataset.snooze) { htmx.ajax("GET", row.dataset.snooze, { target: "#dialog", swap: "innerHTML" }); }
  }

  const ON_A_ROW = {
    x: (row) => row.querySelector("input[name=ids]")?.click(),
    a: (row) => row.querySelector("[data-testid=acknowledge-alert-btn]")?.click(),
    r: (row) => row.querySelector("[data-testid=resolve-alert-btn]")?.click(),
    s: snooze,
  };

  // Before the console's own keys, of which r refreshes.
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=checkbox]), textarea, select");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) { return; }
    const left = going;
    going = event.key === "g";
    if (left || going) { return; }
    const row = current();
    if (event.key === "j" || event.key === "k") {
      move(event.key === "j" ? 1 : -1);
    } else if (event.key === "?") {
      document.getElementById("alert-keys").showModal();
    } else if (event.key === "Enter" && row && event.target === row) {
      row.querySelector("a").click();
    } else if (row && ON_A_ROW[event.key]) {
      event.stopImmediatePropagation();
      ON_A_ROW[event.key](row);
    } else {
      return;
    }
    event.preventDefault();
  }, true);
})();
