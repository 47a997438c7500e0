"""`golmok-scan`: the 3D scanner's stages, one command each. The pipelines are vision's, the hardware the drivers'."""
