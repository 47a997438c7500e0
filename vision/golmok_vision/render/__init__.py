"""Pictures of a made world whose truth is known: what accuracy is judged against.

The scanner's twin is product: it makes datasets that the pipeline cannot tell from captured ones, on a laptop with no
hardware. Only pictures go from here to a pipeline; what is true goes to `truth/`, and only comparing reads it.
"""
