"""What the app is started with."""

from __future__ import annotations

from dataclasses import dataclass

from spatialreasoner.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class AppConfig:
    """Settings of the app.

    Attributes:
        models: Names of the models that may be asked; visitors choose among them and can name no other.
        host: Address to listen on; by default only this machine can connect.
        port: Port to listen at; 0 takes any that is free.
        share: Whether to open a public tunnel.
        masks: A SAM model of transformers that finds regions to click on, or None.
        depth: A depth model of transformers, or None.
        field_of_view: Horizontal field of view, degrees, of photos whose EXIF data tell no focal length; None leaves their
            camera unknown.
        photos: Folders of real photos with depth (the RGB-D folder format), or folders of such folders.
        runs: Run folders whose trees and pairs may be browsed.
        max_new_tokens: Longest answer of a local model, tokens.
        enable_thinking: Whether models that can think before they answer do so; None as in `WritingConfig`.
        key_variable: Environment variable that holds the key of endpoints.
        max_megabytes: Largest upload.
        max_pixels: Most pixels of an uploaded image.
        max_pictures: Most images that one visitor may open.
        asks_per_minute: Most questions that one visitor may ask in a minute.
        queue: Most questions that wait at a time; more are turned away.
    """

    models: tuple[str, ...] = ("nano",)
    host: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    masks: str | None = None
    depth: str | None = None
    field_of_view: float | None = None
    photos: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    max_new_tokens: int = 768
    enable_thinking: bool | None = None
    key_variable: str = "OPENAI_API_KEY"
    max_megabytes: int = 20
    max_pixels: int = 24_000_000
    max_pictures: int = 100
    asks_per_minute: int = 20
    queue: int = 32

    def __post_init__(self) -> None:
        if not self.models or len(set(self.models)) < len(self.models):
            raise ConfigError(f"expected one or more different models; got {list(self.models)}")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"a port is a number from 0 to 65535; got {self.port}")
        if self.field_of_view is not None and not 1 <= self.field_of_view <= 170:
            raise ConfigError(f"the field of view is an angle from 1 to 170 degrees; got {self.field_of_view}")
        for name in ("max_new_tokens", "max_megabytes", "max_pixels", "max_pictures", "asks_per_minute", "queue"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1; got {getattr(self, name)}")
