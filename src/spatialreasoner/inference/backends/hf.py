"""Local vision-language models of transformers as policies; calls that wait at the same time become one batch."""

from __future__ import annotations

import asyncio
import math
import re
import threading
from collections import deque
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from PIL.Image import Image
from torch import Tensor
from transformers import AsyncTextIteratorStreamer, GenerationConfig, LogitsProcessorList

from spatialreasoner.core.errors import EndpointError
from spatialreasoner.core.types import Completion, Prompt, Rle
from spatialreasoner.inference.backends.local_calls import LocalCall, chance_of
from spatialreasoner.inference.backends.openings import Opening, Openings
from spatialreasoner.inference.backends.owed import OwedText
from spatialreasoner.inference.backends.rows import FAILURES, Promised, RowWriting
from spatialreasoner.inference.backends.sampling import GumbelNoise
from spatialreasoner.inference.backends.streams import Streamed
from spatialreasoner.inference.cleaning import clean_text
from spatialreasoner.inference.grounds import files_depended_on
from spatialreasoner.inference.promised import fulfil
from spatialreasoner.scenes.carry import masks_for
from spatialreasoner.scenes.last_image import LastImage
from spatialreasoner.vlm.adapters import layer_digest, layers_of
from spatialreasoner.vlm.encoding import DECODING, TOKEN_KEYS, Opened, TextReader, decoder_of, end_ids
from spatialreasoner.vlm.loading import load_vlm
from spatialreasoner.vlm.rendering import chat_template_of, common_start, special_tokens
from spatialreasoner.vlm.safety import LONGEST_REASON
from spatialreasoner.vlm.sources import name_of, shipped_as, source_of
from spatialreasoner.vlm.writing import Manner, WantedAnswer, Written, writers_of

_NEAR = 8
"""Number of tokens before a continuation that are decoded with it."""

_ENDINGS = 256
"""Texts of such tokens that are kept in mind: most prompts end alike."""

ROWS = 32
"""Fewest rows of a model that writes each at its own pace: they take little memory, and fewer leave it idle."""

SMALL_MODEL = 2 * 10**7
"""Weights below which a step on a CPU is too short for a second thread: threads should work on batches of their own."""


