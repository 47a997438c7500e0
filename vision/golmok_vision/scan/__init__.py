"""The 3D scanner: from pictures of laser lines on a turning piece to points in millimetres.

`Dataset` is where a scan's things lie, `Rig` the scanner as numbers, `find_line` the laser's line in a picture.
Each stage reads from the dataset and writes to it, and can be run again alone.
"""

from .cloud import Cloud, read_cloud, write_cloud
from .dataset import (
    LASERS,
    Board,
    Dataset,
    Description,
    Light,
    Picture,
    Steps,
    read_any_picture,
    read_description,
    write_description,
)
from .errors import (
    DatasetError,
    MeshError,
    NoRoomError,
    OrderError,
    PictureDamagedError,
    PictureMissingError,
    ScanError,
)
from .line import Line, find_line, find_points
from .rig import Lens, Plane, Pose, Rig, Turntable, turn

__all__ = [
    "LASERS",
    "Board",
    "Cloud",
    "Dataset",
    "DatasetError",
    "Description",
    "Lens",
    "Light",
    "Line",
    "MeshError",
    "NoRoomError",
    "OrderError",
    "Picture",
    "PictureDamagedError",
    "PictureMissingError",
    "Plane",
    "Pose",
    "Rig",
    "ScanError",
    "Steps",
    "Turntable",
    "find_line",
    "find_points",
    "read_any_picture",
    "read_cloud",
    "read_description",
    "turn",
    "write_cloud",
    "write_description",
]
