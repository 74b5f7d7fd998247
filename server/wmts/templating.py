"""The jinja2 environment of the documents in `templates/`: everything is escaped, nothing may be missing."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 can't hold, not even escaped."""


def _holdable(value: object) -> object:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _NOT_IN_XML.sub("", value)


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("server.wmts", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_holdable,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: object) -> bytes:
    """Render a template of this package.

    Args:
        template: File name below `templates/`.
        values: What the template names; texts are escaped, and lose what XML can't hold.

    Returns:
        The document, UTF-8.
    """
    return _environment().get_template(template).render(**values).encode()


def macro(template: str, name: str) -> Callable[..., Markup]:
    """Give a macro of a template of this package: what it writes stands in others as it is.

    Args:
        template: File name below `templates/`.
        name: Of the macro.
    """
    found: Callable[..., Markup] = getattr(_environment().get_template(template).module, name)
    return found


def joined(texts: Iterable[str], between: str) -> Markup:
    """Write texts without line breaks one after the other, escaped all at once.

    Args:
        texts: The texts.
        between: Markup that stands between two of them.
    """
    return Markup(str(escape(_holdable("\n".join(texts)))).replace("\n", between))  # noqa: S704 - it is escaped
