"""Run by the Python that QGIS comes with: what a person does in it, without a screen.

    python3 qgis_session.py PROFILE < asked.json > done.json

Reads {"logins": {name: [user, password]}, "connections": [{"url", "login"}], "layers": [{"uri", "login",
"extent", "size", "file"}]}. A login becomes an entry of the authentication database, named by `authcfg`. A
connection is saved and opened in the browser panel; a layer is opened as its dialog does and drawn to a file.
Writes {"version", "methods", "connections": [[layers] or null], "layers": [{"valid", "crs", "extent",
"errors"}]}.
"""

import json
import os
import sys

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsAuthMethodConfig,
    QgsErrorItem,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsRasterLayer,
    QgsRectangle,
    QgsSettings,
)
from qgis.PyQt.QtCore import QEventLoop, QSize
from qgis.PyQt.QtGui import QColor

KEPT = []
"""Items of the browser panel: C++ frees them when their wrappers go, so they stay."""


def save_logins(logins: dict) -> dict:
    """Keep user names and passwords in the authentication database: name -> authcfg."""
    if not logins:
        return {}
    manager = QgsApplication.authManager()
    assert manager.setMasterPassword("master password of a test", True)  # noqa: FBT003 - its own signature
    saved = {}
    for name, (user, password) in logins.items():
        entry = QgsAuthMethodConfig("Basic")
        entry.setName(name)
        entry.setConfig("username", user)
        entry.setConfig("password", password)
        stored, entry = manager.storeAuthenticationConfig(entry)
        assert stored
        saved[name] = entry.id()
    return saved


def listed(number: int, asked: dict, saved: dict) -> list | None:
    """Save a WMS/WMTS connection and list what the browser panel shows in it; None: an error."""
    name = f"connection {number}"
    settings = QgsSettings()
    settings.setValue(f"qgis/connections-wms/{name}/url", asked["url"])
    if asked.get("login"):
        settings.setValue(f"qgis/WMS/{name}/authcfg", saved[asked["login"]])
    providers = QgsApplication.dataItemProviderRegistry().providers()
    root = next(provider for provider in providers if provider.name() == "WMS").createDataItem("", None)
    root.populate(True)  # noqa: FBT003 - its own signature
    connections = root.children()
    (connection,) = (item for item in connections if item.name() == name)
    connection.populate(True)  # noqa: FBT003 - its own signature
    items = connection.children()
    KEPT.extend([root, connections, items])
    if any(isinstance(item, QgsErrorItem) for item in items):
        return None
    return [item.name() for item in items]


def draw(asked: dict, saved: dict) -> dict:
    """Draw one layer over an extent of its CRS, on a transparent ground."""
    uri = asked["uri"]
    if asked.get("login"):
        uri += f"&authcfg={saved[asked['login']]}"
    layer = QgsRasterLayer(uri, "layer", "wms")
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
    loop = QEventLoop()  # a 401 in the drawing thread waits for the main one to ask the person
    job.finished.connect(loop.quit)
    job.start()
    loop.exec_()
    job.renderedImage().save(asked["file"])
    whole = layer.extent()
    return {
        "valid": True,
        "crs": layer.crs().authid(),
        "extent": [whole.xMinimum(), whole.yMinimum(), whole.xMaximum(), whole.yMaximum()],
        "errors": [error.message for error in job.errors()],
    }


application = QgsApplication([], False, sys.argv[1])  # noqa: FBT003 - its own signature
application.initQgis()
work = json.load(sys.stdin)
authcfg = save_logins(work["logins"])
done = {
    "version": Qgis.QGIS_VERSION,
    "methods": QgsApplication.authManager().authMethodsKeys(),
    "connections": [listed(number, asked, authcfg) for number, asked in enumerate(work["connections"])],
    "layers": [draw(asked, authcfg) for asked in work["layers"]],
}
json.dump(done, sys.stdout)
sys.stdout.flush()
os._exit(0)  # with the items of the panel alive, an orderly end would crash
