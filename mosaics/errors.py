"""The errors of mosaics, one root and leaves named for the fact; no status codes here.

MosaicsError
├── CatalogUnavailableError
├── CatalogReadOnlyError        scenes and collections are kept in pgSTAC
├── LayerNotFoundError
├── StyleNotFoundError
├── StyleFormatError             the style's pixels mean numbers, which that format would change
├── GridNotFoundError
├── SensorNotFoundError
├── TileOutsideGridError
├── IndexNotFoundError
├── ColormapNotFoundError
├── BandsNotFoundError
├── StyleUnsuitableError
├── ChangeUnsuitableError       a style has no value of which two dates could be compared
├── TimeNotFoundError
├── SceneUnreadableError
├── NobodyWaitsError             the one who asked has gone; nobody sees it
├── ClusterUnavailableError     a cluster was to bank; the message says what to do
├── DefinitionInvalidError      what somebody has written; the message says why
│   ├── FilterInvalidError      a filter of scenes can't be understood
│   └── MosaicInvalidError      a mosaic's definition breaks a rule
├── MosaicNotFoundError
├── NameTakenError              a collection or mosaic has that id
├── DataFileInvalidError        a grid, sensor or style file breaks its rule
└── IngestError                 a file can't be banked; the message says what to do
"""

import reprlib
from typing import Final

_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = 80


class MosaicsError(Exception):
    """Root of all errors raised by mosaics."""


class CatalogUnavailableError(MosaicsError):
    """The catalogue's store does not answer."""


class CatalogReadOnlyError(MosaicsError):
    """Scenes and collections are kept by others, and are not changed here."""

    def __init__(self) -> None:
        super().__init__("scenes and collections are kept in pgSTAC: change them with its own tools")


class LayerNotFoundError(MosaicsError):
    """No such layer, or none of its scenes is in the caller's filter; the two are never told apart."""

    def __init__(self, layer_id: str) -> None:
        super().__init__("no such layer")
        self.layer_id = layer_id


class StyleNotFoundError(MosaicsError):
    """The layer has no style of that name."""

    def __init__(self, style_id: str) -> None:
        super().__init__("the layer has no such style")
        self.style_id = style_id


class StyleFormatError(MosaicsError):
    """The style's pixels mean numbers, and the format that is asked for would change them."""

    def __init__(self, formats: tuple[str, ...]) -> None:
        super().__init__(f"the style is given as {' or '.join(formats)} only")
        self.formats = formats


class IndexNotFoundError(MosaicsError):
    """No index of that name."""


class ColormapNotFoundError(MosaicsError):
    """No colour map of that name."""


class BandsNotFoundError(MosaicsError):
    """The scene has not the bands."""


class StyleUnsuitableError(MosaicsError):
    """The style has no place for a range, a colour map or a gamma as it is wanted."""


class ChangeUnsuitableError(MosaicsError):
    """The style has no one value whose difference between two dates could be shown, or no range for it."""


class GridNotFoundError(MosaicsError):
    """No tile matrix set of that name."""

    def __init__(self, tms_id: str) -> None:
        super().__init__("no such tile matrix set")
        self.tms_id = tms_id


class SensorNotFoundError(MosaicsError):
    """No sensor of that name."""

    def __init__(self, sensor_id: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown sensor {sensor_id!r}; known are: {', '.join(known)}")
        self.sensor_id = sensor_id
        self.known = known


class NobodyWaitsError(MosaicsError):
    """Nobody wants the picture any more that was being made."""


class TileOutsideGridError(MosaicsError):
    """The matrix, row or column does not exist in the grid."""

    def __init__(self, part: str) -> None:
        super().__init__("outside the tile matrix set")
        self.part = part
        """Which of 'matrix', 'row', 'col' is outside."""


class TimeNotFoundError(MosaicsError):
    """The layer has nothing at that date, or the time can't be parsed."""

    def __init__(self, time: str) -> None:
        super().__init__("the layer has no such date")
        self.time = time


class SceneUnreadableError(MosaicsError):
    """A banked file can't be read any more; the scene fails alone."""

    def __init__(self, scene_id: str) -> None:
        super().__init__("a source file can't be read")
        self.scene_id = scene_id


class DefinitionInvalidError(MosaicsError):
    """What somebody has written can't be taken."""

    def __init__(self, reason: str, asked: object = None) -> None:
        super().__init__(reason if asked is None else f"{_SHORT.repr(asked)}: {reason}")
        self.reason = reason
        """Names nothing of what was written, as the message does."""
        self.asked = asked
        """What of it is at fault; None: that isn't one thing."""


class FilterInvalidError(DefinitionInvalidError):
    """A filter of scenes can't be understood; the reason says what is known."""


class MosaicInvalidError(DefinitionInvalidError):
    """The definition of a mosaic breaks a rule; the reason says which."""


class MosaicNotFoundError(MosaicsError):
    """No mosaic of that id."""

    def __init__(self, mosaic_id: str) -> None:
        super().__init__(f"no mosaic {mosaic_id!r}")
        self.mosaic_id = mosaic_id


class NameTakenError(MosaicsError):
    """Collections and mosaics share their ids, and this one is taken."""

    def __init__(self, id_: str, kind: str) -> None:
        super().__init__(f"{id_!r} is the id of a {kind}: choose another one")
        self.id = id_
        self.kind = kind
        """collection or mosaic: what has it."""


class DataFileInvalidError(MosaicsError):
    """A grid, sensor or style file breaks a rule of its folder's README."""


class ClusterUnavailableError(MosaicsError):
    """The cluster that was to bank does not answer, or has nobody who can."""


class IngestError(MosaicsError):
    """A file can't be banked; the message gives the reason and what would help."""
