"""What the app is started with."""

from __future__ import annotations

from dataclasses import dataclass

from spatialreasoner.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class AppConfig:
    """Settings of the app.

    Attributes:
        models: Names of the models that may be asked; visitors choose among them and can name no other. None are needed to
            measure.
        host: Address to listen on; by default only this machine can connect.
        port: Port to listen on; 0 picks a free port.
        allowed_hosts: Host names, without ports, under which the app may be reached, in addition to those of this machine; "*"
            allows every name.
        masks: A SAM model of transformers that finds regions to click on, or None.
        depth: A depth model of transformers, or None.
        field_of_view: Horizontal field of view in degrees of upright photos without a focal length in their EXIF data; None
            leaves their camera unknown.
        photos: Photos with depth to show as examples: RGB-D folders, scenes folders, or folders of RGB-D folders.
        folders: Folders of this machine from which visitors may open captures by path.
        saved: Folder for saved sessions; by default they last as long as the app runs.
        runs: Run folders whose search trees and preference pairs can be browsed.
        max_new_tokens: Maximum length of a local model's answer in tokens.
        enable_thinking: Let models think before they answer, if they can; None as in `WritingConfig`.
        key_variable: Environment variable that holds the API key of endpoints.
        max_megabytes: Maximum size of an upload, all of its files together.
        max_pixels: Maximum number of pixels per uploaded image.
        max_images: Maximum number of images that one visitor may open.
        max_sessions: Maximum number of visitors at a time; the one inactive for longest is dropped first.
        asks_per_minute: Maximum number of questions that one visitor may ask per minute.
        queue: Maximum number of waiting questions; further ones are refused.
    """

    models: tuple[str, ...] = ("nano",)
    host: str = "127.0.0.1"
    port: int = 7860
    allowed_hosts: tuple[str, ...] = ()
    masks: str | None = None
    depth: str | None = None
    field_of_view: float | None = None
    photos: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    saved: str | None = None
    runs: tuple[str, ...] = ()
    max_new_tokens: int = 768
    enable_thinking: bool | None = None
    key_variable: str = "OPENAI_API_KEY"
    max_megabytes: int = 500
    max_pixels: int = 24_000_000
    max_images: int = 100
    max_sessions: int = 200
    asks_per_minute: int = 20
    queue: int = 32

    def __post_init__(self) -> None:
        if len(set(self.models)) < len(self.models):
            raise ConfigError(f"expected different models; got {list(self.models)}")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"a port is a number from 0 to 65535; got {self.port}")
        if self.field_of_view is not None and not 1 <= self.field_of_view <= 170:
            raise ConfigError(f"the field of view is an angle from 1 to 170 degrees; got {self.field_of_view}")
        for name in (
            "max_new_tokens", "max_megabytes", "max_pixels", "max_images", "max_sessions", "asks_per_minute", "queue",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1; got {getattr(self, name)}")
