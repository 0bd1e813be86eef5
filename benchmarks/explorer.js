/**
 * Two ways to show a layer, in an empty page of the service: as the explorer does, with its own modules, and with pictures.
 * Each takes the id of an image and gives the seconds until it is painted.
 */
async ([name, address]) => {
  const files = ["client/layerscope.js", "session.js", "grid.js", "maps.js"];
  const [{ Client }, { Session }, { Grid }, { takePalettes }] = await Promise.all(files.map((file) => import(`/ui/${file}`)));
  const explorer = new DOMParser().parseFromString(await (await fetch("/ui/")).text(), "text/html");
  takePalettes(JSON.parse(explorer.getElementById("shipped").textContent).palettes);
  document.head.append(explorer.querySelector("style"));
  const client = new Client(location.origin);
  const model = client.model(`${name}@1`);
  const layer = (await model.layers()).layers.find((each) => each.address === address);

  const painted = () =>
    new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = resolve;
      requestAnimationFrame(() => port2.postMessage(null));
    });
  const timed = async (show) => {
    await painted();
    const started = performance.now();
    await show();
    await painted();
    return (performance.now() - started) / 1000;
  };
  const cleared = () => {
    document.body.replaceChildren();
    document.body.style.display = "block";
  };

  const grid = () => {
    cleared();
    const [scroller, canvas, cells] = ["div", "canvas", "div"].map((kind) => document.createElement(kind));
    scroller.className = "grid-scroll";
    scroller.style.height = "100vh";
    cells.className = "grid-cells";
    scroller.append(canvas, cells);
    document.body.append(scroller);
    return new Grid(scroller, canvas, cells, { open: () => {}, hover: () => {} });
  };
  const looked = async (image) => {
    const session = new Session(client, `${name}@1`, image);
    await session.layers();
    return session;
  };
  const draw = async (shown, session, palette) => shown.show(await session.maps(layer), { palette, normalize: "channel" }, { order: "number", size: "112", shown: "" });
  const pictures = (image, options) => async () => {
    const all = Array.from({ length: layer.channels }, (_, channel) => {
      const picture = new Image();
      picture.src = model.url("feature-map.png", image, { layer: address, channel, ...options });
      return picture;
    });
    document.body.replaceChildren(...all);
    await Promise.all(all.map((picture) => picture.decode()));
  };

  globalThis.ways = {
    shown: {
      canvas: async (image) => {
        const [shown, session] = [grid(), await looked(image)];
        return timed(() => draw(shown, session, "auto"));
      },
      pictures: (image) => {
        cleared();
        return timed(pictures(image, {}));
      },
    },
    recoloured: {
      canvas: async (image) => {
        const [shown, session] = [grid(), await looked(image)];
        await draw(shown, session, "auto");
        return timed(() => draw(shown, session, "magma"));
      },
      pictures: async (image) => {
        cleared();
        await pictures(image, {})();
        return timed(pictures(image, { colormap: "magma" }));
      },
    },
  };
}
