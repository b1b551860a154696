/**
 * The client where there is no page: a worker that listens, and says what came.
 */
import { Live } from "/assets/js/live.js";

const live = new Live({ url: "/live", token: () => "a live token" });
live.addEventListener("status", ({ detail }) => postMessage({ state: detail.state, way: live.way }));
live.addEventListener("change", ({ detail }) => postMessage({ added: detail.added.map(({ title }) => title) }));
live.start();
