"""Names of endpoints: `api:MODEL@BASE_URL`, with settings behind a question mark, or a name from a YAML file of endpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

from spatialreasoner.core.errors import ConfigError, RecordError
from spatialreasoner.core.records import require_file
from spatialreasoner.inference.capabilities import EFFORTS, Capabilities, is_setting, with_settings
from spatialreasoner.inference.prices import given_price

_NAME = re.compile(r"(?P<model>[^@\s]{1,200})@(?P<url>https?://[^\s?#]{1,500})(?:\?(?P<settings>[^\s#]{1,1000}))?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")
_OWN = frozenset(
    {"price", "key_variable", "timeout", "concurrency", "per_minute", "max_new_tokens", "reasoning_effort", "thinking"}
)
_MOST_BYTES = 2**20
_EXAMPLE = "api:qwen2.5-vl-7b@http://127.0.0.1:8000/v1"


@dataclass(frozen=True, kw_only=True)
class EndpointName:
    """A model, where it is served, and what was set by hand, as texts."""

    model: str
    url: str
    settings: Mapping[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        """The name, settings in the order of their names: records and journals hold it."""
        query = "&".join(f"{name}={quote(value, safe='/.:-')}" for name, value in sorted(self.settings.items()))
        return f"api:{self.model}@{self.url}{'?' if query else ''}{query}"

    def capabilities(self) -> dict[str, str]:
        """The settings that say what the endpoint takes."""
        return {name: value for name, value in self.settings.items() if is_setting(name) and name not in self._values()}

    def number(self, name: str) -> float | None:
        """A setting that is a number, or None if it is not set.

        Raises:
            ConfigError: If it is not a positive number.
        """
        value = self.settings.get(name)
        if value is None or (is_setting(name) and name not in self._values()):
            return None
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 1e7:
            raise ConfigError(f"the endpoint's setting {name} must be a number from 0 to 10,000,000")
        return number

    def _values(self) -> set[str]:
        """Of the settings that can hold a value or say whether something is sent, those that hold a value."""
        numbers = {name for name in ("temperature", "top_p") if re.fullmatch(r"[\d.]{1,12}", self.settings.get(name, ""))}
        return numbers | ({"reasoning_effort"} if self.settings.get("reasoning_effort") in EFFORTS else set())


def parse_name(name: str) -> EndpointName:
    """Read `api:MODEL@BASE_URL?SETTING=VALUE&...`.

    >>> parsed = parse_name("api:qwen2.5-vl-7b@http://127.0.0.1:8000/v1/?system=user")
    >>> parsed.model, parsed.url, dict(parsed.settings)
    ('qwen2.5-vl-7b', 'http://127.0.0.1:8000/v1', {'system': 'user'})

    Raises:
        ConfigError: If it has another form, the URL holds credentials, or there is no such setting. Values are not repeated.
    """
    match = _NAME.fullmatch(name.removeprefix("api:"))
    if match is None:
        raise ConfigError(f"expected api:MODEL@BASE_URL, such as {_EXAMPLE}; got {_hidden(name)!r}")
    _check_url(match["url"])
    settings = dict(parse_qsl(match["settings"] or "", keep_blank_values=True, max_num_fields=40))
    if unknown := [key for key in settings if key not in _OWN and not is_setting(key)]:
        raise ConfigError(
            f"an endpoint has no setting {unknown[0][:40]!r}; a base URL must hold neither a password nor a query, because "
            "names are written to logs: put the key in OPENAI_API_KEY"
        )
    _check_settings(settings)
    parsed = EndpointName(model=match["model"], url=match["url"].rstrip("/"), settings=settings)
    with_settings(Capabilities(), parsed.capabilities())
    for name in ("temperature", "top_p", "timeout", "concurrency", "per_minute", "max_new_tokens"):
        parsed.number(name)
    if "price" in settings:
        given_price(settings["price"])
    return parsed


def read_endpoints(path: str | Path) -> dict[str, str]:
    """The names of endpoints in a YAML file: `NAME: {model: ..., url: ..., SETTING: VALUE, ...}`, by NAME.

    Raises:
        MissingFileError: If the file does not exist.
        RecordError: If it has another form.
        ConfigError: If a setting is unknown.
    """
    import yaml

    path = require_file(path)
    if path.stat().st_size > _MOST_BYTES:
        raise RecordError(f"{path}: expected at most {_MOST_BYTES} bytes; got {path.stat().st_size}")
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise RecordError(f"{path}: not YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(read, dict) or not read:
        raise RecordError(f"{path}: expected endpoints by their names; got {type(read).__name__}")
    return {str(name): _written(path, str(name), settings) for name, settings in read.items()}


def expand_name(names: Sequence[str], endpoints: Path | None) -> list[str]:
    """Names of models, those of a YAML file of endpoints replaced by what they stand for.

    Raises:
        InputError: If the file is missing or wrong.
    """
    known = {} if endpoints is None else read_endpoints(endpoints)
    return [known.get(name, name) for name in names]


def _written(path: Path, name: str, settings: object) -> str:
    if not isinstance(settings, dict) or not {"model", "url"} <= settings.keys():
        raise RecordError(f"{path}: expected {name[:40]!r} to have at least a model and a url")
    texts = {str(key): _text(value) for key, value in settings.items()}
    if isinstance(thinking := settings.get("thinking"), bool):  # as YAML reads on and off
        texts["thinking"] = "on" if thinking else "off"
    model, url = texts.pop("model"), texts.pop("url")
    return str(
        parse_name(f"api:{model}@{url}{'?' if texts else ''}{'&'.join(f'{key}={quote(text)}' for key, text in texts.items())}")
    )


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):  # a price: [1.25, 10]
        return "/".join(str(part) for part in value[:3] if isinstance(part, int | float | str))
    return str(value)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"expected a base URL such as http://127.0.0.1:8000/v1: {error}") from None
    if parts.username is not None or "@" in parts.netloc:
        raise ConfigError(
            "expected api:MODEL@BASE_URL with no password in the URL: names are written to logs; put the key in OPENAI_API_KEY"
        )
    if not parts.hostname or port == 0 or len(parts.hostname) > 253:
        raise ConfigError(
            "expected a base URL with a host of at most 253 characters, and a port from 1 to 65535 if any, such as "
            f"http://127.0.0.1:8000/v1; got {url[:80]!r}"
        )


def _check_settings(settings: Mapping[str, str]) -> None:
    variable, effort, thinking = (settings.get(name) for name in ("key_variable", "reasoning_effort", "thinking"))
    if variable is not None and not _VARIABLE.fullmatch(variable):
        raise ConfigError("the endpoint's setting key_variable is the name of an environment variable, not the key itself")
    if effort is not None and effort not in (*EFFORTS, "yes", "no", "true", "false"):
        raise ConfigError(f"the endpoint's setting reasoning_effort must be one of {', '.join(EFFORTS)}, or no to send none")
    if thinking not in {None, "on", "off"}:
        raise ConfigError("the endpoint's setting thinking must be on or off")


def _hidden(name: str) -> str:
    """A wrong name without what may be a password or a key in it."""
    return re.sub(r"//[^@/\s]{1,200}@", "//***@", name.partition("?")[0])[:120]
