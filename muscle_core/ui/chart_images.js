// Two buttons that save the chart of a page as an image. Plotly itself draws the image (also of traces that it draws
// on a canvas), in the colours that the page shows; here it is only told the format and the font.
const FONT = "Arial, Helvetica, sans-serif"; // an image cannot load the page's font: others would not fit their place

function save(plot, format, name) {
  const bars = plot._fullLayout._modeBar.buttons.flat();
  const button = bars.find((one) => one.name === "toImage");
  const options = plot._context.toImageButtonOptions;
  const font = plot.layout.font;
  // Plotly reads both before it returns, so that the chart on the page stays as it is.
  plot._context.toImageButtonOptions = { ...options, format, filename: name, scale: format === "png" ? 2 : 1 };
  plot.layout.font = { ...font, family: FONT };
  try {
    button.click(plot);
  } finally {
    plot._context.toImageButtonOptions = options;
    plot.layout.font = font;
  }
}

export default function (component) {
  const { data, parentElement } = component;
  for (const button of parentElement.querySelectorAll("button")) {
    button.textContent = data.labels[button.dataset.format];
    button.onclick = () => {
      const plot = document.querySelector(`.st-key-${CSS.escape(data.chart)} .js-plotly-plot`);
      if (plot) save(plot, button.dataset.format, data.name);
    };
  }
}
