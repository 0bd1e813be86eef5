/** What a person does in the explorer, and the seconds until it is painted. It is run in every page before the page's own code. */
(() => {
  /** Milliseconds without an open request after which a page has all it wants. */
  const QUIET = 200;
  const painted = () =>
    new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = resolve;
      requestAnimationFrame(() => port2.postMessage(null));
    });
  const until = (condition) =>
    new Promise((resolve) => {
      const look = () => condition() && (observer.disconnect(), resolve());
      const observer = new MutationObserver(look);
      observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
      look();
    });
  let open = 0;
  const { fetch } = globalThis;
  globalThis.fetch = (...request) => {
    open += 1;
    return fetch(...request).finally(() => (open -= 1));
  };
  const timed = async (act, condition) => {
    await painted();
    const started = performance.now();
    act();
    await until(condition);
    await painted();
    return (performance.now() - started) / 1000;
  };
  const find = (selector) => document.querySelector(selector);
  const isShown = (address) => find("#layer-title")?.textContent === address && !document.body.classList.contains("waiting") && find("#maps [role=gridcell]");
  const press = (element) => element.dispatchEvent(new MouseEvent("click", { bubbles: true }));

  globalThis.visit = {
    quiet: async () => {
      for (let since = performance.now(); performance.now() - since < QUIET; await painted()) if (open) since = performance.now();
    },
    first: (address) => until(() => isShown(address)).then(painted).then(() => performance.now() / 1000),
    layer: (address) => timed(() => find(`#layers li[data-address="${address}"]`).click(), () => isShown(address)),
    image: (link, image) =>
      timed(
        () => (location.hash = link),
        () => location.hash.includes(image) && find("#maps [role=gridcell]") && !document.body.classList.contains("waiting") && find("#image")?.complete,
      ),
    graph: () => timed(() => find("#tab-graph").click(), () => find(".box[aria-current]")),
    box: (address) =>
      timed(
        () => press(find(`.box[data-address="${address}"]`)),
        () => find(".box[aria-current]")?.getAttribute("data-address") === address && !document.body.classList.contains("waiting"),
      ),
    scrolling: async (frames) => {
      const graph = find(".graph");
      await painted();
      const started = performance.now();
      for (let frame = 0; frame < frames; frame += 1) {
        graph.scrollTop += 300;
        await painted();
      }
      return (performance.now() - started) / 1000;
    },
  };
})();
