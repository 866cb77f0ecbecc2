"""The README as HTML for a strict Content-Security-Policy, with anchors and without links that lead nowhere."""

import functools
import itertools
import posixpath
import re
from collections.abc import Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

IMAGES_URL = "readme/images/"
_IMAGES = "docs/images/"  # where the README's pictures are in the repository


@functools.lru_cache(maxsize=1)
def render(text: str, images: frozenset[str]) -> str:
    """The HTML of a Markdown text; ``images`` are the names of the pictures that can be shown.

    HTML in the text is escaped. Links to other files of the repository become plain text.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("fence", _fence)
    markdown.add_render_rule("table_open", _table_open)
    markdown.add_render_rule("table_close", _table_close)
    tokens = markdown.parse(text)
    sections = _name_headings(tokens)
    for token in tokens:
        if token.attrs.pop("style", None) == "text-align:right":
            token.attrJoin("class", "right")
        if token.children:
            token.children = [one for child in token.children for one in _working(child, images)]
            token.children = _without_dead_links(token.children)
    links = "".join(f'<li><a href="#{slug}">{escape(title)}</a></li>' for slug, title in sections)
    body: str = markdown.renderer.render(tokens, markdown.options, {})
    return f"<details><summary>Contents</summary><ul>{links}</ul></details>\n{body}"


def _name_headings(tokens: Sequence[Token]) -> list[tuple[str, str]]:
    """Gives each heading the anchor that GitHub gives it; anchor and title of those of the second level."""
    seen: dict[str, int] = {}
    sections = []
    for heading, inline in itertools.pairwise(tokens):
        if heading.type != "heading_open":
            continue
        children = inline.children or []
        title = "".join(child.content for child in children)
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        seen[slug] = seen.get(slug, -1) + 1
        slug = f"{slug}-{seen[slug]}" if seen[slug] else slug
        heading.attrSet("id", slug)
        inline.children = [
            Token("link_open", "a", 1, attrs={"href": f"#{slug}"}),
            *children,
            Token("link_close", "a", -1),
        ]
        if heading.tag == "h2":
            sections.append((slug, title))
    return sections


def _working(token: Token, images: frozenset[str]) -> list[Token]:
    if token.type != "image":
        return [token]
    folder, name = posixpath.split(str(token.attrs["src"]))
    token.attrs["src"] = IMAGES_URL + name
    return [token] if f"{folder}/" == _IMAGES and name in images else []


def _without_dead_links(tokens: Sequence[Token]) -> list[Token]:
    """Links do not nest, so an opening one and the next closing one belong together."""
    kept = []
    is_dead = False
    for token in tokens:
        if token.type == "link_open":
            is_dead = not re.match(r"https?://|#", str(token.attrs["href"]))
        if not (is_dead and token.type in ("link_open", "link_close")):
            kept.append(token)
    return kept


# The keyboard scrolls only focusable elements, so blocks wider than a phone are in the tab order.
def _fence(_: object, tokens: Sequence[Token], index: int, *__: Any) -> str:
    return f'<pre tabindex="0"><code>{escape(tokens[index].content)}</code></pre>\n'


def _table_open(*_: Any) -> str:
    return '<div class="wide" tabindex="0" role="group" aria-label="Table"><table>\n'


def _table_close(*_: Any) -> str:
    return "</table></div>\n"
