// The model, turning: three.js draws it, a finger or a mouse takes over. Nothing is loaded but the model itself.

import * as THREE from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";

let view = null;
const INVENTED = 1, BASE = 2; // as in mesh.ply; in the report's colours
const MARKS = { [INVENTED]: new THREE.Color("rgb(214, 76, 48)"), [BASE]: new THREE.Color("rgb(120, 130, 150)") };

const begin = (place) => {
  const renderer = new THREE.WebGLRenderer({ antialias: true, alpha: true });
  const scene = new THREE.Scene();
  const camera = new THREE.PerspectiveCamera(35, 1, 0.001, 100);
  const controls = new OrbitControls(camera, renderer.domElement);
  const key = new THREE.DirectionalLight(0xffffff, 2.2);
  key.position.set(1, 2, 3);
  camera.add(key);
  scene.add(camera, new THREE.HemisphereLight(0xffffff, 0x888888, 1.6));
  controls.autoRotate = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  controls.addEventListener("start", () => { controls.autoRotate = false; });
  place.append(renderer.domElement);
  const fit = () => {
    const { width, height } = place.getBoundingClientRect();
    renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    renderer.setSize(width, height, false);
    camera.aspect = width / height;
    camera.updateProjectionMatrix();
  };
  new ResizeObserver(fit).observe(place);
  fit();
  renderer.setAnimationLoop(() => { controls.update(); renderer.render(scene, camera); });
  return { scene, camera, controls, model: null, url: "", paints: [] };
};

// Scaled to one, whatever its unit: the numbers in millimetres stand in the report.
const settle = (model) => {
  const box = new THREE.Box3().setFromObject(model);
  const size = box.getSize(new THREE.Vector3()).length() || 1;
  const whole = new THREE.Group();
  model.position.sub(box.getCenter(new THREE.Vector3()));
  whole.add(model);
  whole.scale.setScalar(1 / size);
  model.traverse((part) => {
    if (!part.isMesh) return;
    if (!part.geometry.attributes.normal) part.geometry.computeVertexNormals();
    part.material.side = THREE.DoubleSide;
    Object.assign(part.material, { metalness: 0, roughness: 0.75 }); // left out, glTF takes it for polished metal
  });
  return whole;
};

// For each part its own colours, and the same with what was not seen marked; and how much of all surface that is.
const marked = (model) => {
  const shares = { [INVENTED]: 0, [BASE]: 0 };
  const [a, b, c] = [new THREE.Vector3(), new THREE.Vector3(), new THREE.Vector3()];
  const paints = [];
  let whole = 0;
  model.traverse((part) => {
    const { _invented: kinds, color: own, position } = part.geometry?.attributes ?? {};
    if (!kinds) return;
    const index = part.geometry.index;
    const painted = new THREE.Float32BufferAttribute(new Float32Array(3 * kinds.count).fill(0.8), 3);
    for (let i = 0; i < kinds.count; i++) {
      const mark = MARKS[kinds.getX(i)];
      if (mark) painted.setXYZ(i, mark.r, mark.g, mark.b);
      else if (own) painted.setXYZ(i, own.getX(i), own.getY(i), own.getZ(i));
    }
    for (let i = 0; index && i < index.count; i += 3) {
      const corners = [index.getX(i), index.getX(i + 1), index.getX(i + 2)];
      [a, b, c].forEach((corner, k) => corner.fromBufferAttribute(position, corners[k]));
      const area = b.sub(a).cross(c.sub(a)).length();
      whole += area;
      for (const corner of corners) if (MARKS[kinds.getX(corner)]) shares[kinds.getX(corner)] += area / 3;
    }
    paints.push({ part, own, painted });
  });
  return { paints, unseen: paints.length ? { invented: shares[INVENTED] / whole, base: shares[BASE] / whole } : null };
};

export const mark = (isOn) => {
  for (const { part, own, painted } of view?.paints ?? []) {
    if (isOn || own) part.geometry.setAttribute("color", isOn ? painted : own);
    part.material.vertexColors = isOn || Boolean(own);
    part.material.needsUpdate = true;
  }
};

// Gives how much of the surface was not seen, or null where the file does not tell.
export const show = async (place, url) => {
  view ??= begin(place);
  if (view.url === url) return view.unseen;
  const loaded = await new GLTFLoader().loadAsync(url);
  if (view.model) view.scene.remove(view.model);
  view.url = url;
  view.model = settle(loaded.scene);
  Object.assign(view, marked(loaded.scene));
  view.scene.add(view.model);
  view.camera.position.set(0, 0.45, 1.75);
  view.controls.target.set(0, 0, 0);
  place.dataset.shows = url;
  return view.unseen;
};
