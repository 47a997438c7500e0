// The model, turning: three.js draws it, a finger or a mouse takes over. Nothing is loaded but the model itself.

import * as THREE from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";

let view = null;

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
  return { scene, camera, controls, model: null, url: "" };
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

export const show = async (place, url) => {
  view ??= begin(place);
  if (view.url === url) return;
  const loaded = await new GLTFLoader().loadAsync(url);
  if (view.model) view.scene.remove(view.model);
  view.url = url;
  view.model = settle(loaded.scene);
  view.scene.add(view.model);
  view.camera.position.set(0, 0.45, 1.75);
  view.controls.target.set(0, 0, 0);
  place.dataset.shows = url;
};
