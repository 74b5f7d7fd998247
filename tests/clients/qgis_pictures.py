"""Run by the Python that QGIS comes with: opens WMTS layers as its dialog does and draws them to files.

Reads [{"uri", "extent", "size", "file"}] on stdin; writes {"valid", "crs", "extent", "errors"} for each.
"""

import json
import sys

from qgis.core import QgsApplication, QgsMapRendererParallelJob, QgsMapSettings, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor


def draw(asked: dict) -> dict:
    """Draw one layer over an extent of its CRS, on a transparent ground."""
    layer = QgsRasterLayer(asked["uri"], "layer", "wms")
    if not layer.isValid():
        return {"valid": False, "errors": [layer.error().message()]}
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setOutputSize(QSize(*asked["size"]))
    settings.setOutputDpi(96)
    settings.setExtent(QgsRectangle(*asked["extent"]))
    settings.setBackgroundColor(QColor(0, 0, 0, 0))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(asked["file"])
    whole = layer.extent()
    return {
        "valid": True,
        "crs": layer.crs().authid(),
        "extent": [whole.xMinimum(), whole.yMinimum(), whole.xMaximum(), whole.yMaximum()],
        "errors": [error.message for error in job.errors()],
    }


application = QgsApplication([], False)  # noqa: FBT003 - its own signature
application.initQgis()
json.dump([draw(asked) for asked in json.load(sys.stdin)], sys.stdout)
sys.stdout.flush()
