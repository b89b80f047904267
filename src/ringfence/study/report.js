// One crosshair for all charts of a group, with the values at that moment. The page is complete without it.
"use strict";
const data = JSON.parse(document.getElementById("values").textContent);
const plots = [...document.querySelectorAll(".plot")];
const two = (number) => String(number).padStart(2, "0");
function clock(micros) {
  const date = new Date(micros / 1000);
  return `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} UTC`;
}
function show(group, share) {
  for (const plot of plots) {
    const [cursor, readout] = [plot.querySelector(".cursor"), plot.querySelector(".readout")];
    const series = data[plot.dataset.chart];
    const on = plot.dataset.group === group && share !== null && series;
    cursor.hidden = readout.hidden = !on;
    if (!on) continue;
    const start = +plot.dataset.start, end = +plot.dataset.end, at = start + share * (end - start);
    let nearest = 0;
    series.times.forEach((time, index) => {
      if (Math.abs(time - at) < Math.abs(series.times[nearest] - at)) nearest = index;
    });
    const left = ((series.times[nearest] - start) / (end - start)) * 100;
    cursor.style.left = `${left}%`;
    const lines = series.lines.map(([name, values]) => [name, values[nearest]]).filter(([, value]) => value !== null);
    readout.textContent = [clock(series.times[nearest]), ...lines.map(([name, value]) => `${name}  ${value}`)].join("\n");
    readout.style.left = left < 55 ? `calc(${left}% + 10px)` : "auto";
    readout.style.right = left < 55 ? "auto" : `calc(${100 - left}% + 10px)`;
  }
}
for (const plot of plots) {
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    show(plot.dataset.group, Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1));
  });
  plot.addEventListener("pointerleave", () => show(plot.dataset.group, null));
}