class HfPolicy:
    """A vision-language model in this process.

    Regions are drawn on the image as numbered marks; if the model's configuration has `region_tokens`, the image carries them
    as metadata for the processor instead. Prompts are rendered as in training (`vlm.rendering`), and completions are cleaned as
    replies of endpoints are. Only the end tokens of the model's generation_config.json are used, none of its penalties or
    beams. Sampling depends only on the prompt, the seed and the number of the completion: a call gives the same completions
    whatever else is in its batch (but for rounding, which padding can change).

    Args:
        source: `nano`, or a folder or a repository on the Hub, with or without `hf:`.
        temperature: Sampling temperature; 0 is greedy.
        max_new_tokens: Maximum length of a completion in tokens.
        batch_size: Maximum batch size; at least `ROWS` for a model that writes each answer at its own pace.
        precision: `float32`, `bfloat16`, `float16`, or `auto`: bfloat16 on a GPU that supports it, except for a model shipped
            with a package, which is small and gives other answers in half precision.
        enable_thinking: Let a model think before it answers, if it can; use the setting that it was trained with.

    Attributes:
        at_once: Number of concurrent calls that keep it busy.

    Raises:
        ConfigError: If the model does not exist, or it could only be read by unpickling or by running its code.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        temperature: float = 0.9,
        max_new_tokens: int = 768,
        batch_size: int = 8,
        precision: str = "auto",
        enable_thinking: bool = False,
    ) -> None:
        self._source = source_of(source)
        self._name = name_of(source)
        self.temperature = temperature
        self.max_new_tokens = max_new_tokens
        self.batch_size = batch_size
        cuda = torch.cuda.is_available()
        if precision == "auto":
            half = cuda and torch.cuda.is_bf16_supported() and shipped_as(self._source) is None
            precision = "bfloat16" if half else "float32"
        model, processor = load_vlm(self._source, precision=precision)
        self._model: Any = model.eval()
        self._model.to("cuda" if cuda else "cpu")
        self._threads = torch.get_num_threads()
        self._processor: Any = processor
        self._prepare_tokenizer()
        self._thinking = enable_thinking
        self._template = chat_template_of(processor, thinking=enable_thinking)
        self._reader = TextReader(processor)
        self._openings = Openings(self._template, self._reader)
        self._decode = decoder_of(processor.tokenizer)
        self._ending = lru_cache(_ENDINGS)(lambda ids: self._decode(list(ids)))
        self._reading, self._images = threading.Lock(), LastImage()
        self._ends = end_ids(self._template, self._processor.tokenizer, self._model.generation_config.eos_token_id)
        self._model.generation_config = GenerationConfig(  # its own settings would fill in what a call leaves open
            eos_token_id=self._ends, pad_token_id=self._processor.tokenizer.pad_token_id, do_sample=False
        )
        self._waiting: deque[tuple[Any, Promised]] = deque()
        small = not cuda and self._model.num_parameters() < SMALL_MODEL
        self._most_workers = self._threads if small else 1
        self._threads_each = 1 if small else self._threads
        self._workers: set[asyncio.Task[None]] = set()
        self._generating = self._writing = 0
        rows = max(batch_size, ROWS)
        writers = writers_of(self._model, processor, ends=self._ends, rows=rows)
        self._rows = None if writers is None else RowWriting(writers, self._written, self._failure)
        self.at_once = batch_size if writers is None else rows * self._most_workers

    @property
    def name(self) -> str:
        """`nano`, or `hf:` and where the model is from."""
        return self._name

    @cached_property
    def identity(self) -> str:
        """All that decides an answer beside the prompt: weights, processor, templates and settings.

        A checkpoint that is trained again in the same folder is another model, whose answers no journal has.
        """
        weights = "+".join(self._digest(layer) for layer in layers_of(self._source))
        dtype = str(self._model.dtype).removeprefix("torch.")
        thinking = " thinking" if self._thinking else ""
        return f"{self.name} {weights} {dtype} temperature {self.temperature} at most {self.max_new_tokens} tokens{thinking}"

    @cached_property
    def depends(self) -> dict[str, str]:
        """The same part by part."""
        own, *below = layers_of(self._source)
        files = files_depended_on(own) if Path(own).is_dir() else {"commit": self._digest(own)}
        files |= {f"base {Path(layer).name}": self._digest(layer)[:16] for layer in below}
        return files | {
            "precision": str(self._model.dtype).removeprefix("torch."),
            "temperature": str(self.temperature),
            "max_new_tokens": str(self.max_new_tokens),
            "enable_thinking": str(self._thinking),
        }

    def _digest(self, layer: str) -> str:
        return layer_digest(layer, getattr(self._model.config, "_commit_hash", None))

    @property
    def model_type(self) -> str:
        """The model's family, as transformers calls it."""
        return self._model.config.model_type

    @property
    def region_tokens(self) -> bool:
        """Whether the model has tokens for regions, and needs no marks."""
        return bool(getattr(self._model.config, "region_tokens", False))

    async def complete(self, prompt: Prompt, *, n: int, seed: int) -> Sequence[Completion]:
        """Write `n` continuations of `prompt.prefix`.

        Raises:
            EndpointError: If generation fails, for want of memory say.
            SceneError: If the image or a region is unusable.
        """
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Completion]] = [loop.create_future() for _ in range(n)]
        call = self._call(prompt)  # here, where a bad image fails its own call alone
        keys = [chance_of(prompt, seed, index) for index in range(n)]
        if self._rows is None:
            self._waiting += zip((replace(call, key=key) for key in keys), futures, strict=True)
        else:
            self._waiting += zip((self._wanted(call, key) for key in keys), futures, strict=True)
        self._workers -= {worker for worker in self._workers if worker.done()}  # one that has ended takes no more calls
        while len(self._workers) < min(self._most_workers, len(self._waiting)):
            worker = loop.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        return [await futures[0]] if n == 1 else await asyncio.gather(*futures)

    async def stream(self, prompt: Prompt, *, seed: int) -> AsyncGenerator[str]:
        """Write one continuation of `prompt.prefix` piece by piece; closing the generator ends it.

        Raises:
            EndpointError: If generation fails, for want of memory say.
            SceneError: If the image or a region is unusable.
        """
        call = self._call(prompt, chance_of(prompt, seed, 0))
        opening = call.opening
        pieces = AsyncTextIteratorStreamer(self._processor.tokenizer, skip_prompt=True, **DECODING)
        unwanted = threading.Event()
        writing = asyncio.create_task(asyncio.to_thread(self._write, call, pieces, unwanted))
        cleaned, text, shown = Streamed(prompt.prefix), "", 0
        try:
            owed = "" if self._rows is not None else (await asyncio.to_thread(self._opened, [call]))[0].owed
            cleaned.add(opening.thought)
            async for piece in pieces:
                again = common_start(piece, owed)
                owed = owed[again:] if again == len(piece) else ""
                text += self._special.sub("", cleaned.add(piece[again:]))
                ready = opening.answer(text, ended=False)
                if len(ready) - len(opening.tail) > shown:  # what may be the template's own is held back
                    yield ready[shown : len(ready) - len(opening.tail)]
                    shown = len(ready) - len(opening.tail)
            (completion,) = await writing
            if completion.text[shown:]:
                yield completion.text[shown:]
        except FAILURES as error:
            raise self._failure(error) from None
        finally:
            unwanted.set()

    def _write(self, call: LocalCall, pieces: AsyncTextIteratorStreamer, unwanted: threading.Event) -> Sequence[Completion]:
        def stop(ids: Int[Tensor, "rows tokens"], scores: Any, **_: Any) -> Tensor:
            return torch.full((ids.shape[0],), unwanted.is_set(), device=ids.device)

        try:
            if self._rows is not None:
                return [self._tell(self._rows, call, pieces, unwanted)]
            return self._generate([call], streamer=pieces, stopping_criteria=[stop])
        finally:
            pieces.end()  # of a failure, too: the reader must not wait for ever

    async def _work(self) -> None:
        """Generate until no call is waiting; one batch at a time, beside the event loop and the other workers."""
        await asyncio.sleep(0)  # calls that are about to start join the first batch
        while self._waiting:
            if self._rows is not None:
                await asyncio.to_thread(self._write_rows, self._rows, asyncio.get_running_loop())
                continue
            share = math.ceil(len(self._waiting) / (self._most_workers - self._generating))
            batch = [self._waiting.popleft() for _ in range(min(share, self.batch_size))]
            wanted = [(call, future) for call, future in batch if not future.done()]
            if wanted:
                self._generating += 1
                try:
                    await self._serve(wanted)
                finally:
                    self._generating -= 1

    def _write_rows(self, rows: RowWriting, loop: asyncio.AbstractEventLoop) -> None:
        with self._own_threads():
            rows.write(self._waiting, lambda: len(self._workers), loop, self._manner())

    def _tell(
        self, rows: RowWriting, call: LocalCall, pieces: AsyncTextIteratorStreamer, unwanted: threading.Event
    ) -> Completion:
        def goes_on(token: int) -> bool:
            pieces.put(torch.tensor([token]))
            return not unwanted.is_set()

        pieces.put(torch.tensor([0]))  # for the prompt, which is skipped
        with self._own_threads():
            return rows.tell(self._wanted(call, call.key), goes_on, self._manner())

    def _manner(self) -> Manner:
        return Manner(temperature=self.temperature, most=self.max_new_tokens)

    def _wanted(self, call: LocalCall, key: int) -> WantedAnswer:
        ids = self._openings.ids(call.opening)
        return WantedAnswer(ids=ids, image=call.image, masks=call.masks or (), seed=key, of=call.opening)

    def _written(self, written: Written) -> Completion:
        wanted = written.wanted
        return self._completion(wanted.of, written.ids, written.read, before=wanted.ids[-_NEAR:])

    async def _serve(self, batch: Sequence[tuple[LocalCall, asyncio.Future[Completion]]]) -> None:
        try:
            completions = await asyncio.to_thread(self._generate, [call for call, _ in batch])
        except Exception as error:  # noqa: BLE001  (whatever it is, no call may wait for ever)
            known = isinstance(error, FAILURES)
            for _, future in batch:
                fulfil(future, self._failure(error) if known else error)
            return
        for (_, future), completion in zip(batch, completions, strict=True):
            fulfil(future, completion)

    @torch.inference_mode()
    def _generate(self, calls: Sequence[LocalCall], **options: Any) -> list[Completion]:
        opened = self._opened(calls)
        with self._reading:
            inputs = self._inputs(calls, opened).to(self._model.device, dtype=self._model.dtype)
        config = GenerationConfig(max_new_tokens=self.max_new_tokens, do_sample=False)
        chance = [GumbelNoise(self.temperature, [call.key for call in calls])] if self.temperature > 0 else []
        owing = (
            [OwedText([each.owed for each in opened], self._processor.tokenizer)] if any(each.owed for each in opened) else []
        )
        processors = LogitsProcessorList([*owing, *chance])
        with self._own_threads():
            texts = self._model.generate(**inputs, generation_config=config, logits_processor=processors, **options)
        length = inputs["input_ids"].shape[1]
        read = inputs["attention_mask"].sum(1).tolist()
        return [
            self._completion(call.opening, row[length:], count, before=row[length - min(count, _NEAR) : length], owed=each.owed)
            for call, each, row, count in zip(calls, opened, texts.tolist(), read, strict=True)
        ]

    def _opened(self, calls: Sequence[LocalCall]) -> list[Opened]:
        with self._reading:  # a tokenizer keeps how it pads from call to call: threads would undo each other's
            return [self._reader.open_ended(call.opening.text, call.opening.follows) for call in calls]

    @contextmanager
    def _own_threads(self) -> Generator[None]:
        """As many threads of torch as a worker has; the last one to end leaves as many as there were."""
        self._writing += 1
        torch.set_num_threads(self._threads_each)
        try:
            yield
        finally:
            self._writing -= 1
            if not self._writing:
                torch.set_num_threads(self._threads)

    def _failure(self, error: Exception) -> EndpointError:
        said = " ".join(str(error).split())[:LONGEST_REASON] or "no reason given"
        return EndpointError(f"{self.name} failed: {type(error).__name__}: {said}. If memory ran out, lower the batch size")

    def _inputs(self, calls: Sequence[LocalCall], opened: Sequence[Opened]) -> Any:
        images = [[image] if (image := call.shown) else [] for call in calls]
        special = self._reader.adds_special(calls[0].opening.text)
        inputs = self._processor(
            images=images if any(images) else None,
            text=[each.text for each in opened],
            padding=True,
            return_tensors="pt",
            add_special_tokens=special,
        )
        appended = self._reader.appended if special else 0  # the tokenizer's own end, after which nothing is left to write
        surplus = [each.surplus + appended for each in opened]
        if any(surplus):
            for key in {"input_ids", "attention_mask", *TOKEN_KEYS} & set(inputs):
                rows = [row.roll(count) for row, count in zip(inputs[key], surplus, strict=True)]
                inputs[key] = torch.stack(rows)[:, min(surplus) :]
                for row, count in zip(inputs[key], surplus, strict=True):
                    row[: count - min(surplus)] = self._processor.tokenizer.pad_token_id if key == "input_ids" else 0
        return inputs

    def _prepare_tokenizer(self) -> None:
        """Batches are padded on the left, so that all rows end where the answers begin."""
        tokenizer = self._processor.tokenizer
        tokenizer.padding_side = "left"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token

    @cached_property
    def _special(self) -> re.Pattern[str]:
        """Matches special tokens, which never belong to an answer."""
        return re.compile("|".join(map(re.escape, special_tokens(self._processor.tokenizer))) or r"(?!)")

    def _call(self, prompt: Prompt, key: int = 0) -> LocalCall:
        """What is asked of the model."""
        opening = self._openings.of(prompt)
        image, masks = self._seen(prompt)
        return LocalCall(opening=opening, image=image, masks=masks, key=key)

    def _seen(self, prompt: Prompt) -> tuple[Image | None, tuple[Rle, ...] | None]:
        """The image, and its regions for a model with tokens for them; for others they are drawn on it."""
        if not prompt.image:
            return None, None
        image = self._images.read(prompt.image)
        if self.region_tokens:
            return image, masks_for(image, prompt.regions)
        from spatialreasoner.scenes.marks import draw

        return draw(image, prompt.regions), None

    def _completion(
        self, opening: Opening, ids: list[int], prompt_tokens: int, *, before: Sequence[int], owed: str = ""
    ) -> Completion:
        length = next((index for index, token in enumerate(ids) if token in self._ends), None)
        written = self._decode([*before, *ids[:length]])  # some tokenizers leave out the first blank of a text
        written = written[common_start(written, self._ending(tuple(before))) :]
        written = written[common_start(written, owed) :]
        cleaned = clean_text(opening.thought + written, prefix=opening.prefix)
        text = self._special.sub("", cleaned.text)
        return Completion(
            text=opening.answer(text, ended=length is not None),
            prompt_tokens=prompt_tokens,
            completion_tokens=len(ids) if length is None else length + 1,
            finish="length" if length is None else "stop",
            thinking=cleaned.thinking,
        )
