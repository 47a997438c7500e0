"""From a cloud of points to a closed model in millimetres.

`model_of` is the chain: samples (thin, clean, oriented), indicator (inside or outside), closed (marching cubes),
fitting (vertices onto the samples). Seconds on one core, a few hundred megabytes, closed whatever the cloud is; or it
says in words why there is no model.
"""

from golmok_vision.scan.mesh.build import model_of
from golmok_vision.scan.mesh.files import WRITERS, read_model, write_model
from golmok_vision.scan.mesh.model import INVENTED, MEASURED, PLATE, Model, is_closed
from golmok_vision.scan.mesh.simplify import simplified

__all__ = [
    "INVENTED",
    "MEASURED",
    "PLATE",
    "WRITERS",
    "Model",
    "is_closed",
    "model_of",
    "read_model",
    "simplified",
    "write_model",
]
