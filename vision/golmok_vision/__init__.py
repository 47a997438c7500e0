"""Camera pipelines: arrays in, numbers and meshes out."""
