"""The drawing board: the marked image, the tools to draw with, and the list of regions, as HTML for `assets/board.js`."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from PIL import Image

from spatialreasoner.app.regions import describe_region
from spatialreasoner.app.sessions import Session
from spatialreasoner.core.data_uri import data_uri
from spatialreasoner.core.types import Region
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.marks import MARK_COLOURS, draw

DRAWING_TOOLS = (
    ("box", "Box", "drag from corner to corner"),
    ("polygon", "Outline", "click corner after corner; click the first one or press Enter to close"),
    ("brush", "Brush", "paint over the thing"),
)
PICK = ("pick", "Pick", "click a thing that was detected")

_EMPTY = Markup(
    '<div class="sr-board"><p class="sr-empty">Open a picture, drop one here, or choose an example above.</p></div>'
)


def board(session: Session) -> Markup:
    """The drawing board of a session."""
    scene = session.scene
    if scene is None:
        return _EMPTY
    picture = read_image(scene.image)
    tools = (PICK, *DRAWING_TOOLS) if scene.regions else DRAWING_TOOLS
    return Markup('<div class="sr-board">{}{}{}</div>').format(
        _tools(tools), _stage(picture, session.drawn), _regions(session.drawn)
    )


def _tools(tools: Sequence[tuple[str, str, str]]) -> Markup:
    buttons = Markup("").join(
        Markup('<button type="button" data-tool="{}" data-hint="{}" aria-pressed="false">{}</button>').format(tool, hint, name)
        for tool, name, hint in tools
    )
    return Markup(
        '<div class="sr-tools" role="toolbar" aria-label="drawing tools">{}<span class="sr-hint"></span></div>'
    ).format(buttons)


def _stage(picture: Image.Image, drawn: Sequence[Region]) -> Markup:
    width, height = picture.size
    count = "no regions yet" if not drawn else f"{len(drawn)} numbered region{'s' if len(drawn) > 1 else ''}"
    return Markup(
        '<div class="sr-stage" data-width="{w}" data-height="{h}"><img src="{src}" width="{w}" height="{h}" draggable="false" '
        'alt="the picture, {count}"><svg viewBox="0 0 {w} {h}" aria-hidden="true"></svg></div>'
    ).format(w=width, h=height, src=data_uri(draw(picture, drawn), "JPEG", quality=88), count=count)


def _regions(drawn: Sequence[Region]) -> Markup:
    if not drawn:
        return Markup('<p class="sr-regions sr-soft">Draw one or two regions; they get numbers to ask about.</p>')
    rows = Markup("").join(
        Markup(
            '<li><span class="sr-chip sr-c{}">{}</span>{}<button type="button" data-remove="{}" aria-label="remove region {}">×'
            "</button></li>"
        ).format((number - 1) % len(MARK_COLOURS), number, describe_region(region), number, number)
        for number, region in enumerate(drawn, start=1)
    )
    return Markup('<ul class="sr-regions" aria-label="regions">{}</ul>').format(rows)
