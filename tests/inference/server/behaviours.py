# ruff: noqa: E501 - what servers say is quoted in one piece
"""How servers behave: the answers of today's endpoints, as they are quoted in their documentation and in reports about them.

Each behaviour is played by `server.Server`. `end` is what must become of a question: "answer", or the kind of a refusal, or
"stopped" where the endpoint must no longer be called. `most` is how many requests one question may take.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from inference.server.server import ANSWER, Reply, completion, events, packed, refuse


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """One way in which a server answers.

    Attributes:
        name: What it does.
        whose: Which servers were seen to do it.
        respond: The reply to a request.
        end: What becomes of the question.
        most: Most requests that it may take.
        says: A part of what the user must be told, where there is no answer.
        n: Replies that are asked for.
        prefix: Whether a prefix is to be continued as the model's own message.
        effort: The effort of reasoning that is asked for.
        temperature: The temperature that is asked for.
        top_p: The nucleus probability that is asked for.
        max_tokens: Longest reply that is asked for.
        timeout: Seconds that a request may take; few where the server stalls, else more than a busy machine needs.
        learned: What must have been learned.
    """

    name: str
    whose: str
    respond: Callable
    end: str = "answer"
    most: int = 2
    says: str = ""
    n: int = 1
    prefix: bool = False
    effort: str = ""
    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 1024
    timeout: float = 20.0
    learned: dict | None = None


def when(refuses, reply):
    """Refuse what matches, answer the rest."""
    return lambda ask: reply(ask) if refuses(ask) else completion(ask)


def once(reply, times=1):
    """Refuse a prompt so often, then answer."""
    return lambda ask: reply(ask) if ask.again < times else completion(ask)


def has(*names):
    return lambda ask: any(name in ask.body for name in names)


def has_system(ask):
    return bool({"system", "developer"} & set(ask.roles))


def prefilled(ask):
    return ask.roles[-1] == "assistant"


def raw(status, text, **headers):
    return Reply(status=status, data=text.encode(), headers=headers)


def bare(status, value, **headers):
    return Reply(status=status, value=value, headers={name.replace("_", "-"): text for name, text in headers.items()})


UNSUPPORTED = "Unsupported parameter: '{}' is not supported with this model."
GOOGLE = "type.googleapis.com/google.rpc."

PARAMETERS = [
    Behaviour(
        name="max_tokens must be max_completion_tokens", whose="OpenAI's reasoning models, Azure",
        respond=when(has("max_tokens"), lambda ask: refuse(
            400, UNSUPPORTED.format("max_tokens") + " Use 'max_completion_tokens' instead.", param="max_tokens",
            code="unsupported_parameter")),
        learned={"max_tokens_param": "max_completion_tokens"},
    ),
    Behaviour(
        name="max_tokens refused without param", whose="gateways to OpenAI",
        respond=when(has("max_tokens"), lambda ask: bare(400, {"error": {
            "message": UNSUPPORTED.format("max_tokens") + " Use 'max_completion_tokens' instead.", "code": "invalid_request_body"}})),
        learned={"max_tokens_param": "max_completion_tokens"},
    ),
    Behaviour(
        name="neither limit of tokens is known", whose="small servers",
        respond=when(has("max_tokens", "max_completion_tokens"), lambda ask: refuse(
            400, f"Unrecognized request argument supplied: {next(k for k in ask.body if k.startswith('max_'))}")),
        most=3, learned={"max_tokens_param": "none"},
    ),
    Behaviour(
        name="only the default temperature", whose="OpenAI's reasoning models",
        respond=when(has("temperature"), lambda ask: refuse(
            400, f"Unsupported value: 'temperature' does not support {ask.body['temperature']} with this model. Only the default (1) "
            "value is supported.", param="temperature", code="unsupported_value")),
        learned={"temperature": False},
    ),
    Behaviour(
        name="temperature is deprecated", whose="Messages API, newest models",
        respond=when(has("temperature"), lambda ask: bare(400, {"type": "error", "error": {
            "type": "invalid_request_error", "message": "`temperature` is deprecated for this model."}, "request_id": "req_1"})),
        learned={"temperature": False},
    ),
    Behaviour(
        name="temperature or top_p", whose="Messages API through LiteLLM",
        respond=when(lambda ask: {"temperature", "top_p"} <= ask.body.keys(), lambda ask: refuse(
            400, 'litellm.BadRequestError: MessagesException - {"type":"error","error":{"type":"invalid_request_error","message":'
            '"`temperature` and `top_p` cannot both be specified for this model. Please use only one."}}. Received Model Group=m',
            code="400", kind=None)),
        top_p=0.9, learned={"top_p": False},
    ),
    Behaviour(
        name="a temperature of at most 1", whose="Messages API",
        respond=when(lambda ask: ask.body.get("temperature", 0) > 1, lambda ask: bare(400, {"type": "error", "error": {
            "type": "invalid_request_error", "message": "temperature: Input should be less than or equal to 1"}})),
        temperature=1.3, learned={"most_temperature": 1.0},
    ),
    Behaviour(
        name="a temperature above 0", whose="text-generation-inference",
        respond=when(lambda ask: ask.body.get("temperature") == 0, lambda ask: bare(422, {
            "error": "Input validation error: `temperature` must be strictly positive", "error_type": "validation"})),
        temperature=0.0, learned={"least_temperature": 0.01},
    ),
    Behaviour(
        name="unknown name seed, in a list", whose="Gemini's OpenAI endpoint",
        respond=when(has("seed"), lambda ask: bare(400, [{"error": {
            "code": 400, "message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.',
            "status": "INVALID_ARGUMENT", "details": [{"@type": GOOGLE + "BadRequest", "fieldViolations": [
                {"description": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'}]}]}}])),
        learned={"seed_param": "none"},
    ),
    Behaviour(
        name="seed is an extra input", whose="Mistral on Azure",
        respond=when(has("seed"), lambda ask: bare(422, {"detail": [{
            "type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": ask.body["seed"]}]})),
        learned={"seed_param": "none"},
    ),
    Behaviour(
        name="seed is an extra input, in a text in JSON", whose="Mistral",
        respond=when(has("seed"), lambda ask: bare(422, {
            "object": "error", "message": json.dumps({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"],
            "msg": "Extra inputs are not permitted", "url": "https://errors.pydantic.dev/2.5/v/extra_forbidden"}]}),
            "type": "internal_error_proxy", "param": None, "code": "1000"})),
        learned={"seed_param": "none"},
    ),
    Behaviour(
        name="seed is an extraneous key", whose="Amazon Bedrock",
        respond=when(has("seed"), lambda ask: bare(400, {"message": (
            "Malformed input request: #: extraneous key [seed] is not permitted, please reformat your input and try again.")})),
        learned={"seed_param": "none"},
    ),
    Behaviour(
        name="a property that is unsupported", whose="Groq",
        respond=when(has("seed"), lambda ask: refuse(400, "property 'seed' is unsupported")),
        learned={"seed_param": "none"},
    ),
    Behaviour(
        name="unrecognized keys", whose="LM Studio",
        respond=when(has("seed"), lambda ask: bare(400, {"error": "Unrecognized key(s) in object: 'seed'"})),
        learned={"seed_param": "none"},
    ),
    Behaviour(
        name="no system role", whose="Gemma 2 on vLLM",
        respond=when(has_system, lambda ask: bare(400, {
            "object": "error", "message": "System role not supported", "type": "BadRequestError", "param": None, "code": 400})),
        learned={"system": "user"},
    ),
    Behaviour(
        name="no system role, as a fault of the server", whose="Gemma 2 on SGLang",
        respond=when(has_system, lambda ask: bare(500, {"error": "jinja2.exceptions.TemplateError: System role not supported"})),
        learned={"system": "user"},
    ),
    Behaviour(
        name="messages[0].role", whose="o1-mini",
        respond=when(has_system, lambda ask: refuse(
            400, "Unsupported value: 'messages[0].role' does not support 'system' with this model.", param="messages[0].role",
            code="unsupported_value")),
        learned={"system": "user"},
    ),
    Behaviour(
        name="developer instruction is not enabled", whose="Gemma through Gemini's endpoint",
        respond=when(has_system, lambda ask: bare(400, [{"error": {
            "code": 400, "message": "Developer instruction is not enabled for models/gemma-3-27b-it", "status": "INVALID_ARGUMENT"}}])),
        learned={"system": "user"},
    ),
    Behaviour(
        name="roles must alternate", whose="Mistral and Gemma 3 templates on vLLM",
        respond=when(has_system, lambda ask: bare(400, {"error": {
            "message": "Conversation roles must alternate user/assistant/user/assistant/... Conversation roles must alternate "
            "user/assistant/user/assistant/...", "type": "BadRequestError", "param": None, "code": 400}})),
        learned={"system": "user"},
    ),
    Behaviour(
        name="one reply per request", whose="llama.cpp", n=3, most=2,
        respond=when(lambda ask: ask.body.get("n", 1) > 1, lambda ask: bare(500, {
            "error": {"code": 500, "message": "Only one completion choice is allowed", "type": "server_error"}})),
        learned={"n": False},
    ),
    Behaviour(
        name="n must be at most 1", whose="Groq", n=2,
        respond=when(lambda ask: ask.body.get("n", 1) > 1, lambda ask: refuse(400, "'n' : number must be at most 1")),
        learned={"n": False},
    ),
    Behaviour(
        name="at most as many replies as it has slots", whose="llama.cpp", n=3,
        respond=when(lambda ask: ask.body.get("n", 1) > 2, lambda ask: bare(400, {"error": {
            "code": 400, "message": "Field 'n': Value must be between 1 <= value <= 2, but got 3", "type": "invalid_request_error"}})),
        learned={"n": False},
    ),
    Behaviour(
        name="one reply at temperature 0", whose="vLLM", n=3, temperature=0.0,
        respond=when(lambda ask: ask.body.get("n", 1) > 1, lambda ask: bare(400, {"error": {
            "message": "n must be 1 when using greedy sampling, got 3.", "type": "BadRequestError", "param": None, "code": 400}})),
        learned={"n": False},
    ),
    Behaviour(
        name="no prefill", whose="Messages API, newer models", prefix=True,
        respond=when(prefilled, lambda ask: bare(400, {"type": "error", "error": {
            "type": "invalid_request_error",
            "message": "This model does not support assistant message prefill. The conversation must end with a user message."}})),
        learned={"prefill": False},
    ),
    Behaviour(
        name="unexpected fields for a prefix", whose="transformers serve", prefix=True,
        respond=when(has("continue_final_message"), lambda ask: bare(422, {
            "detail": "Unexpected fields in the request: {'add_generation_prompt', 'continue_final_message'}"})),
        learned={"prefill": False},
    ),
    Behaviour(
        name="the last role must be the user's", whose="Mistral", prefix=True,
        respond=when(prefilled, lambda ask: bare(400, {
            "object": "error", "message": "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant",
            "type": "invalid_request_message_order", "code": "3230"})),
        learned={"prefill": False},
    ),
    Behaviour(
        name="add_generation_prompt", whose="vLLM with Mistral's tokenizer", prefix=True,
        respond=when(prefilled, lambda ask: bare(400, {
            "object": "error", "type": "BadRequestError", "code": 400, "message": (
            "Cannot set `add_generation_prompt` to True when the last message is from the assistant. Consider using "
            "`continue_final_message` instead.")})),
        learned={"prefill": False},
    ),
    Behaviour(
        name="thinking must be streamed", whose="DashScope (Qwen 3)",
        respond=when(lambda ask: not ask.body.get("stream"), lambda ask: refuse(
            400, "parameter.enable_thinking must be set to false for non-streaming calls", code="invalid_parameter_error")),
        learned={"stream": True},
    ),
    Behaviour(
        name="only streams", whose="DashScope (QwQ, QVQ)",
        respond=when(lambda ask: not ask.body.get("stream"), lambda ask: refuse(
            400, "This model only support stream mode, please enable the stream parameter to access the model. ",
            code="invalid_parameter_error")),
        learned={"stream": True},
    ),
    Behaviour(
        name="stream=False", whose="ModelScope",
        respond=when(lambda ask: not ask.body.get("stream"), lambda ask: bare(400, {"error": {
            "code": "invalid_parameter_error", "type": "invalid_request_error",
            "message": "enable thinking can not be support when `stream=False`."}, "request_id": "1"})),
        learned={"stream": True},
    ),
    Behaviour(
        name="max_tokens is too large", whose="OpenAI", max_tokens=32_000,
        respond=when(lambda ask: ask.body.get("max_tokens", 0) > 16384, lambda ask: refuse(
            400, "max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas you provided 32000.",
            param="max_tokens", code="invalid_value")),
        learned={"most_tokens": 16384},
    ),
    Behaviour(
        name="max_completion_tokens above the model's", whose="Groq", max_tokens=32_000,
        respond=when(lambda ask: ask.body.get("max_tokens", 0) > 8192, lambda ask: refuse(
            400, "`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the "
            "`context_window` for this model", param="max_tokens")),
        learned={"most_tokens": 8192},
    ),
    Behaviour(
        name="integer above maximum value", whose="Doubao", max_tokens=32_000,
        respond=when(lambda ask: ask.body.get("max_tokens", 0) > 12288, lambda ask: bare(400, {"error": {
            "code": "InvalidParameter", "param": "max_tokens", "type": "BadRequest", "message": (
            "The parameter `max_tokens` specified in the request are not valid: integer above maximum value, expected a value <= 12288, "
            "but got 32000 instead. Request id: 02")}})),
        learned={"most_tokens": 12288},
    ),
    Behaviour(
        name="no room for so long a reply", whose="vLLM", max_tokens=64_000,
        respond=when(lambda ask: ask.body.get("max_tokens", 0) > 39_766, lambda ask: bare(400, {
            "object": "error", "type": "BadRequestError", "param": None, "code": 400, "message": (
            "'max_tokens' or 'max_completion_tokens' is too large: 64000. This model's maximum context length is 64001 tokens and your "
            "request has 24235 input tokens (64000 > 64001 - 24235). None")})),
        learned={"most_tokens": 39765},
    ),
    Behaviour(
        name="no longer reply than the context", whose="vLLM", max_tokens=64_000,
        respond=when(lambda ask: ask.body.get("max_tokens", 10**6) > 4096, lambda ask: bare(400, {"error": {
            "message": "max_tokens=64000 cannot be greater than max_model_len=4096. Please request fewer output tokens. "
            "(parameter=max_tokens, value=64000)", "type": "BadRequestError", "param": "max_tokens", "code": 400}})),
        learned={"most_tokens": 4096},
    ),
    Behaviour(
        name="messages and completion exceed the context", whose="OpenAI, vLLM", max_tokens=8192,
        respond=when(lambda ask: ask.body.get("max_tokens", 0) > 8128, lambda ask: refuse(
            400, "This model's maximum context length is 8192 tokens. However, you requested 8256 tokens (64 in the messages, 8192 in the "
            "completion). Please reduce the length of the messages or completion.", param="messages", code="context_length_exceeded")),
        learned={"most_tokens": 8127},
    ),
    Behaviour(
        name="the valid range", whose="DeepSeek", max_tokens=32_000,
        respond=when(lambda ask: ask.body.get("max_tokens", 0) > 8192, lambda ask: refuse(
            400, "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]")),
        learned={"most_tokens": 8192},
    ),
    Behaviour(
        name="64000 > 8192", whose="Messages API", max_tokens=64_000,
        respond=when(lambda ask: ask.body.get("max_tokens", 0) > 8192, lambda ask: bare(400, {"type": "error", "error": {
            "type": "invalid_request_error",
            "message": "max_tokens: 64000 > 8192, which is the maximum allowed number of output tokens for m"}})),
        learned={"most_tokens": 8192},
    ),
    Behaviour(
        name="exceeds the model limit", whose="Amazon Bedrock", max_tokens=32_000,
        respond=when(lambda ask: ask.body.get("max_tokens", 0) > 4096, lambda ask: bare(400, {"message": (
            "The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum tokens value that is lower "
            "than 4096.")})),
        learned={"most_tokens": 4096},
    ),
    Behaviour(
        name="input and max_tokens exceed the limit", whose="Messages API", max_tokens=20_000,
        respond=when(lambda ask: ask.body.get("max_tokens", 0) > 14_797, lambda ask: bare(400, {"type": "error", "error": {
            "type": "invalid_request_error", "message": "input length and `max_tokens` exceed context limit: 190000 + 20000 > 204798, "
            "decrease input length or `max_tokens` and try again"}})),
        learned={"most_tokens": 14797},
    ),
    Behaviour(
        name="long replies must be streamed", whose="Fireworks", max_tokens=8192,
        respond=when(lambda ask: not ask.body.get("stream"), lambda ask: refuse(
            400, "Requests with max_tokens > 4096 must have stream=true")),
        learned={"stream": True},
    ),
    Behaviour(
        name="streams, but not with stream_options", whose="small servers", most=3,
        respond=when(lambda ask: not ask.body.get("stream") or "stream_options" in ask.body, lambda ask: bare(422, {"detail": [
            {"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}
            if ask.body.get("stream") else {"loc": ["body"], "msg": "only supports stream mode"}]})),
        learned={"stream": True, "stream_usage": False},
    ),
    Behaviour(
        name="does not support thinking", whose="Ollama", effort="low",
        respond=when(has("reasoning_effort"), lambda ask: refuse(400, '"llama3.2" does not support thinking', kind="api_error")),
        learned={"reasoning_effort": False},
    ),
    Behaviour(
        name="unexpected role", whose="Messages API",
        respond=when(has_system, lambda ask: bare(400, {"type": "error", "error": {
            "type": "invalid_request_error", "message": 'messages: Unexpected role "system". The Messages API accepts a top-level '
            '`system` parameter, not "system" as an input message role.'}})),
        learned={"system": "user"},
    ),
    Behaviour(
        name="the last message must be a user message", whose="DeepSeek", prefix=True,
        respond=when(prefilled, lambda ask: refuse(400, (
            "The last message of deepseek-reasoner must be a user message, or an assistant message with prefix mode turned on"))),
        learned={"prefill": False},
    ),
    Behaviour(
        name="no prefill while it thinks", whose="llama.cpp", prefix=True,
        respond=when(prefilled, lambda ask: bare(400, {"error": {
            "code": 400, "message": "Assistant response prefill is incompatible with enable_thinking.",
            "type": "invalid_request_error"}})),
        learned={"prefill": False},
    ),
    Behaviour(
        name="efforts that are named", whose="OpenAI's gpt-5.1", effort="minimal",
        respond=when(lambda ask: ask.body.get("reasoning_effort") == "minimal", lambda ask: refuse(
            400, "Unsupported value: 'minimal' is not supported with the 'gpt-5.1' model. Supported values are: 'none', 'low', 'medium', "
            "and 'high'.", param="reasoning_effort", code="unsupported_value")),
        learned={"efforts": ["none", "low", "medium", "high"]},
    ),
    Behaviour(
        name="no effort of reasoning", whose="xAI", effort="low",
        respond=when(has("reasoning_effort"), lambda ask: bare(400, {
            "code": "Client specified an invalid argument", "error": "Model grok-4-latest does not support parameter reasoningEffort."})),
        learned={"reasoning_effort": False},
    ),
    Behaviour(
        name="unrecognized argument", whose="OpenAI", effort="low",
        respond=when(has("reasoning_effort"), lambda ask: refuse(
            400, "Unrecognized request argument supplied: reasoning_effort", code=None)),
        learned={"reasoning_effort": False},
    ),
    Behaviour(
        name="seven refusals, one after the other", whose="the sum of them", top_p=0.9, effort="low", most=8,
        respond=lambda ask: next(
            (refuse(400, UNSUPPORTED.format(name), param=name, code="unsupported_parameter") for name in (
                "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "reasoning_effort") if name in ask.body),
            refuse(400, "System role not supported") if has_system(ask) else completion(ask)),
    ),
    Behaviour(
        name="parameters that it does not name", whose="OpenRouter",
        respond=when(has("seed"), lambda ask: bare(404, {"error": {
            "message": "No endpoints found that can handle the requested parameters.", "code": 404}})),
        learned={"seed_param": "none"},
    ),
    Behaviour(
        name="no effort beside its own", whose="Qwen at Groq", effort="high",
        respond=when(lambda ask: "reasoning_effort" in ask.body, lambda ask: refuse(
            400, "`reasoning_effort` must be one of `none` or `default`")),
        learned={"efforts": ["none"]},
    ),
    Behaviour(
        name="input tokens that were passed", whose="vLLM", max_tokens=8192,
        respond=when(lambda ask: ask.body["max_tokens"] > 4192, lambda ask: bare(400, {"error": {
            "message": f"You passed 4000 input tokens and requested {ask.body['max_tokens']} output tokens. However, the model's context "
            "length is only 8192 tokens, resulting in a maximum input length of 0 tokens. Please reduce the length of the input prompt. "
            "(parameter=input_tokens, value=4000)", "type": "BadRequestError", "param": "input_tokens", "code": 400}})),
        learned={"most_tokens": 4191},
    ),
    Behaviour(
        name="an image beyond the encoder's cache", whose="vLLM", most=3,
        respond=when(lambda ask: ask.side > 300, lambda ask: bare(400, {"error": {
            "message": "The decoder prompt contains a(n) image item with length 6042, which exceeds the pre-allocated encoder cache size "
            "4800. Please reduce the input size or increase the encoder cache size by setting --limit-mm-per-prompt at startup.",
            "type": "BadRequestError", "param": None, "code": 400}})),
        learned={"most_side": 256},
    ),
    Behaviour(
        name="the image is too large", whose="Messages API",
        respond=when(lambda ask: ask.side > 300, lambda ask: bare(400, {"type": "error", "error": {
            "type": "invalid_request_error", "message": (
            "messages.0.content.0.image.source.base64.data: At least one of the image dimensions exceed max allowed size: 300 pixels")}})),
        learned={"most_side": 300},
    ),
    Behaviour(
        name="entity too large", whose="nginx",
        respond=when(lambda ask: ask.side > 256, lambda ask: raw(
            413, "<html><head><title>413 Request Entity Too Large</title></head><body>nginx</body></html>")),
        most=3, learned={"most_side": 256},
    ),
]  # fmt: skip

PROMPTS = [
    Behaviour(
        name="content_filter", whose="Azure", end="content filter", most=1,
        respond=lambda ask: bare(400, {"error": {
            "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify "
            "your prompt and retry.", "type": None, "param": "prompt", "code": "content_filter", "status": 400,
            "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}}}),
        says="content management policy",
    ),
    Behaviour(
        name="flagged", whose="OpenAI", end="content filter", most=1,
        respond=lambda ask: refuse(400, "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try "
                                   "again with a different prompt.", code="invalid_prompt"),
        says="flagged",
    ),
    Behaviour(
        name="moderation", whose="OpenRouter", end="content filter", most=1,
        respond=lambda ask: bare(403, {"error": {"code": 403, "message": (
            "Your chosen model requires moderation and your input was flagged. No credits were charged."),
            "metadata": {"reasons": ["violence"], "flagged_input": "...", "provider_name": "OpenAI"}}}),
        says="requires moderation",
    ),
    Behaviour(
        name="inspection", whose="DashScope", end="content filter", most=1,
        respond=lambda ask: refuse(400, "Input data may contain inappropriate content.", code="data_inspection_failed"),
        says="inappropriate",
    ),
    Behaviour(
        name="sensitive words", whose="GLM", end="content filter", most=1,
        respond=lambda ask: bare(400, {"error": {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}}),
        says="敏感",
    ),
    Behaviour(
        name="finish content_filter", whose="Azure, OpenAI", end="refusal", most=1,
        respond=lambda ask: completion(ask, "", finish="content_filter"),
    ),
    Behaviour(
        name="finish content_filter: PROHIBITED_CONTENT", whose="Gemini", end="refusal", most=1,
        respond=lambda ask: completion(ask, "", finish="content_filter: PROHIBITED_CONTENT"),
    ),
    Behaviour(
        name="a refusal beside no content", whose="OpenAI", end="refusal", most=1,
        respond=lambda ask: bare(200, {"choices": [{"index": 0, "finish_reason": "stop", "message": {
            "role": "assistant", "content": None, "refusal": "I'm sorry, I can't help with that."}}], "usage": None}),
    ),
    Behaviour(
        name="finish sensitive", whose="z.ai", end="refusal", most=1, respond=lambda ask: completion(ask, "", finish="sensitive"),
    ),
    Behaviour(
        name="the messages alone exceed the context", whose="vLLM", end="prompt too long", most=1,
        respond=lambda ask: bare(400, {"object": "error", "type": "BadRequestError", "param": None, "code": 400, "message": (
            "This model's maximum context length is 8192 tokens. However, you requested 19591 tokens (9591 in the messages, 10000 in the "
            "completion). Please reduce the length of the messages or completion. None")}),
        says="maximum context length",
    ),
    Behaviour(
        name="exceed_context_size_error", whose="llama.cpp", end="prompt too long", most=1,
        respond=lambda ask: bare(400, {"error": {
            "code": 400, "message": "the request exceeds the available context size, try increasing it",
            "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 4096}}),
        says="available context size",
    ),
    Behaviour(
        name="more tokens than the context", whose="llama.cpp", end="prompt too long", most=1,
        respond=lambda ask: bare(400, {"error": {
            "code": 400, "message": "request (9031 tokens) exceeds the available context size (4096 tokens), try increasing it",
            "type": "exceed_context_size_error", "n_prompt_tokens": 9031, "n_ctx": 4096}}),
        says="9031 tokens",
    ),
    Behaviour(
        name="a prompt without room for any reply", whose="vLLM", end="prompt too long", most=1,
        respond=lambda ask: bare(400, {"error": {
            "message": "This model's maximum context length is 4096 tokens. However, your prompt contains at least 4097 input tokens, "
            "which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. "
            "(parameter=input_tokens, value=4097)", "type": "BadRequestError", "param": "input_tokens", "code": 400}}),
        says="4097 input tokens",
    ),
    Behaviour(
        name="prompt is too long", whose="Messages API", end="prompt too long", most=1,
        respond=lambda ask: bare(400, {"type": "error", "error": {
            "type": "invalid_request_error", "message": "prompt is too long: 210018 tokens > 200000 maximum"}}),
        says="210018 tokens",
    ),
    Behaviour(
        name="could not finish", whose="OpenAI's reasoning models", end="cut off", most=1,
        respond=lambda ask: refuse(400, "Could not finish the message because max_tokens or model output limit was reached. Please try "
                                   "again with higher max_tokens."),
        says="used its tokens to think",
    ),
    Behaviour(
        name="n_keep", whose="LM Studio", end="prompt too long", most=1,
        respond=lambda ask: bare(400, {"error": "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)"}), says="15028",
    ),
    Behaviour(
        name="an input beyond the context", whose="SGLang", end="prompt too long", most=1,
        respond=lambda ask: bare(400, {"object": "error", "code": 400, "message": (
            "The input (12057 tokens) is longer than the model's context length (8192 tokens).")}),
        says="12057 tokens",
    ),
    Behaviour(
        name="the image cannot be processed", whose="Messages API", end="image refused", most=1,
        respond=lambda ask: bare(400, {"type": "error", "error": {
            "type": "invalid_request_error", "message": "Could not process image"}}),
        says="Could not process image",
    ),
    Behaviour(
        name="more tokens than a minute's, whatever the wait", whose="OpenAI", end="prompt too long", most=1,
        respond=lambda ask: refuse(
            429, "Request too large for m in organization org-1 on tokens per min (TPM): Limit 30000, Requested 42000. The input or output "
            "tokens must be reduced in order to run successfully.", code="rate_limit_exceeded", kind="tokens"),
        says="lower `max_new_tokens`",
    ),
    Behaviour(
        name="a context without room for any reply", whose="text-generation-inference, Together", end="prompt too long", most=1,
        respond=lambda ask: refuse(
            422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 80125 `inputs` tokens and 1024 "
            "`max_new_tokens`", param="max_tokens"),
        says="80125", learned={},
    ),
    Behaviour(
        name="a risk that exists", whose="DeepSeek", end="content filter", most=1,
        respond=lambda ask: refuse(400, "Content Exists Risk"), says="Content Exists Risk",
    ),
    Behaviour(
        name="an image of no known format, as a fault of the server", whose="Mistral", end="image refused", most=1,
        respond=lambda ask: bare(500, {"object": "error", "type": "invalid_request_error", "code": "3310", "message": (
            "Image data:image/png;base64,iVBO has an invalid format.Allowed formats are JPEG,PNG,WEBP,GIF.")}),
        says="invalid format",
    ),
    Behaviour(
        name="an image that is never small enough", whose="nginx", end="image too large", most=4,
        respond=lambda ask: raw(413, "<html>413 Request Entity Too Large</html>"), says="most_side",
    ),
]  # fmt: skip

MOMENTS = [
    Behaviour(name="Retry-After in seconds", whose="most", respond=once(lambda ask: refuse(
        429, "slow down", headers={"Retry-After": "0.01"}))),
    Behaviour(name="Retry-After as a date, with a page", whose="proxies", respond=once(lambda ask: raw(
        503, "<html><h1>503 Service Unavailable</h1></html>",
        **{"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT", "Content-Type": "text/html"}))),
    Behaviour(name="a failed dependency", whose="text-generation-inference, SageMaker", respond=once(lambda ask: bare(424, {
        "error": "Request failed during generation: Server error: CUDA out of memory.", "error_type": "generation"}))),
    Behaviour(name="limit in base_resp, with status 200", whose="MiniMax", respond=once(lambda ask: bare(200, {
        "id": "1", "choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit exceeded(RPM)"}}))),
    Behaviour(name="an error in a stream that nobody asked for", whose="gateways", respond=once(lambda ask: raw(
        200, 'event: error\ndata: {"error": {"message": "Overloaded", "code": 529}}\n\n', **{"Content-Type": "text/event-stream"}))),
    Behaviour(name="retry-after-ms", whose="OpenAI, Azure", respond=once(lambda ask: refuse(
        429, "slow down", headers={"retry-after-ms": "10"}))),
    Behaviour(name="try again in 7.66s", whose="OpenAI, Groq", respond=once(lambda ask: refuse(
        429, "Rate limit reached for m in organization org-1 on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Please try "
        "again in 0.02s. Visit https://platform.example/account/rate-limits to learn more.", code="rate_limit_exceeded", kind="tokens"))),
    Behaviour(name="retryDelay", whose="Gemini", respond=once(lambda ask: bare(429, [{"error": {
        "code": 429, "message": "You exceeded your current quota, please check your plan and billing details.",
        "status": "RESOURCE_EXHAUSTED", "details": [{"@type": GOOGLE + "RetryInfo", "retryDelay": "0.02s"}]}}]))),
    Behaviour(name="Please retry in 34.07s", whose="Gemini", respond=once(lambda ask: bare(429, [{"error": {
        "code": 429, "status": "RESOURCE_EXHAUSTED", "message": (
        "You exceeded your current quota. * Quota exceeded for metric: generate_content_free_tier_requests, limit: 10\nPlease retry in "
        "0.024074824s.")}}]))),
    Behaviour(name="x-ratelimit-reset-requests", whose="OpenAI", respond=once(lambda ask: refuse(429, "Too many requests", headers={
        "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms", "x-ratelimit-remaining-tokens": "9000",
        "x-ratelimit-reset-tokens": "6m0s"}))),
    Behaviour(name="a limit of a provider behind it", whose="OpenRouter", respond=once(lambda ask: bare(429, {"error": {
        "message": "Provider returned error", "code": 429, "metadata": {
            "raw": "m is temporarily rate-limited upstream. Please retry shortly", "provider_name": "BaseTen",
            "headers": {"X-RateLimit-Reset": "1743292800000", "X-RateLimit-Remaining": "0"}}}}))),
    Behaviour(name="an error with status 200", whose="OpenRouter", respond=once(lambda ask: bare(200, {"error": {
        "message": "Rate limit exceeded", "code": 429}, "user_id": "user_1"}))),
    Behaviour(name="finish error", whose="OpenRouter", respond=once(lambda ask: completion(
        ask, "<description>Half", finish="error", usage={"prompt_tokens": None, "completion_tokens": None, "total_tokens": 0}))),
    Behaviour(name="an error in the choice", whose="OpenRouter", respond=once(lambda ask: bare(200, {"choices": [{
        "index": 0, "finish_reason": "stop", "error": {"code": 502, "message": "Upstream idle timeout"},
        "message": {"role": "assistant", "content": "<desc"}}]}))),
    Behaviour(name="insufficient_system_resource", whose="DeepSeek", respond=once(lambda ask: completion(
        ask, "<description>Half", finish="insufficient_system_resource"))),
    Behaviour(name="overloaded", whose="Messages API", respond=once(lambda ask: bare(529, {"type": "error", "error": {
        "type": "overloaded_error", "message": "Overloaded"}}))),
    Behaviour(name="loading", whose="llama.cpp", respond=once(lambda ask: bare(503, {"error": {
        "code": 503, "message": "Loading model", "type": "unavailable_error"}}))),
    Behaviour(name="currently loading", whose="Hugging Face", respond=once(lambda ask: bare(503, {
        "error": "Model Qwen/Qwen2.5-VL is currently loading", "estimated_time": 0.02}))),
    Behaviour(name="a gateway's page", whose="Cloudflare", respond=once(lambda ask: raw(
        502, "<!DOCTYPE html><html><head><title>502 Bad gateway</title></head></html>", **{"Content-Type": "text/html"}))),
    Behaviour(name="524", whose="Cloudflare", respond=once(lambda ask: raw(524, "error code: 524"))),
    Behaviour(name="request timeout", whose="proxies", respond=once(lambda ask: raw(408, ""))),
    Behaviour(name="too early", whose="proxies", respond=once(lambda ask: raw(425, ""))),
    Behaviour(name="a queue is full", whose="Ollama", learned={}, respond=once(lambda ask: refuse(
        503, "server busy, please try again.  maximum pending requests exceeded", kind="api_error"))),
    Behaviour(name="requests per minute, as a quota", whose="Cerebras", respond=once(lambda ask: bare(429, {
        "message": "Requests per minute limit exceeded - too many requests sent.", "type": "too_many_requests_error",
        "param": "quota", "code": "request_quota_exceeded"}))),
    Behaviour(name="crashed, with status 400", whose="LM Studio", respond=once(lambda ask: bare(400, {
        "error": "The model has crashed without additional information. (Exit code: 18446744072635812000)"}))),
    Behaviour(name="aborted, with status 400", whose="SGLang", respond=once(lambda ask: bare(400, {
        "object": "error", "message": "The request is aborted because of the queue is full", "type": "AbortError", "code": 400}))),
    Behaviour(name="throttled", whose="Amazon Bedrock", respond=once(lambda ask: bare(429, {
        "message": "Too many tokens, please wait before trying again."}))),
    Behaviour(name="no choices", whose="many", respond=once(lambda ask: bare(200, {"id": "1", "choices": [], "usage": None}))),
    Behaviour(name="choices null", whose="OpenRouter", respond=once(lambda ask: bare(200, {"id": None, "choices": None}))),
    Behaviour(name="half a JSON", whose="broken connections", respond=once(lambda ask: raw(200, '{"choices": [{"index": 0, "mess'))),
    Behaviour(name="hangs up", whose="broken connections", respond=once(lambda ask: Reply(value={}, drop=0))),
    Behaviour(name="hangs up within the reply", whose="broken connections", respond=once(
        lambda ask: Reply(value=completion(ask).value, drop=60))),
    Behaviour(name="no gzip, though it says so", whose="proxies", respond=once(lambda ask: Reply(
        data=b"not gzip at all", headers={"Content-Encoding": "gzip"}))),
    Behaviour(name="half a gzip", whose="proxies", respond=once(lambda ask: Reply(
        data=packed(completion(ask).value)[:-20], headers={"Content-Encoding": "gzip"}))),
    Behaviour(name="brotli, which was not asked for", whose="proxies", respond=once(lambda ask: Reply(
        data=b"\x0b\x02\x80hello\x03", headers={"Content-Encoding": "br"}))),
    Behaviour(name="one byte now and then", whose="stuck proxies", timeout=0.8, respond=once(lambda ask: Reply(
        value=completion(ask).value, slowly=0.05))),
    Behaviour(name="says nothing", whose="stuck servers", timeout=0.8, respond=once(
        lambda ask: Reply(value=completion(ask).value, delay=1.2))),
    Behaviour(name="gigabytes, packed", whose="nobody yet", respond=once(lambda ask: Reply(
        data=packed({"choices": "0" * 30_000_000}), headers={"Content-Encoding": "gzip"}))),
    Behaviour(name="30 MB", whose="nobody yet", respond=once(lambda ask: Reply(data=b" " * 30_000_000))),
    Behaviour(name="a JSON without end of nesting", whose="nobody yet", respond=once(lambda ask: Reply(data=b"[" * 500_000))),
]  # fmt: skip

ENDPOINTS = [
    Behaviour(name="wrong key", whose="OpenAI", end="stopped", most=1, says="set OPENAI_API_KEY", respond=lambda ask: refuse(
        401, "Incorrect API key provided: sk-pla***cdef.", code="invalid_api_key")),
    Behaviour(name="wrong key with status 400", whose="Gemini", end="stopped", most=1, says="set OPENAI_API_KEY",
        respond=lambda ask: bare(400, [{"error": {
            "code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}}])),
    Behaviour(name="key without rights", whose="OpenAI", end="stopped", most=1, says="check OPENAI_API_KEY",
        respond=lambda ask: refuse(403, "Project `proj_1` does not have access to model `m`")),
    Behaviour(name="insufficient_quota", whose="OpenAI", end="stopped", most=1, says="quota is used up", respond=lambda ask: refuse(
        429, "You exceeded your current quota, please check your plan and billing details.", code="insufficient_quota",
        kind="insufficient_quota")),
    Behaviour(name="no balance", whose="DeepSeek", end="stopped", most=1, says="no credit left",
        respond=lambda ask: refuse(402, "Insufficient Balance", kind="unknown_error")),
    Behaviour(name="credit balance", whose="Messages API", end="stopped", most=1, says="no credit left", respond=lambda ask: bare(
        400, {"type": "error", "error": {"type": "invalid_request_error", "message": (
        "Your credit balance is too low to access the API. Please go to Plans & Billing to upgrade or purchase credits.")}})),
    Behaviour(name="more credits", whose="OpenRouter", end="stopped", most=1, says="no credit left", respond=lambda ask: bare(
        402, {"error": {"message": "This request requires more credits, or fewer max_tokens. You requested up to 1024 tokens, but can "
        "only afford 200.", "code": 402}})),
    Behaviour(name="a limit until tomorrow", whose="OpenRouter", end="stopped", most=1, says="free-models-per-day",
        respond=lambda ask: bare(429, {"error": {"message": "Rate limit exceeded: free-models-per-day", "code": 429, "metadata": {
            "headers": {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999000"}}}})),
    Behaviour(name="no such model", whose="vLLM", end="stopped", most=1, says="check MODEL", respond=lambda ask: bare(404, {
        "object": "error", "message": "The model `m` does not exist.", "type": "NotFoundError", "param": "model", "code": 404})),
    Behaviour(name="pinned to another", whose="transformers serve", end="stopped", most=1, says="pinned to '/models/m'",
        respond=lambda ask: bare(400, {"detail": "Server is pinned to '/models/m'; requested 'm'."})),
    Behaviour(name="try pulling it", whose="Ollama", end="stopped", most=1, says="try pulling it first", respond=lambda ask: refuse(
        404, 'model "m" not found, try pulling it first', kind="api_error")),
    Behaviour(name="not a valid model ID", whose="OpenRouter", end="stopped", most=1, says="check MODEL",
        respond=lambda ask: bare(400, {"error": {"message": "m is not a valid model ID", "code": 400}})),
    Behaviour(name="no deployment", whose="Azure", end="stopped", most=1, says="check MODEL", respond=lambda ask: bare(404, {"error": {
        "code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}})),
    Behaviour(name="a page that is not there", whose="any web server", end="stopped", most=1, says="mostly ends with /v1",
        respond=lambda ask: raw(404, "<html>404 Not Found</html>")),
    Behaviour(name="takes no images, as a fault of the server", whose="llama.cpp", end="stopped", most=1, says="does not take images",
        respond=lambda ask: bare(500, {"error": {
            "code": 500, "message": "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
            "type": "server_error"}})),
    Behaviour(name="takes no images, with status 200", whose="LM Studio", end="stopped", most=1, says="does not take images",
        respond=lambda ask: bare(200, {"error": {"message": (
            "Error in iterating prediction stream: ValueError: Vision add-on is not loaded, but images were provided for processing")}})),
    Behaviour(name="no endpoints that take images", whose="OpenRouter", end="stopped", most=1, says="does not take images",
        respond=lambda ask: bare(404, {"error": {"message": "No endpoints found that support image input", "code": 404}})),
    Behaviour(name="not a multimodal model", whose="vLLM", end="stopped", most=1, says="does not take images",
        respond=lambda ask: bare(400, {"object": "error", "message": "m is not a multimodal model None", "type": "BadRequestError",
                                       "param": None, "code": 400})),
    Behaviour(name="unknown variant `image_url`", whose="DeepSeek", end="stopped", most=1, says="does not take images",
        respond=lambda ask: refuse(400, "Failed to deserialize the JSON body into the target type: messages[1]: unknown variant "
                                   "`image_url`, expected `text` at line 1 column 4123")),
    Behaviour(name="data required for image input", whose="Ollama", end="stopped", most=1, says="does not take images",
        respond=lambda ask: refuse(500, "this model is missing data required for image input", kind="api_error")),
    Behaviour(name="at most 0 images", whose="vLLM", end="stopped", most=1, says="does not take images", respond=lambda ask: bare(
        400, {"object": "error", "message": "At most 0 image(s) may be provided in one prompt.", "type": "BadRequestError", "code": 400})),
    Behaviour(name="a web page, with status 200", whose="web interfaces, sign-in pages", end="stopped", most=1, says="a web page",
        respond=lambda ask: raw(200, "<!DOCTYPE html><html><head><title>Sign in</title></head></html>", **{"Content-Type": "text/html"})),
    Behaviour(name="a data policy", whose="OpenRouter", end="stopped", most=1, says="check BASE_URL and the account",
        respond=lambda ask: bare(404, {"error": {"message": "No endpoints found matching your data policy", "code": 404}})),
    Behaviour(name="a limit of 0", whose="Gemini's free tier", end="stopped", most=1, says="quota is used up", respond=lambda ask: bare(
        429, [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": (
            "You exceeded your current quota. * Quota exceeded for metric: free_tier_requests, limit: 0\nPlease retry in 24.07s."),
            "details": [{"@type": GOOGLE + "RetryInfo", "retryDelay": "24s"}]}}])),
    Behaviour(name="a quota of a day", whose="Gemini's free tier", end="stopped", most=1, says="quota is used up",
        respond=lambda ask: bare(429, [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": (
            "You exceeded your current quota. * Quota exceeded for metric: free_tier_requests, limit: 50\nPlease retry in 24.07s."),
            "details": [{"@type": GOOGLE + "QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerDayPerProject-FreeTier"}]},
                        {"@type": GOOGLE + "RetryInfo", "retryDelay": "24s"}]}}])),
    Behaviour(name="login fail, with status 200", whose="MiniMax", end="stopped", most=1, says="set OPENAI_API_KEY",
        respond=lambda ask: bare(200, {"base_resp": {
            "status_code": 1004, "status_msg": "login fail: Please carry the API secret key in the Authorization field"}})),
    Behaviour(name="code and msg, with status 200", whose="gateways", end="stopped", most=1, says="set OPENAI_API_KEY",
        respond=lambda ask: bare(200, {"code": 401, "msg": "Invalid token", "data": None})),
    Behaviour(name="no model is loaded", whose="LM Studio", end="stopped", most=1, says="check MODEL", respond=lambda ask: refuse(
        400, "No models loaded. Please load a model in the developer page or use the 'lms load' command.")),
    Behaviour(name="terms to accept", whose="Groq", end="stopped", most=1, says="requires terms acceptance", respond=lambda ask: refuse(
        400, "The model `m` requires terms acceptance. Please have the org admin accept the terms", code="model_terms_required")),
    Behaviour(name="not active", whose="OpenAI", end="stopped", most=1, says="not active", respond=lambda ask: refuse(
        429, "Your account is not active, please check your billing details on our website.", code="billing_not_active")),
    Behaviour(name="content must be a string", whose="Groq's text models", end="stopped", most=1, says="does not take images",
        respond=lambda ask: refuse(400, "messages[1].content must be a string")),
    Behaviour(name="organization must be verified", whose="OpenAI", end="stopped", most=1, says="must be verified",
        respond=lambda ask: refuse(400, "Your organization must be verified to use this model.", code="unsupported_value")),
    Behaviour(name="sends on to another host", whose="proxies", end="stopped", most=1, says="not sent on to another address",
        respond=lambda ask: Reply(status=307, data=b"", headers={"Location": "http://127.0.0.2:9/v1/chat/completions"})),
    Behaviour(name="method not allowed", whose="any web server", end="stopped", most=1, says="check BASE_URL",
        respond=lambda ask: raw(405, "Method Not Allowed")),
]  # fmt: skip

THINKING = "I see a ball. <description> is the first tag. Perhaps 0.4 m?"

REPLIES = [
    Behaviour(name="thinking between tags", whose="DeepSeek R1, Qwen 3", most=1,
              respond=lambda ask: completion(ask, f"<think>\n{THINKING}\n</think>\n\n{ask.rest()}")),
    Behaviour(name="thinking with its end alone", whose="vLLM without a reasoning parser", most=1,
              respond=lambda ask: completion(ask, f"{THINKING}\n</think>\n\n{ask.rest()}")),
    Behaviour(name="reasoning_content", whose="vLLM, DeepSeek, DashScope", most=1,
              respond=lambda ask: completion(ask, reasoning_content=THINKING)),
    Behaviour(name="reasoning and its details", whose="OpenRouter, Ollama", most=1, respond=lambda ask: completion(
        ask, reasoning=THINKING, reasoning_details=[{"type": "reasoning.text", "text": THINKING, "index": 0}])),
    Behaviour(name="parts of text", whose="some gateways", most=1, respond=lambda ask: completion(
        ask, [{"type": "text", "text": ask.rest()[:50]}, {"type": "text", "text": ask.rest()[50:]}])),
    Behaviour(name="parts of thinking and text", whose="Magistral", most=1, respond=lambda ask: completion(ask, [
        {"type": "thinking", "thinking": [{"type": "text", "text": THINKING}]}, {"type": "text", "text": ask.rest()}])),
    Behaviour(name="[THINK]", whose="Magistral on llama.cpp", most=1,
              respond=lambda ask: completion(ask, f"[THINK]{THINKING}[/THINK]{ask.rest()}")),
    Behaviour(name="channels", whose="gpt-oss without a parser", most=1, respond=lambda ask: completion(
        ask, f"<|channel|>analysis<|message|>{THINKING}<|end|><|start|>assistant<|channel|>final<|message|>{ask.rest()}<|return|>")),
    Behaviour(name="◁think▷", whose="Kimi", most=1, respond=lambda ask: completion(ask, f"◁think▷{THINKING}◁/think▷{ask.rest()}")),
    Behaviour(name="a box", whose="GLM-4.5V", most=1, respond=lambda ask: completion(
        ask, f"<think>{THINKING}</think><|begin_of_box|>{ask.rest()}<|end_of_box|>")),
    Behaviour(name="a greeting", whose="many models", most=1,
              respond=lambda ask: completion(ask, f"Sure! Here is my answer:\n\n{ask.rest()}")),
    Behaviour(name="the end token is left", whose="many servers", most=1, respond=lambda ask: completion(ask, f"{ask.rest()}<|im_end|>")),
    Behaviour(name="goes on as the user", whose="models without their stop token", most=1, respond=lambda ask: completion(
        ask, f"{ask.rest()}<|im_end|>\n<|im_start|>user\nAnd how tall is it?<|im_end|>")),
    Behaviour(name="</s>", whose="Llama 2 style templates", most=1, respond=lambda ask: completion(ask, f"<s>{ask.rest()}</s>")),
    Behaviour(name="a code fence", whose="many models", most=1, respond=lambda ask: completion(ask, f"```xml\n{ask.rest()}\n```")),
    Behaviour(name="the older form", whose="small servers", most=1, respond=lambda ask: bare(
        200, {"choices": [{"index": 0, "text": ask.rest(), "finish_reason": "stop"}]})),
    Behaviour(name="finish null", whose="small servers", most=1, respond=lambda ask: completion(ask, finish=None)),
    Behaviour(name="finish end_turn", whose="xAI", most=1, respond=lambda ask: completion(ask, finish="end_turn")),
    Behaviour(name="no usage", whose="small servers", most=1, respond=lambda ask: completion(ask, usage=False)),
    Behaviour(name="usage beyond 64 bits", whose="nobody yet", most=1, respond=lambda ask: completion(
        ask, usage={"prompt_tokens": 2**62, "completion_tokens": 2**80, "total_tokens": -1})),
    Behaviour(name="usage in words", whose="nobody yet", most=1, respond=lambda ask: completion(
        ask, usage={"prompt_tokens": "11", "completion_tokens": [7], "prompt_tokens_details": 3})),
    Behaviour(name="20,000 choices", whose="nobody yet", most=1, respond=lambda ask: completion(ask, choices=20_000)),
    Behaviour(name="half of a surrogate pair", whose="nobody yet", most=1, respond=lambda ask: raw(
        200, json.dumps(completion(ask).value).replace("a ball.", "a ball \\ud83d."))),
    Behaviour(name="a byte order mark", whose="small servers", most=1, respond=lambda ask: raw(
        200, "\ufeff" + json.dumps(completion(ask).value))),
    Behaviour(name="JSON in a text in JSON", whose="serverless gateways", most=1, respond=lambda ask: raw(
        200, json.dumps(json.dumps(completion(ask).value)))),
    Behaviour(name="streams unasked", whose="gateways", most=1, respond=lambda ask: Reply(
        data=events(completion(ask).value), headers={"Content-Type": "text/event-stream"})),
    Behaviour(name="streams unasked, and calls it JSON", whose="gateways", most=1, respond=lambda ask: Reply(
        data=b": keep-alive\n\n" + events(completion(ask).value))),
    Behaviour(name="a delta in place of the message", whose="gateways", most=1, respond=lambda ask: bare(200, {
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": ask.rest()}, "finish_reason": "stop"}]})),
    Behaviour(name="role model", whose="gateways to Gemini", most=1, respond=lambda ask: completion(ask, role="model")),
    Behaviour(name="blank lines while it works", whose="DeepSeek", most=1, respond=lambda ask: raw(
        200, "\n\n\n" + json.dumps(completion(ask).value))),
    Behaviour(name="logprobs, annotations, audio: null", whose="OpenAI", most=1, respond=lambda ask: completion(
        ask, logprobs=None, annotations=[], audio=None, refusal=None, function_call=None, tool_calls=None)),
    Behaviour(name="finish eos_token", whose="text-generation-inference", most=1, respond=lambda ask: completion(ask, finish="eos_token")),
    Behaviour(name="one of three broke off", whose="OpenRouter", n=3, most=1, respond=lambda ask: bare(200, {"choices": [
        {"index": 1, "finish_reason": "error", "message": {"role": "assistant", "content": "<desc"}},
        {"index": 2, "finish_reason": "stop", "message": {"role": "assistant", "content": ask.rest()}},
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ask.rest()}}]}), learned={}),
    Behaviour(name="a packed reply", whose="most", most=1, respond=lambda ask: Reply(
        data=packed(completion(ask).value), headers={"Content-Encoding": "gzip"})),
    Behaviour(name="sends on within the host", whose="proxies", most=2, respond=lambda ask: Reply(
        status=307, data=b"", headers={"Location": "/v1/chat/completions"}) if ask.number == 0 else completion(ask)),
]  # fmt: skip

EMPTIES = [
    Behaviour(name="all tokens went into thinking", whose="vLLM, Gemini, Kimi", end="empty: cut off while thinking", most=1,
              respond=lambda ask: bare(200, {"choices": [{"index": 0, "finish_reason": "length", "message": {
                  "role": "assistant", "content": None, "reasoning_content": THINKING}}], "usage": {
                  "prompt_tokens": 11, "completion_tokens": 1024}})),
    Behaviour(name="an open block of thinking", whose="models without a parser", end="empty: cut off while thinking", most=1,
              respond=lambda ask: completion(ask, f"<think>{THINKING}", finish="length")),
    Behaviour(name="cut off before it wrote", whose="Gemini", end="empty: cut off", most=1,
              respond=lambda ask: bare(200, {"choices": [{"index": 0, "finish_reason": "length", "message": {"role": "assistant"}}]})),
    Behaviour(name="nothing at all", whose="many", end="empty", most=1, respond=lambda ask: completion(ask, "")),
    Behaviour(name="nothing but thinking", whose="Ollama, vLLM with another model's parser", end="empty: only thinking", most=1,
              respond=lambda ask: completion(ask, "", reasoning=THINKING)),
    Behaviour(name="no choices, though they were paid for", whose="gateways to Gemini", end="empty", most=1, respond=lambda ask: bare(
        200, {"id": "1", "choices": [], "usage": {"prompt_tokens": 4241, "completion_tokens": 0, "total_tokens": 4241}})),
    Behaviour(name="a tool call in the text", whose="agentic models without a parser", end="empty", most=1,
              respond=lambda ask: completion(ask, '<tool_call>\n{"name": "look", "arguments": {}}\n</tool_call>')),
    Behaviour(name="an empty list of parts", whose="gateways", end="empty", most=1, respond=lambda ask: completion(ask, [])),
    Behaviour(name="a tool call", whose="agentic models", end="empty", most=1, respond=lambda ask: completion(
        ask, "", finish="tool_calls", tool_calls=[{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}])),
    Behaviour(name="cut off", whose="all", end="cut off", most=1, respond=lambda ask: completion(ask, ANSWER[:60], finish="length")),
    Behaviour(name="finish maxPredictedTokensReached", whose="LM Studio", end="cut off", most=1,
              respond=lambda ask: completion(ask, ANSWER[:60], finish="maxPredictedTokensReached")),
    Behaviour(name="finish guardrail_intervened", whose="Amazon Bedrock", end="refusal", most=1,
              respond=lambda ask: completion(ask, "Sorry, I cannot answer.", finish="guardrail_intervened")),
    Behaviour(name="MAX_TOKENS", whose="Gemini", end="cut off", most=1,
              respond=lambda ask: completion(ask, ANSWER[:60], finish="MAX_TOKENS")),
]  # fmt: skip

BEHAVIOURS = [*PARAMETERS, *PROMPTS, *MOMENTS, *ENDPOINTS, *REPLIES, *EMPTIES]
