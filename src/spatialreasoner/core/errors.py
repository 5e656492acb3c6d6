"""Everything the package raises on purpose.

    SpatialReasonerError
    ├── InputError (ValueError)            the input is wrong; the command line exits with 2
    │   ├── RecordError                    a JSON file or row does not have the form it must have
    │   │   └── RowsError                  several rows do not, each with its reason
    │   ├── SceneError                     an image, depth map, mask, region or camera is unusable
    │   ├── ResponseError                  a model's text does not have the LongCoT form
    │   ├── ConfigError                    an option or a configuration file is wrong
    │   └── MissingFileError (FileNotFoundError)
    ├── MissingExtraError (ImportError)    an optional dependency is not installed; exits with 2
    └── WorkError (RuntimeError)           something failed while working; exits with 1
        └── EndpointError                  a model endpoint cannot be used
            ├── PromptError                it cannot answer this prompt: filtered, too long, an image that it refuses
            └── BusyError                  it may be used when asked again: too many requests, a timeout, a server's error
                └── AdaptedError           it refused how it was asked, and will be asked otherwise

Every message says what was expected, what came, and what to do.
"""

from collections.abc import Sequence


class SpatialReasonerError(Exception):
    """Base of every error that the package raises on purpose."""


class InputError(SpatialReasonerError, ValueError):
    """Invalid user input; nothing was written."""


class RecordError(InputError):
    """A JSON file or row does not have the form it must have."""


class RowsError(RecordError):
    """Rows of a file do not have the form they must have.

    Attributes:
        summary: Which file, and how many rows.
        reasons: What is wrong with each, by its number.
    """

    def __init__(self, summary: str, reasons: Sequence[str]) -> None:
        super().__init__("\n  ".join([f"{summary}:", *reasons]))
        self.summary, self.reasons = summary, tuple(reasons)


class SceneError(InputError):
    """An image, depth map, mask, region or camera is unusable."""


class ResponseError(InputError):
    """A model's text does not have the LongCoT form."""


class ConfigError(InputError):
    """An option or a configuration file is wrong."""


class MissingFileError(InputError, FileNotFoundError):
    """A file or folder that must exist does not."""

    __str__ = Exception.__str__  # OSError would print the arguments as an errno tuple


class MissingExtraError(SpatialReasonerError, ImportError):
    """An optional dependency is not installed; the message names the pip line that installs it."""


class WorkError(SpatialReasonerError, RuntimeError):
    """Something failed while working."""


class EndpointError(WorkError):
    """A model endpoint cannot be used; the message says how to fix it."""


class BusyError(EndpointError):
    """An endpoint did not answer this time, but may when asked again.

    Args:
        message: What happened.
        kind: The class of the failure, for counts: "rate limit", "timeout", "server error", "connection", "bad reply".
        retry_after: Seconds to wait as the endpoint says, or None if it says nothing.
    """

    def __init__(self, message: str, *, kind: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after


class AdaptedError(BusyError):
    """An endpoint refused how it was asked; what it said has been learned, and the next request is another one."""

    def __init__(self, message: str) -> None:
        super().__init__(message, kind="adapted", retry_after=0.0)


class PromptError(EndpointError):
    """An endpoint cannot answer this prompt; others may be answered.

    Args:
        message: What the endpoint said.
        kind: The class of the failure, for counts: "content filter", "prompt too long", "image too large", "image refused",
            "request refused".
        final: Whether asking again is of no use: the endpoint said so of this prompt itself.
    """

    def __init__(self, message: str, *, kind: str, final: bool = True) -> None:
        super().__init__(message)
        self.kind = kind
        self.final = final
