"""What documents say at their beginning, whatever they are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosaics.products.dimap_heads import dimap_kind
from tests.conftest import IMAGERY

SKELETONS = IMAGERY / "skeletons"
BUNDLE = SKELETONS / "pleiades_dimap2" / "bundle"
IDENTITY = "<Metadata_Identification>{}</Metadata_Identification>"
TWO = "<METADATA_FORMAT version='2.15'>DIMAP</METADATA_FORMAT>"
PART = "<METADATA_SUBPROFILE>{}</METADATA_SUBPROFILE>"
ONE = "<Dimap_Document><Metadata_Id><METADATA_FORMAT>DIMAP</METADATA_FORMAT>{}</Metadata_Id></Dimap_Document>"


@pytest.mark.imagery
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (BUNDLE / "VOL_PHR.XML", "volume"),
        (BUNDLE / "DIM_foo.XML", "dataset"),
        (BUNDLE / "RPC_foo.XML", "part"),
        (BUNDLE / "STRIP_foo_DIM.XML", "part"),
        (SKELETONS / "pneo_dimap2" / "vhr2020_ms_fs" / "VOL_PNEO.XML", "volume"),
        (SKELETONS / "pneo_pleiades_jp2" / "RPC_md_pneo.XML", "part"),
        (SKELETONS / "spot6" / "rpc_SPOT6.xml", "part"),
        (SKELETONS / "spot_dimap1" / "METADATA.DIM", "scene"),
        (SKELETONS / "spot5_dimap1_METADATA.DIM", "scene"),
        (SKELETONS / "pleiades_real" / "PHRDIMAP_P1BP--2018122638935449CP.XML", "internal"),
        (SKELETONS / "radarsat2" / "product.xml", None),
        (SKELETONS / "spot_dimap1" / "IMAGERY.TIF", None),
        (SKELETONS / "missing.xml", None),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else None,
)
def test_real_documents(path: Path, kind: str | None) -> None:
    assert dimap_kind(path) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<Dimap_Document>" + IDENTITY.format(TWO + "<METADATA_PROFILE>VOLUME</METADATA_PROFILE>"), "volume"),
        ("<Dimap_Document>" + IDENTITY.format(TWO + PART.format("PRODUCT")), "dataset"),
        ("<Dimap_Document>" + IDENTITY.format(TWO + PART.format("LUT")), "part"),
        ("<Dimap_Document>" + IDENTITY.format(TWO), None),
        ("<Dimap_Document>" + IDENTITY.format("<METADATA_FORMAT>OTHER</METADATA_FORMAT>"), None),
        ("<Other>" + IDENTITY.format(TWO + PART.format("PRODUCT")), None),
        (ONE.format("<METADATA_PROFILE>SPOTSCENE_1B</METADATA_PROFILE>"), "scene"),
        (ONE.format("<METADATA_PROFILE>BEAM-DATAMODEL-V1</METADATA_PROFILE>"), "part"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]>" + ONE.format(""), None),
        ("<Dimap_Document><Metadata_Id>", None),
        ("<a><Metadata_Id/></b>", None),
        ("no document", None),
        ("", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_made_documents(tmp_path: Path, text: str, kind: str | None, encoding: str) -> None:
    path = tmp_path / "of any name.Xml"
    path.write_text(text, encoding=encoding)
    assert dimap_kind(path) == kind
    other = path.rename(tmp_path / "a.txt")
    assert dimap_kind(other) is None, "no other ending is opened"


def test_only_the_head_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.dim"
    path.write_text(f"<!--{' ' * 10_000}-->" + ONE.format(""))
    assert dimap_kind(path) is None
    path.write_text(ONE.format("").replace("</Dimap_Document>", "x" * 1_000_000))
    assert dimap_kind(path) == "scene"
