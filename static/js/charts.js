// Draws every [data-chart-url] with uPlot, and fills the table beside it.
(function () {
  "use strict";
  const COLOURS = ["#4299e1", "#f59f00", "#2fb344", "#d6336c", "#ae3ec9", "#0ca678", "#f76707", "#66a80f"];
  const SYNC = uPlot.sync("page");

  function style(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function format(value, unit) {
    if (value === null || value === undefined) { return "–"; }
    if (unit.startsWith("bytes")) {
      const names = ["B", "KiB", "MiB", "GiB", "TiB"];
      let step = 0;
      while (Math.abs(value) >= 1024 && step < names.length - 1) { value /= 1024; step += 1; }
      return value.toFixed(1) + " " + names[step] + unit.slice(5);
    }
    const signs = { percent: " %", mbps: " Mbit/s", ms: " ms", seconds: " s" };
    const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 1 || value === 0 ? 1 : 3;
    return value.toFixed(digits) + (signs[unit] !== undefined ? signs[unit] : unit ? " " + unit : "");
  }

  function align(series) {
    const stamps = [...new Set(series.flatMap((one) => one.points.map((point) => point[0])))].sort((a, b) => a - b);
    const columns = series.map((one) => {
      const known = new Map(one.points);
      return stamps.map((stamp) => (known.has(stamp) ? known.get(stamp) : undefined));
    });
    return [stamps.map((stamp) => stamp / 1000), ...columns];
  }

  function fillTable(node, series) {
    const body = node.parentElement.querySelector("tbody[data-chart-table]");
    if (!body) { return; }
    body.replaceChildren(...series.map((one) => {
      const values = one.points.map((point) => point[1]);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const cells = [one.label, values[values.length - 1], Math.min(...values), Math.max(...values), mean];
      const row = document.createElement("tr");
      cells.forEach((cell, place) => {
        const td = document.createElement("td");
        td.textContent = place ? format(values.length ? cell : null, one.unit) : cell;
        row.appendChild(td);
      });
      return row;
    }));
  }

  function draw(node, answer) {
    const series = answer.series.filter((one) => one.points.length);
    node.replaceChildren();
    fillTable(node, series);
    if (!series.length) {
      node.textContent = "No data in this range";
      node.classList.add("chart-empty");
      return;
    }
    node.classList.remove("chart-empty");
    const unit = series[0].unit;
    const axis = { stroke: style("--tone-none"), grid: { stroke: "rgb(128 128 128 / 20%)", width: 1 }, ticks: { show: false } };
    const options = {
      width: node.clientWidth,
      height: 220,
      cursor: { sync: { key: SYNC.key } },
      scales: { y: { range: (plot, low, high) => [unit === "percent" ? 0 : Math.min(0, low), unit === "percent" ? 100 : high || 1] } },
      axes: [axis, { ...axis, size: 84, values: (plot, ticks) => ticks.map((tick) => format(tick, unit)) }],
      series: [{}, ...series.map((one, place) => ({
        label: one.label,
        stroke: COLOURS[place % COLOURS.length],
        width: 1.5,
        spanGaps: false,
        points: { show: one.points.length < 30 },
        value: (plot, value) => format(value, one.unit),
      }))],
    };
    node.plot?.destroy();
    node.plot = new uPlot(options, align(series), node);
  }

  function load(node) {
    fetch(node.dataset.chartUrl, { headers: { Accept: "application/json" } })
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(answer.status)))
      .then((answer) => { node.answer = answer; draw(node, answer); })
      .catch(() => { if (!node.answer) { node.textContent = "The chart could not be loaded"; } });
  }

  function each(visit) {
    document.querySelectorAll("[data-chart-url]").forEach(visit);
  }

  document.addEventListener("DOMContentLoaded", () => {
    each(load);
    document.body.addEventListener("refresh", () => each(load));
    document.addEventListener("theme", () => each((node) => node.answer && draw(node, node.answer)));
    let pending;
    window.addEventListener("resize", () => {
      clearTimeout(pending);
      pending = setTimeout(() => each((node) => node.plot?.setSize({ width: node.clientWidth, height: 220 })), 100);
    });
  });
})();
