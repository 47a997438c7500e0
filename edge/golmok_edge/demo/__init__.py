"""The whole of Golmok on one laptop: what `golmok-demo` starts, watches and ends."""
