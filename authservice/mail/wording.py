"""The templates of the mails, all of them tried at the start."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateNotFound,
    TemplateSyntaxError,
    select_autoescape,
)

from authservice.mail.kinds import BY_NAME, Kind

PARTS = ("subject.txt", "txt", "html")
_OURS = Path(__file__).parent / "templates"
# What every template may use, and what its kind adds.
_SAMPLES = {
    "app_name": "Shop",
    "app_url": "https://app.example.com/",
    "minutes": "30",
    "days": "7",
    "link": "https://app.example.com/?action=sample&token=sample",
    "code": "1234 5678",
    "time": "2026-11-28 11:03 UTC",
    "device": "Firefox on Linux",
    "factor": "passkey",
}
OF_EVERY_KIND = ("app_name", "app_url", "minutes", "days")


def environment_of(folder: str | None) -> Environment:
    """The templates of ``folder`` and, where it has none, those of the service."""
    return _environment(Path(folder), _OURS) if folder else _of_the_service()


@functools.cache  # they never change, and their compilation takes 50 ms
def _of_the_service() -> Environment:
    return _environment(_OURS)


def _environment(*folders: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader(folders),
        autoescape=select_autoescape(("html",), default=False),
        undefined=StrictUndefined,
        auto_reload=False,  # what is sent is what was tried at the start
        cache_size=-1,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def fill(environment: Environment, kind: Kind, language: str, values: Mapping[str, str]) -> tuple[str, str, str]:
    """Subject, text and HTML. The subject knows ``app_name`` alone, so that nobody can type words into a header."""
    subject, text, html = (_filled(environment, kind, language, part, values) for part in PARTS)
    return subject, text, html


def faults_of(environment: Environment, languages: Iterable[str]) -> Iterator[str]:
    """One sentence for each template that is missing or cannot be filled in."""
    for language in languages:
        for kind in BY_NAME.values():
            values = {name: _SAMPLES[name] for name in (*OF_EVERY_KIND, *kind.facts)}
            for part in PARTS:
                try:
                    _filled(environment, kind, language, part, values)
                except Exception as error:  # a template is a program: it may raise anything
                    yield f"the template {_name_of(kind, language, part)} {_reason(error)}"


def _filled(environment: Environment, kind: Kind, language: str, part: str, values: Mapping[str, str]) -> str:
    template = environment.get_template(_name_of(kind, language, part))
    if part != "subject.txt":
        return template.render(values, language=language)
    subject = template.render(app_name=values["app_name"]).strip()
    # =? begins an encoded word, which could hide a line break (RFC 2047)
    if not subject or not subject.isprintable() or "=?" in subject:
        raise ValueError("a subject is one line")
    return subject


def _name_of(kind: Kind, language: str, part: str) -> str:
    return f"{language}/{kind.name}.{part}"


def _reason(error: Exception) -> str:
    if isinstance(error, TemplateNotFound):
        return f"cannot be read: there is no {error.name}"
    if isinstance(error, TemplateSyntaxError):
        return f"cannot be read: {error.message}, in line {error.lineno}"
    return f"cannot be filled in: {error}"
