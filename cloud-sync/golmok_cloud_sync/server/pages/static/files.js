// The files of a gateway: what is here, to be taken away, and how much is still to come.

import { ageOf, download, get, save } from "./api.js";
import { byId, el, number, say, setAge, texts } from "./dom.js";

const STEADY_MS = 60_000;
const COMING_MS = 5_000;
const size = (bytes) => bytes < 1e3 ? `${bytes} B` : bytes < 1e6 ? `${number(bytes / 1e3)} kB` : `${number(bytes / 1e6, 1)} MB`;

function row(path, file) {
  const name = file.group ? `${file.group}-${file.name}` : file.name;
  const button = el("button", { type: "button", "aria-label": `${texts.file_get} ${name}` }, texts.file_get);
  button.addEventListener("click", async () => {
    const blob = await download(`${path}/${file.id}`, "*/*");
    byId("files-said").textContent = blob ? "" : texts.file_refused;
    if (blob) save(blob, name);
  });
  const age = el("time", { datetime: file.arrived, class: "soft" });
  setAge(age, ageOf(file.arrived));
  return el("li", {}, el("b", {}, file.name), el("span", { class: "soft" }, file.group),
    el("span", { title: `SHA-256 ${file.sha256}` }, size(file.size)), age, button);
}

// Shows what is at `path`, now and from now on.
export function showFiles(path) {
  let seen = ""; // a list that is written anew takes the focus away
  let timer = 0;
  const ask = async () => {
    clearTimeout(timer);
    const found = await get(path);
    if (found) {
      byId("files").hidden = !found.files.length && !found.coming.length;
      const ids = found.files.map((file) => file.id).join();
      if (ids !== seen) byId("files-list").replaceChildren(...found.files.map((file) => row(path, file)));
      seen = ids;
      const sum = (key) => size(found.coming.reduce((all, file) => all + file[key], 0));
      byId("files-coming").textContent = found.coming.length
        ? say("files_coming", { count: found.coming.length, size: sum("size"), received: sum("received") }) : "";
    }
    timer = setTimeout(ask, found?.coming.length ? COMING_MS : STEADY_MS);
  };
  return ask;
}
