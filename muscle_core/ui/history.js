// Streamlit makes every change of the URL a step of the browser's history, also those that nobody asked for: a page that
// writes its defaults on arrival, and the parameters that st.switch_page writes before it goes. "Back" would then lead to
// where one just was. Here a click or a key makes one step at most, and what follows without either completes it.
(() => {
  if (window.muscleHistory) return;
  window.muscleHistory = true;
  const push = window.history.pushState.bind(window.history);
  const replace = window.history.replaceState.bind(window.history);
  let arrived = true; // nobody has done anything since this page was opened
  let stepped = false; // the last click or key has made its step
  const acted = () => {
    arrived = false;
    stepped = false;
  };
  for (const event of ["pointerdown", "keydown"]) window.addEventListener(event, acted, true);
  window.addEventListener("popstate", () => {
    arrived = true;
    stepped = false;
  }, true);
  window.history.pushState = (state, title, url) => {
    const here = new URL(url ?? "", window.location.href).pathname === window.location.pathname;
    const completes = here ? arrived || stepped : stepped;
    (completes ? replace : push)(state, title, url);
    arrived = !here || arrived;
    stepped = here ? stepped || !arrived : false;
  };
})();
