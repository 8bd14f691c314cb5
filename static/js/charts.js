// Draws every [data-chart-url] and [data-chart-json] with uPlot, and fills the table beside it.
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
    const signs = { percent: " %", mbps: " Mbit/s", ms: " ms", seconds: " s", "seconds/s": " s/s" };
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

  // A hole of several usual distances is drawn as a hole: uPlot lifts its pen at null.
  function withGaps(one) {
    const steps = one.points.slice(1).map((point, place) => point[0] - one.points[place][0]).sort((a, b) => a - b);
    const longest = 5 * steps[steps.length >> 1];
    const points = one.points.flatMap((point, place) => {
      const before = place ? one.points[place - 1][0] : point[0];
      return point[0] - before > longest ? [[(before + point[0]) / 2, null], point] : [point];
    });
    return { ...one, points };
  }

  // The limit that the chart's node names, as a line from end to end.
  function limitOf(node, answer, unit) {
    const value = parseFloat(node.dataset.chartThreshold);
    return isNaN(value) ? [] : [{ label: "Threshold", unit, limit: true, points: answer.span.map((stamp) => [stamp, value]) }];
  }

  // What was expected, as two edges that the chart fills between.
  function edgesOf(answer, unit) {
    return (answer.bands || []).flatMap((band) => [2, 1].map((place) => ({
      label: band.label + (place === 2 ? " up to" : " from"), unit, edge: true, points: band.points.map((point) => [point[0], point[place]]),
    })));
  }

  function strokeOf(one, place) {
    if (one.edge) { return style("--tone-none"); }
    return one.limit ? style("--tone-bad") : COLOURS[place % COLOURS.length];
  }

  // As wide as the range that was asked for, however little of it has data; a part that is dragged open, as it is.
  function spanOf(answer, stamps) {
    const ends = answer.span.map((stamp) => stamp / 1000);
    const whole = (low, high) => low === high || (low <= stamps[0] && high >= stamps[stamps.length - 1]);
    return (plot, low, high) => (whole(low, high) ? ends : [low, high]);
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
    const drawn = [...series.map(withGaps), ...limitOf(node, answer, unit), ...edgesOf(answer, unit).map(withGaps)];
    const columns = align(drawn);
    const axis = { stroke: style("--tone-none"), grid: { stroke: "rgb(128 128 128 / 20%)", width: 1 }, ticks: { show: false } };
    const options = {
      width: node.clientWidth,
      height: 220,
      cursor: { sync: { key: SYNC.key } },
      scales: { x: { range: spanOf(answer, columns[0]) }, y: { range: (plot, low, high) => [unit === "percent" ? 0 : Math.min(0, low), unit === "percent" ? 100 : high || 1] } },
      axes: [axis, { ...axis, size: 84, values: (plot, ticks) => ticks.map((tick) => format(tick, unit)) }],
      series: [{}, ...drawn.map((one, place) => ({
        label: one.label,
        stroke: strokeOf(one, place),
        width: one.edge ? 0.5 : 1.5,
        dash: one.limit ? [6, 4] : undefined,
        spanGaps: false,
        points: { show: !one.limit && !one.edge && one.points.length < 30 },
        value: (plot, value) => format(value, one.unit),
      }))],
    };
    const edges = drawn.flatMap((one, place) => (one.edge ? [place + 1] : []));
    options.bands = edges.flatMap((place, number) => (number % 2 ? [] : [{ series: [place, edges[number + 1]], fill: "rgb(128 128 128 / 20%)" }]));
    node.plot?.destroy();
    node.plot = new uPlot(options, columns, node);
  }

  // The API says why, and what to ask for instead.
  function refused(answer) {
    return answer.json().then((problem) => Promise.reject({ reason: `The chart could not be loaded: ${problem.detail}` }));
  }

  function load(node) {
    if (node.dataset.chartJson) {
      node.answer = JSON.parse(document.getElementById(node.dataset.chartJson).textContent);
      draw(node, node.answer);
      return;
    }
    fetch(node.dataset.chartUrl, { headers: { Accept: "application/json" } })
      .then((answer) => (answer.ok ? answer.json() : refused(answer)))
      .then((answer) => { node.answer = answer; draw(node, answer); })
      .catch((error) => { if (!node.answer) { node.textContent = error.reason || "The chart could not be loaded"; } });
  }

  function each(visit) {
    document.querySelectorAll("[data-chart-url], [data-chart-json]").forEach(visit);
  }

  document.addEventListener("DOMContentLoaded", () => {
    each(load);
    document.body.addEventListener("refresh", () => each(load));
    document.body.addEventListener("htmx:afterSwap", (event) => event.detail.target.querySelectorAll("[data-chart-json]").forEach(load));
    document.addEventListener("theme", () => each((node) => node.answer && draw(node, node.answer)));
    let pending;
    window.addEventListener("resize", () => {
      clearTimeout(pending);
      pending = setTimeout(() => each((node) => node.plot?.setSize({ width: node.clientWidth, height: 220 })), 100);
    });
  });
})();
