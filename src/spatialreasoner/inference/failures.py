"""Whose error an error is, and what to do about it.

The prompt's: this question gets a refusal with the reason, the others continue. The moment's: the same request may be answered
when it is sent again. The endpoint's: nothing more is sent to it, and the message says how to fix that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from spatialreasoner.inference.lessons import leaves_no_room
from spatialreasoner.inference.said import Said

Owner = Literal["prompt", "moment", "endpoint"]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What an error means.

    Attributes:
        owner: Whose it is.
        kind: Its class, in a few words, for counts.
        fix: What to do, or "" where waiting is all that can be done.
        certain: Whether the server said so; otherwise the status alone did, and the next prompt may fare otherwise.
    """

    owner: Owner
    kind: str
    fix: str = ""
    certain: bool = True


FILTERED = "content filter"
TOO_LONG = "prompt too long"
TOO_LARGE = "image too large"
UNREADABLE = "image refused"
REFUSED = "request refused"
USED_UP = "cut off"

_FILTER = re.compile(
    r"content_?\s?(?:filter|policy|management|moderation)|responsibleai|flagged|moderation|inappropriate"
    r"|safety (?:system|filter|reason)"
    r"|usage polic|data_?inspection|prohibited_?content|sensitive (?:content|information|words)|violat(?:es|ing|ion)"
    r"|blocked (?:by|due|because|for)|harmful|risk control|content exists risk|new_sensitive|unsafe content|敏感|不安全|违规"
)
_LENGTH = re.compile(
    r"context_length_exceeded|context (?:length|window|size)|prompt (?:is )?too l(?:ong|arge)"
    r"|too many (?:input )?tokens in|input is too long"
    r"|reduce the length|exceed_context|string_above_max|maximum (?:number of )?(?:input )?tokens|inputs? tokens"
    r"|token limit exceeded"
    r"|prompt (?:length|contains)|exceeds the (?:available|model's) context|context limit|n_keep|too many tokens:"
    r"|maximum input length|input length (?:\S+ ){0,3}exceeds|exceeded (?:\S+ )?token limit|must have less than \d{1,8} tokens"
    r"|longer than the (?:maximum )?model(?:'s)? (?:maximum |context )?length|range of input length|too large to process"
    r"|prompt 超长"
)
_MORE_THAN_A_MINUTES = re.compile(
    r"request (?:body )?too large for .{1,300}(?:requested|max size:) \d|tokens must be reduced|tokens_limit_reached"
)
"""One request takes more tokens than a limit per minute allows: no wait makes it fit, whatever the status."""

_IMAGE = re.compile(
    r"(?:could not|cannot|unable to|failed to) (?:process|decode|load|identify|parse|open) (?:the |this )?(?:input )?image"
    r"|invalid (?:base64 )?image|image_parse_error|(?:unsupported|unrecognized) image|image (?:is )?(?:invalid|corrupt)"
    r"|image(?: \S+){0,8} (?:could not|cannot|can't|failed to) be (?:loaded|read|decoded|opened|processed)"
    r"|image format \S{1,40} (?:is )?not supported|image\S*(?: \S+){0,8} (?:has an invalid format|too small)|any valid image"
    r"|image: unknown format|image length and width|base64 encoded image|loading multimodal data|illegal base64"
    r"|image is not valid|unsupported mime type: image"
    r"|failed to apply \w{0,60}processor"
)
_BLIND = re.compile(
    r"(?:image|vision|multi-?modal)\S*(?: \S+){0,6} (?:not|n't|only|un)\b ?\S*(?:support|loaded|available|allowed|enabled)"
    r"|(?:not|n't) (?:a )?(?:support\S* |accept\S* |multi-?modal )(?:\S+ ){0,3}(?:image|vision|multi-?modal)"
    r"|not a (?:multi-?modal|vision)|does not take images|unsupported content part type|support image input|no pictures"
    r"|vision add-on|image_url is only supported|must be a string|mmproj|unknown variant '?image_url|input should be 'text'"
    r"|text-only|at most 0 image|missing data required for image|invalid type: sequence, expected a string"
    r"|content type is not (?:currently )?supported|expected a string, but got an array"
)
_WANTS_TEXT = re.compile(r"valid string|str type expected|type_error\.str|string_type")
_MODEL = re.compile(
    r"model_not_found|model[^.]{0,80}(?:not found|does not exist|doesn't exist|not exist|is not available"
    r"|not supported on|not served)"
    r"|no such model|unknown model|not a valid model|unsupported model"
    r"|model '?[\w./:-]{1,80}'? is not supported(?! (?:with|by|for))"
    r"|invalid model|deploymentnotfound|deployment[^.]{0,60}not exist|try pulling"
    r"|no endpoints found|model_not_supported|decommissioned|has been deprecated|model identifier is invalid"
    r"|on-demand throughput isn't|llm provider not provided|no models? (?:is |are )?loaded|not supported by (?:any )?provider"
    r"|operationnotsupported|not a chat model|api version not supported|model_not_available"
    r"|(?:unavailable|malformed publisher) model|unable to access (?:\S+ )?model|server is pinned to|模型不存在"
)
_KEY = re.compile(
    r"api[ _-]?(?:secret[ _-]?)?key|login fail|authenticat|unauthori[sz]ed|credential|invalid[ _]token|access token|bearer"
)
_CREDIT = re.compile(
    r"insufficient_quota|insufficient (?:balance|credit|funds)|balance is insufficient|out of credit|any credits|credit balance"
    r"|billing_hard_limit|billing hard limit|payment required|insufficient_user_quota|credit_limit"
    r"|more credits|prepaid|arrearage|exceeded your (?:monthly|spend)|billing_not_active|account is not active"
    r"|api usage limits|key limit exceeded|spend(?:ing)? limit|budget_exceeded|budget has been exceeded"
    r"|(?:session|hourly|daily|weekly|monthly) (?:usage limit|free allocation)|requestsperday|permodelperday"
    r"|\blimit:? 0(?![\d.])"
    r"|setlimitexceeded|(?:account|organization)\b(?: \S+){0,2} (?:is|has been) (?:suspended|disabled|deactivated|restricted)"
    r"|余额不足|额度不足|额度已用尽"
)
_PER_MINUTE = re.compile(r"per[ -]?(?:minute|second|min)|retry(?:info|delay)|rpm|tpm|try again in")
_QUOTA = re.compile(r"exceeded your current quota|quota_exceeded|too many (?:tokens|requests) per day")
_LOADING = re.compile(r"(?:is )?(?:currently |still )?loading|warming up|starting up|not ready|cold start|is initiali[sz]ing")
_BUSY = re.compile(
    r"overloaded|capacity|too many requests|rate.?limit|throttl|temporarily|try again later|timed? ?out"
    r"|service unavailable|(?:server|system) (?:is )?busy|server_error|out of memory|failed during generation|enginecore"
    r"|engine is dead|resource.?exhausted|upstream|internal (?:server )?error|network_error|queue is full|limit reached"
    r"|unknown error|has crashed|unloaded|failed to load model|operation cancell?ed|output_parse_failed"
)
_VERIFY = re.compile(
    r"must be verified|verify your organization|terms of service|data policy|privacy settings|region.{0,30}not supported"
    r"|terms acceptance|accept the terms|location is not supported|requires a subscription|can handle the requested parameters"
)


