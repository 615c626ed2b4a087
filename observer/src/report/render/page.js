"use strict";
// Everything is in the page without this; it makes a large one easier to use.
(() => {
  const all = (what, within = document) => [...within.querySelectorAll(what)];

  // Whoever follows a link to a service wants to see its card open.
  const unfold = () => {
    const card = location.hash && document.getElementById(location.hash.slice(1));
    if (card && card.matches("details.card")) {
      card.open = true;
      card.hidden = false;
      card.scrollIntoView();
    }
  };
  addEventListener("hashchange", unfold);
  unfold();

  // Paper can't be unfolded.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    folded.forEach((d) => { d.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((d) => { d.open = false; }));

  // Names that contain what is typed.
  const field = document.getElementById("filter");
  const count = document.querySelector(".filter output");
  const named = all("[data-name]").map((e) => [e, e.dataset.name.toLowerCase()]);
  field.closest(".filter").hidden = false;
  field.addEventListener("input", () => {
    const typed = field.value.trim().toLowerCase();
    let shown = 0;
    for (const [element, name] of named) {
      element.hidden = !name.includes(typed);
      shown += !element.hidden && element.matches(".card");
    }
    count.textContent = typed ? `${shown} services` : "";
  });

  // What the pointer or the keyboard is at, and its neighbours, stand out.
  const canvas = document.querySelector(".canvas");
  const lines = all(".line", canvas);
  const nodes = all(".node", canvas);
  const focus = (node) => {
    canvas.classList.toggle("focused", Boolean(node));
    all(".near", canvas).forEach((e) => e.classList.remove("near"));
    if (!node) return;
    const own = node.dataset.node;
    const near = new Set([own]);
    for (const line of lines) {
      const { from, to } = line.dataset;
      if (from === own || to === own) {
        line.classList.add("near");
        near.add(from).add(to);
      }
    }
    nodes.filter((n) => near.has(n.dataset.node)).forEach((n) => n.classList.add("near"));
  };
  for (const [on, off] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
    canvas.addEventListener(on, (e) => focus(e.target.closest(".node")));
    canvas.addEventListener(off, () => focus(null));
  }
})();
