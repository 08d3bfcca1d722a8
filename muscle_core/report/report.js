"use strict";
// Draws the charts in the page's colours, and beside each a picture for print: a live chart does not follow the width
// of the paper.
(function () {
  const light = { color: "#1b1f24", width: 720 };
  const figures = Array.from(document.querySelectorAll("figure[data-chart]"));
  const look = () => {
    const style = getComputedStyle(document.body);
    return { family: style.fontFamily, color: style.color, size: 13 };
  };
  const draw = async (figure) => {
    const spec = JSON.parse(document.getElementById("data-" + figure.dataset.chart).textContent);
    const layout = (font) => Object.assign({}, spec.layout, { font: font });
    const box = figure.querySelector(".chart");
    const config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false };
    await Plotly.newPlot(box, spec.data, layout(look()), config);
    const font = Object.assign(look(), { color: light.color });
    const printed = Object.assign(layout(font), { width: light.width });
    const picture = figure.querySelector("img");
    picture.src = await Plotly.toImage(
      { data: spec.data, layout: printed },
      { format: "svg", width: light.width, height: spec.layout.height },
    );
    await picture.decode();
  };
  const recolour = () => {
    for (const figure of figures) {
      Plotly.relayout(figure.querySelector(".chart"), { "font.color": look().color });
    }
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  Promise.all(figures.map(draw)).then(
    () => { document.documentElement.dataset.charts = "drawn"; },
    (error) => {
      document.documentElement.dataset.charts = "failed";
      console.error(error);
    },
  );
})();