def judge_failure(said: Said, *, key_variable: str = "OPENAI_API_KEY", waits: bool = False) -> Failure:
    """Whose an error is.

    Args:
        said: The error, from which nothing could be learned.
        key_variable: The environment variable of the key, for the advice.
        waits: Whether the server said when to ask again.
    """
    words = f"{said.words} {' '.join(sorted(said.codes))}"
    status = said.status
    if status == 407:
        fix = "the proxy between wants a name and password; the environment names it (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY)"
        return Failure(owner="endpoint", kind="proxy refused", fix=f"{fix}: write http://NAME:PASSWORD@HOST:PORT there")
    if status == 401 or (status in {200, 400, 403} and _KEY.search(words) and not _FILTER.search(words)):
        return Failure(owner="endpoint", kind="key refused", fix=f"the key is missing or refused; set {key_variable}")
    if status == 402 or _CREDIT.search(words) or (_QUOTA.search(words) and not waits and not _PER_MINUTE.search(words)):
        return Failure(
            owner="endpoint", kind="no credit", fix="the quota is used up or there is no credit left; raise it, top it up"
        )
    if _MORE_THAN_A_MINUTES.search(words):
        fix = "one request takes more tokens than the account's limit; lower `max_new_tokens`, or raise the limit"
        return Failure(owner="prompt", kind=TOO_LONG, fix=fix)
    if status != 429 and (found := _of_the_prompt(said, words)):
        return found
    if found := _of_the_endpoint(said, words, key_variable):
        return found
    if found := _of_the_moment(status, words):
        return found
    return Failure(
        owner="prompt",
        kind=REFUSED,
        fix="the request is refused; does the model take images, and is its context long enough?",
        certain=False,
    )


def _of_the_prompt(said: Said, words: str) -> Failure | None:
    if "could not finish the message because max_tokens" in words:
        return Failure(owner="prompt", kind=USED_UP, fix="the model used its tokens to think; raise `max_new_tokens`")
    if _FILTER.search(words) and said.status != 404:
        return Failure(owner="prompt", kind=FILTERED)
    if leaves_no_room(said) or _LENGTH.search(words):
        fix = "the prompt does not fit into the model's context; serve it with a longer one, or make images smaller (most_side)"
        return Failure(owner="prompt", kind=TOO_LONG, fix=fix)
    if said.status == 413:
        return Failure(owner="prompt", kind=TOO_LARGE, fix="the request is too large; set a smaller most_side")
    if _IMAGE.search(words):
        return Failure(owner="prompt", kind=UNREADABLE)
    return None


def _of_the_endpoint(said: Said, words: str, key_variable: str) -> Failure | None:
    status, params = said.status, said.params
    if _BLIND.search(words) or (_WANTS_TEXT.search(words) and any("content" in param for param in params)):
        return Failure(
            owner="endpoint", kind="takes no images", fix="the model does not take images; name one that can take images"
        )
    if (status == 404 and not _VERIFY.search(words)) or (_MODEL.search(words) and status not in {404, 429}):
        fix = "there is no such model or address; check MODEL and BASE_URL (it mostly ends with /v1)"
        return Failure(owner="endpoint", kind="no such model", fix=fix)
    if status == 403 and not re.search(r"rate.?limit|too many requests", words):
        fix = f"the key may not use this model; check {key_variable} and the model's name"
        return Failure(owner="endpoint", kind="not allowed", fix=fix)
    if status in {405, 410, 426, 451} or 300 <= status < 400 or _VERIFY.search(words):
        return Failure(
            owner="endpoint",
            kind="not allowed",
            fix="the endpoint does not serve such requests; check BASE_URL and the account",
        )
    return None


def _of_the_moment(status: int, words: str) -> Failure | None:
    if status == 429:
        return Failure(owner="moment", kind="rate limit")
    if status in {408, 504, 524}:
        return Failure(owner="moment", kind="timeout")
    if status in {409, 423, 424, 425, 499} or status >= 500:
        return Failure(owner="moment", kind="server error")
    if _LOADING.search(words) or _BUSY.search(words):
        return Failure(owner="moment", kind="server error")
    return None
