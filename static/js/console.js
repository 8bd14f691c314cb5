// The console's behaviour: live refresh, toasts, theme, times, keyboard, dialogs.
(function () {
  "use strict";
  const REFRESH_MS = 30000;
  const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
  let lastGood = new Date();

  function toast(text, level) {
    const box = document.createElement("div");
    box.className = "alert alert-" + (level || "success") + " alert-dismissible shadow mb-2";
    box.setAttribute("role", "status");
    box.textContent = text;
    const close = document.createElement("button");
    close.className = "btn-close";
    close.type = "button";
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", () => box.remove());
    box.appendChild(close);
    document.getElementById("toasts").appendChild(box);
    setTimeout(() => box.remove(), 8000);
  }

  function writeTimes(root) {
    root.querySelectorAll("time[data-local]").forEach((node) => {
      const moment = new Date(node.dateTime);
      node.textContent = moment.toLocaleString();
      node.title = `${ZONE} time; ${moment.toISOString().slice(0, 19).replace("T", " ")} UTC`;
    });
  }

  function setConnection(good) {
    const bar = document.getElementById("connection-lost");
    if (good) { lastGood = new Date(); }
    bar.hidden = good;
    bar.querySelector("span").textContent = lastGood.toLocaleTimeString();
  }

  function isTyping(node) {
    return node && /^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName);
  }

  document.addEventListener("DOMContentLoaded", () => {
    writeTimes(document);
    document.getElementById("theme-toggle")?.addEventListener("click", () => {
      const root = document.documentElement;
      const next = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
      root.setAttribute("data-bs-theme", next);
      localStorage.setItem("theme", next);
      document.dispatchEvent(new Event("theme"));
    });
    document.getElementById("refresh")?.addEventListener("click", () => htmx.trigger(document.body, "refresh"));
    setInterval(() => {
      if (document.visibilityState === "visible") { htmx.trigger(document.body, "refresh"); }
    }, REFRESH_MS);
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit-on-change]")) { event.target.form.requestSubmit(); }
  });
  document.addEventListener("toast", (event) => toast(event.detail.text, event.detail.level));
  document.addEventListener("htmx:afterSwap", (event) => writeTimes(event.detail.target));
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) { setConnection(true); }
  });
  document.addEventListener("htmx:sendError", () => setConnection(false));
  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    if (status >= 500) { setConnection(false); } else { toast("That did not work (" + status + ").", "danger"); }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "dialog") { return; }
    const dialog = document.getElementById("dialog");
    if (!dialog.innerHTML.trim()) { dialog.close(); return; }
    if (!dialog.open) { dialog.showModal(); }
    dialog.querySelector("textarea, input:not([type=hidden])")?.focus();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-close-dialog]")) { document.getElementById("dialog").close(); }
  });
  document.addEventListener("closeDialog", () => document.getElementById("dialog").close());

  let awaiting = false;
  document.addEventListener("keydown", (event) => {
    if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) { return; }
    if (awaiting) {
      awaiting = false;
      document.querySelector('[data-key="' + event.key + '"]')?.click();
    } else if (event.key === "g") {
      awaiting = true;
    } else if (event.key === "/") {
      const search = document.querySelector("input[type=search]");
      if (search) { event.preventDefault(); search.focus(); }
    } else if (event.key === "r") {
      htmx.trigger(document.body, "refresh");
    }
  });
})();
