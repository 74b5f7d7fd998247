"""Builds what opens the files of scenes: those of this machine, and of the store where one is used."""

from __future__ import annotations

from mosaics.places import ObjectPrefix
from mosaics.tiff.objects import StoreOptions
from mosaics.tiff.scene_files import SceneFiles, Sources
from server.settings import Settings


def scene_files(settings: Settings) -> SceneFiles:
    """Give what opens files, below the folders and prefixes of the settings only.

    Without a data root in a store there is no store.

    Args:
        settings: All settings.
    """
    return scene_sources(settings).files()


def scene_sources(settings: Settings) -> Sources:
    """Give what other processes need to open the same files."""
    if not any(isinstance(root, ObjectPrefix) for root in settings.data_roots):
        return Sources(roots=settings.readable_roots)
    s3 = settings.s3
    return Sources(
        roots=settings.readable_roots,
        store=StoreOptions(
            endpoint=s3.endpoint,
            region=s3.region,
            access_key=s3.access_key,
            secret_key=s3.secret(),
            path_style=s3.path_style,
            timeout_seconds=s3.timeout_seconds,
        ),
    )
