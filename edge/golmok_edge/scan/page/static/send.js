// A scan's way to the cloud: the button, the bar, and what is said of it.

import { byId, say, texts } from "/static/dom.js";

const KINDS = { sent: "good", sending: "soft", queued: "soft" };
export const isTold = (cloud) => Boolean(KINDS[cloud?.code]);
export const kindOf = (code) => KINDS[code] ?? (code.startsWith("failed") ? "bad" : "warn");
export const toldOf = ({ code, percent }) =>
  [texts[`cloud_${code}`], code === "sending" || percent % 100 ? say("share", { n: percent }) : ""].join(" ").trim();

export const showCloud = (scan, post) => {
  byId("cloud").hidden = !scan.files.some((file) => file === "mesh.stl" || file === "mesh.glb");
  if (!byId("send")) return;
  const { cloud } = scan;
  const isOver = !cloud || cloud.code === "sent" || cloud.code.startsWith("failed");
  byId("send").hidden = !isOver || (cloud?.code === "sent" && !cloud.changed);
  byId("send").textContent = cloud ? texts.send_again : texts.send;
  byId("send").onclick = () => post("/send", { scan: scan.name });
  byId("cloud-bar").hidden = isOver;
  byId("cloud-bar").value = cloud?.percent ?? 0;
  byId("cloud-said").textContent = !cloud ? "" : cloud.code === "sent" && cloud.changed ? texts.send_changed : toldOf(cloud);
  byId("cloud-said").className = cloud ? kindOf(cloud.code) : "soft";
  byId("cloud-said").title = cloud?.detail ?? "";
};
