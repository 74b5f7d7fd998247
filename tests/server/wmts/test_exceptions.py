import pytest
from lxml import etree

from mosaics.models import Text
from server.wmts import exceptions
from server.wmts.exceptions import OwsError, render_exception
from server.wmts.language import language_of

OWS = {"ows": "http://www.opengis.net/ows/1.1"}

ERRORS = [
    (exceptions.missing("layer"), "MissingParameterValue", "layer", 400),
    (exceptions.invalid("Style"), "InvalidParameterValue", "Style", 400),
    (exceptions.contradictory("TileRow"), "InvalidParameterValue", "TileRow", 400),
    (exceptions.tile_out_of_range("TileRow"), "TileOutOfRange", "TileRow", 400),
    (exceptions.version_negotiation_failed(), "VersionNegotiationFailed", None, 400),
    (exceptions.invalid_update_sequence(), "InvalidUpdateSequence", None, 400),
    (exceptions.feature_info_not_supported(), "OperationNotSupported", "GetFeatureInfo", 501),
    (exceptions.not_acceptable(), "NoApplicableCode", None, 406),
    (exceptions.refused(403, Text(fr="Non.", en="No.")), "NoApplicableCode", None, 403),
]


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("case", ERRORS, ids=lambda case: f"{case[1]}-{case[2]}")
def test_report_is_valid_and_says_it(case, language, exception_schema):
    error, code, locator, status = case
    root = etree.fromstring(render_exception(error, language))
    exception_schema.assertValid(root)
    exception = root.find("ows:Exception", OWS)
    assert exception.get("exceptionCode") == code
    assert exception.get("locator") == locator
    assert error.status == status
    assert root.get("{http://www.w3.org/XML/1998/namespace}lang") == language
    assert root.get("version") == "1.1.0"
    assert exception.findtext("ows:ExceptionText", None, OWS) == getattr(error.message, language)


def test_texts_differ_between_languages():
    for error, *_ in ERRORS:
        assert error.message.fr != error.message.en
        assert str(error) == error.message.en


def test_what_a_message_holds_is_escaped():
    error = OwsError("NoApplicableCode", Text(fr='<a & "b">\x00\x0b', en="x"))
    root = etree.fromstring(render_exception(error, "fr"))
    assert root.findtext("ows:Exception/ows:ExceptionText", None, OWS) == '<a & "b">'


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ([], "fr"),
        ([("LANG", "en-GB")], "en"),
        ([("language", "eng"), ("service", "WMTS")], "en"),
        ([("lang", "de")], "fr"),
        ([("lang", "de"), ("language", "en")], "en"),
        ([("langs", "en")], "fr"),
    ],
)
def test_language_of_a_query_never_fails(query, expected):
    assert language_of(query) == expected
