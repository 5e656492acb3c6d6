"""Answers by the library of decoder.c are those of PyTorch, and none depends on what is written beside it."""

import asyncio
import copy
import ctypes
from collections import OrderedDict, deque
from dataclasses import replace

import numpy as np
import pytest
import torch
from threadpoolctl import ThreadpoolController, threadpool_info

from native_fixtures import built_anew
from spatialreasoner.core.errors import EndpointError
from spatialreasoner.core.native import C_SOURCES, DECODER, WIDE_DECODER, CSource
from spatialreasoner.core.types import Prompt
from spatialreasoner.inference.backends.hf import HfPolicy
from spatialreasoner.inference.streaming import stream
from spatialreasoner.nano.modeling import NanoForConditionalGeneration
from spatialreasoner.nano.native import eyes, kernel
from spatialreasoner.nano.native.eyes import NativeEyes, TorchEyes
from spatialreasoner.nano.native.kernel import Panels, RowsDecoder, ToldImage, Unread, Words, is_suited, native_library
from spatialreasoner.nano.native.tower import can_see
from spatialreasoner.nano.native.writers import Writers
from spatialreasoner.nano.numpy.layers import NamedWeights
from spatialreasoner.nano.tokenizer import IMAGE
from spatialreasoner.scenes.carry import carried
from spatialreasoner.vlm.writing import Manner, WantedAnswer

GREEDY, SAMPLED = Manner(temperature=0.0, most=40), Manner(temperature=0.9, most=40)


@pytest.fixture(scope="module", autouse=True, params=[DECODER, WIDE_DECODER], ids=["narrow", "wide"])
def library(request, tmp_path_factory):
    """Built of the source as it is; every test fails where there is a compiler and nothing was built."""
    if request.param is WIDE_DECODER and WIDE_DECODER not in C_SOURCES:
        pytest.skip("vectors of 512 bits are of other processors")
    with built_anew(request.param, tmp_path_factory.mktemp("native"), kernel, native_library) as found:
        yield found


@pytest.fixture
def ask(nano, image):
    """Texts of a question about an image, or about none."""
    tokenizer = nano[1].tokenizer

    draw = image

    def make(text, *, image=0, seed=0, **options):
        request = f"<|user|>{IMAGE if image is not None else ''}{text}<|end|><|assistant|>"
        ids = tokenizer(request, add_special_tokens=False)["input_ids"]
        shown = None if image is None else draw(image)
        masks = carried(shown) if shown else ()
        return WantedAnswer(ids=ids, image=shown, masks=masks, seed=seed, **options)

    return make


def writers(nano, rows=4, model=None, ends=None):
    return Writers(model or nano[0], nano[1], ends=ends or [nano[1].tokenizer.eos_token_id], rows=rows)


def written(made, wanted, how=GREEDY):
    """What becomes of each, in their order."""
    waiting, found = deque(wanted), {}
    with made.lent() as writer:
        for each in writer.write(lambda most: [waiting.popleft() for _ in range(min(most, len(waiting)))], how):
            found[id(each.wanted)] = each
    return [found[id(each)] for each in wanted]


def read(rows, head, *pieces):
    """What the decoder makes of the last token of each piece, (slot, place, embeds), before its last norm."""
    words = Words(rows, np.zeros(head.shape, np.float32), [], [])
    given = [
        Unread(slot, place, range(-1, -1 - len(embeds), -1), [ToldImage(embeds, embeds[:0])] * len(embeds))
        for slot, place, embeds in pieces
    ]
    for slot, place, embeds in pieces:
        rows.make_room(slot, place + len(embeds))
    rows.write(words, given, 0.0, np.zeros((1, len(given))))
    return rows.rooms[1][: len(given) * head.shape[1]].reshape(len(given), -1).copy()


def choose(decoder, library, head, hidden, temperature, chance):
    """The tokens after hidden states, by a decoder that leaves what it is given as it is."""
    still = copy.deepcopy(decoder)
    for layer in still.layers:
        layer.self_attn.o_proj.weight.data.zero_()
        layer.mlp.down_proj.weight.data.zero_()
    rows, nothing = RowsDecoder(Panels(library, still, head), 2), np.zeros((0, head.shape[1]), np.float32)
    table = np.zeros((max(len(head), len(hidden)), head.shape[1]), np.float32)
    table[: len(hidden)] = hidden
    for slot in range(2):
        rows.make_room(slot, 1)
    pieces = [Unread(token % 2, 0, [token], [ToldImage(nothing, nothing)]) for token in range(len(hidden))]
    return [token for (token,) in rows.write(Words(rows, table, [], []), pieces, temperature, chance[None])]


def test_rows_of_any_length_are_read_as_by_the_modules(nano, library):
    decoder, head = nano[0].model.language_model, nano[0].lm_head.weight
    rows = RowsDecoder(Panels(library, decoder, head), 3)
    embeds = torch.randn(3, 210, decoder.config.hidden_size, generator=torch.Generator().manual_seed(0))
    pieces = [(0, 0, 200), (2, 0, 7), (1, 0, 1), (2, 7, 208), (1, 1, 33), (0, 200, 210), (2, 208, 209), (1, 33, 34)]
    found: dict[tuple[int, int], torch.Tensor] = {}
    for first in range(0, len(pieces), 2):  # two rows at a time, each with a piece of its own
        two = pieces[first : first + 2]
        lasts = read(rows, head, *((slot, start, embeds[slot, start:end].numpy()) for slot, start, end in two))
        found |= {(slot, end - 1): torch.from_numpy(last) for (slot, _, end), last in zip(two, lasts, strict=True)}
    with torch.no_grad():
        expected = decoder(inputs_embeds=embeds).last_hidden_state
    whole = torch.stack(list(found.values()))
    right = torch.stack([expected[place] for place in found])
    torch.testing.assert_close(decoder.norm(whole), right, atol=2e-4, rtol=1e-4)
    best = choose(decoder, library, head, whole.numpy(), 0.0, np.zeros(len(whole)))
    torch.testing.assert_close(torch.tensor(best), (right @ head.T).argmax(-1))


def test_samples_are_of_the_softmax(nano, library):
    decoder, head = nano[0].model.language_model, nano[0].lm_head.weight
    hidden = torch.randn(1, decoder.config.hidden_size, generator=torch.Generator().manual_seed(1))
    chance = (np.arange(4000) + 0.5) / 4000
    drawn = torch.tensor(choose(decoder, library, head, hidden.expand(4000, -1).numpy(), 0.7, chance))
    shares = (decoder.norm(hidden) @ head.T / 0.7).softmax(-1)[0].detach()
    torch.testing.assert_close(drawn.bincount(minlength=len(shares)) / 4000, shares, atol=1 / 2000, rtol=0)


@pytest.mark.parametrize("temperature", [0.9, 1e-30, 1e-39, 1e-44, 0.0])
def test_a_token_is_one_of_the_vocabulary_at_any_temperature_and_whatever_the_weights(nano, library, temperature):
    decoder = nano[0].model.language_model
    size = decoder.config.hidden_size
    for vocabulary in (size + 1, size + 15, size + 17, 3):
        head = torch.eye(vocabulary, size)
        one, chance = np.zeros((3, size), np.float32), np.array([0.0, 0.5, 1 - 2**-53])
        one[:, 2] = 50
        if temperature < 0.9:
            assert choose(decoder, library, head, one, temperature, chance) == [2] * 3
        assert set(choose(decoder, library, head, one * np.float32("nan"), temperature, chance)) <= {*range(vocabulary)}


def test_exponentials_are_right_to_the_last_digits(nano, library):
    decoder = nano[0].model.language_model
    one = np.zeros((2, decoder.config.hidden_size), np.float32)
    one[:, 0] = 1
    head, chance = torch.eye(decoder.config.hidden_size), np.array([0.0, 1 - 1e-9])
    assert choose(decoder, library, head, one, 1e-3, chance) == [0, 0]  # all others are of no weight at all


def test_the_likeliest_are_those_of_all_logits(nano, library):
    """Also where several are as good as equal, or equal: then the first; and where all are below zero."""
    decoder, size = nano[0].model.language_model, nano[0].config.text_config.hidden_size
    generator = torch.Generator().manual_seed(5)

    def random(rows):
        return torch.randn(rows, size, generator=generator)

    some = random(70)
    head = torch.cat([some, some * (1 + 1e-6 * random(70)), some * (1 + 1e-3 * random(70)), some, some + 0.3 * random(70)])
    hidden = torch.cat([some, -some, 3 * some + random(70)])
    scaled = random(70) * 10.0 ** torch.arange(-35, 35)[:, None]
    for each in (head, head.abs(), torch.zeros(40, size)):
        for given in (hidden.numpy(), -hidden.abs().numpy(), scaled[30:].numpy(), scaled.numpy()):
            every, first = np.zeros(len(given)), 2e-38  # a temperature at which only the highest logits count
            found = choose(decoder, library, each, given, 0.0, every)
            assert found == choose(decoder, library, each, given, first, every)
    assert len(set(choose(decoder, library, head, hidden.numpy(), 0.0, np.zeros(len(hidden))))) > 70


def test_steps_at_once_are_those_one_after_the_other(nano, library):
    """First products are looked up, but not of a region's name, to which something is added."""
    decoder, head = nano[0].model.language_model, nano[0].lm_head.weight
    panels, table = Panels(library, decoder, head), head.detach().numpy()
    told = np.random.default_rng(0).normal(size=(2, table.shape[1])).astype(np.float32)
    first, regions = [5, 6, 7, 6], [told, told[:1], told, told]
    rows, steps = RowsDecoder(panels, 4), 5
    for slot in range(4):
        rows.make_room(slot, steps)
    pieces = [Unread(slot, 0, [first[slot]], [ToldImage(table[:0], regions[slot])]) for slot in range(4)]
    written = rows.write(Words(rows, table, [5, 6], []), pieces, 0.0, np.zeros((steps, 4)))
    apart = RowsDecoder(panels, 4)
    for slot, (token, added) in enumerate(zip(first, regions, strict=True)):
        for place in range(steps):
            embeds = table[[token]] + (added[[token - 5]] if 0 <= token - 5 < len(added) else 0)
            hidden = read(apart, head, (slot, place, embeds))
            (token,) = choose_after(decoder, hidden, head)
            assert token == written[slot][place]


def choose_after(decoder, hidden, head):
    return (decoder.norm(torch.from_numpy(hidden)) @ head.T).argmax(-1).tolist()


def test_rows_that_begin_alike_share_memory_until_they_differ(nano, library):
    decoder, head = nano[0].model.language_model, nano[0].lm_head.weight
    panels = Panels(library, decoder, head)
    embeds = torch.randn(2, 60, decoder.config.hidden_size, generator=torch.Generator().manual_seed(2)).numpy()
    rows, apart = RowsDecoder(panels, 3), RowsDecoder(panels, 3)
    first, second = (read(apart, head, (slot, 0, embeds[slot])) for slot in (0, 1))
    mixed = read(apart, head, (2, 0, np.concatenate([embeds[0, :37], embeds[1, 37:]])))
    np.testing.assert_array_equal(read(rows, head, (0, 0, embeds[0])), first)
    rows.begin_as(1, 0, 37)
    np.testing.assert_array_equal(read(rows, head, (1, 37, embeds[1, 37:])), mixed)
    rows.begin_as(2, 0, 50)
    rows.begin_as(0, 0, 5)  # as itself: what others hold is left to them
    read(rows, head, (0, 5, embeds[1, 5:]))
    np.testing.assert_array_equal(read(rows, head, (2, 50, embeds[0, 50:])), first)
    rows.begin_as(0, 0, 0)
    np.testing.assert_array_equal(read(rows, head, (0, 0, embeds[1])), second)


@pytest.mark.parametrize("how", [GREEDY, SAMPLED])
def test_an_answer_depends_on_its_own_question_alone(nano, ask, how):
    many = [
        ask(f"{'Where is it? ' * (number % 3)}<region{1 + number % 2}> and <region2>", image=number % 3, seed=number // 2)
        for number in range(12)
    ]
    many += [replace(many[0], seed=9), ask("What?", image=None, seed=1)]
    together = written(writers(nano, rows=5), many, how)
    alone = [written(writers(nano, rows=1), [each], how)[0] for each in many]
    assert [each.ids for each in together] == [each.ids for each in alone]
    assert len({tuple(each.ids) for each in together}) > (6 if how is SAMPLED else 3)


@pytest.mark.parametrize("after", ["<|end|><|assistant|>", "<region2>", ""])
def test_greedy_answers_are_those_of_generate(nano, ask, image, after):
    """Whatever a prompt ends with: words, a region's name, or the image."""
    texts = ["Where is <region1>?", "How far is <region2> from <region1>? Say it.", "<region3> is missing"]
    prompts = [f"<|user|>{IMAGE if after else ''}{text}{after or IMAGE}" for text in texts]
    wanted = [replace(ask("", image=number), ids=nano[1].tokenizer(prompts[number])["input_ids"]) for number in range(3)]
    found = written(writers(nano), wanted)
    inputs = nano[1](images=[[image(number)] for number in range(3)], text=prompts, padding=True)
    expected = nano[0].generate(**inputs, max_new_tokens=40, do_sample=False)[:, inputs["input_ids"].shape[1] :]
    for each, row in zip(found, expected.tolist(), strict=True):
        assert each.ids == row[: len(each.ids)]
        assert each.read == len(each.wanted.ids) + nano[0].config.num_image_tokens - 1


@pytest.mark.parametrize("how", [GREEDY, SAMPLED])
def test_answers_that_end_at_any_time_are_those_written_alone(nano, ask, how):
    ends = list(range(0, nano[0].config.text_config.vocab_size, 8))
    many = [ask(f"<region1>, {'and ' * (seed // 5)}why?", image=seed // 3, seed=seed) for seed in range(30)]
    together = written(writers(nano, rows=4, ends=ends), many, how)
    assert [each.ids for each in together] == [written(writers(nano, ends=ends), [each], how)[0].ids for each in many]
    assert how.temperature == 0 or len({len(each.ids) for each in together}) > 3


def test_what_prompts_begin_with_is_read_once(nano, ask, monkeypatch):
    sizes: list[list[int]] = []

    def watched(self, words, pieces, *given, old=RowsDecoder.write):
        sizes.append([len(each.tokens) for each in pieces])
        return old(self, words, pieces, *given)

    monkeypatch.setattr(RowsDecoder, "write", watched)
    same, other = (ask(f"Where is <region1>? {text}") for text in ("Tell me.", "Hm?"))
    written(writers(nano), [same, replace(same, seed=1), other], replace(SAMPLED, most=3))
    assert [len(each) for each in sizes] == [1, 3, 2]
    assert sizes[0][0] > nano[0].config.num_image_tokens
    assert sizes[1][:2] == [1, 1]
    assert 1 < sizes[1][2] < sizes[0][0] - nano[0].config.num_image_tokens


@pytest.mark.parametrize("how", [GREEDY, SAMPLED])
def test_an_answer_that_is_cut_off_begins_as_the_whole_one(nano, ask, how):
    many = [ask(f"<region{1 + seed}>?", image=seed, seed=seed) for seed in range(3)]
    whole = written(writers(nano), many, how)
    for most in (1, 2, 17):
        assert [each.ids for each in written(writers(nano), many, replace(how, most=most))] == [
            each.ids[:most] for each in whole
        ]


@pytest.mark.parametrize("kind", [NativeEyes, TorchEyes])
def test_images_and_regions_are_looked_at_once(nano, ask, monkeypatch, kind):
    monkeypatch.setattr(eyes, "can_see", lambda model: kind is NativeEyes)
    looks: list[str] = []
    for name, old in (("see", kind.see), ("look", kind.look)):
        monkeypatch.setattr(kind, name, lambda *args, name=name, old=old: (looks.append(name), old(*args))[1])
    written(writers(nano), [ask("<region1>?"), ask("<region2>!"), ask("<region1>?", image=1), ask("Why?")])
    assert looks.count("see") == 2
    assert looks.count("look") == 2 * 2  # each of the two regions of either image


def test_the_library_sees_what_pytorch_does(nano, library):
    compare_eyes(nano[0].model, library)


def compare_eyes(model, library):
    side = model.config.image_size
    weights = NamedWeights({f"model.{name}": each.detach().numpy() for name, each in model.state_dict().items()}, "model")
    ours, theirs = NativeEyes(model, weights, library), TorchEyes(model, weights)
    pixels = torch.randn(3, side, side, generator=torch.Generator().manual_seed(3)).numpy()
    masks = np.zeros((4, side, side), np.uint8)
    masks[0, 20:50, 30:71] = masks[1, 60:61, side - 9 :] = masks[2, side - 30 :, :40] = 1  # and one that is empty
    (seen, told), (expected_seen, expected) = ours.see(pixels), theirs.see(pixels)
    np.testing.assert_allclose(told, expected, atol=1e-4)
    looks = [(ours.look(seen, mask), theirs.look(expected_seen, mask)) for mask in masks]
    for first in (None, looks[0]):
        for look in looks:
            names = (each.name(first and first[index], look[index]) for index, each in enumerate((ours, theirs)))
            np.testing.assert_allclose(*names, atol=1e-3)  # sines of fifty times the metres are among them
    assert not ours.name(None, looks[3][0]).any()


@pytest.mark.parametrize(
    "shape",
    [
        {"fine_width": 64},
        {"fine_width": 32, "vision_width": 768, "vision_heads": 12},
        {"vision_width": 256, "vision_heads": 8},
        {"vision_width": 32, "vision_heads": 1, "image_size": 64},
    ],
)
def test_the_library_sees_with_other_shapes_of_the_vision_part(nano, library, shape):
    torch.manual_seed(4)
    model = NanoForConditionalGeneration(type(nano[0].config).from_dict({**nano[0].config.to_dict(), **shape})).eval().model
    assert can_see(model)
    compare_eyes(model, library)


def test_other_kinds_and_colours_than_the_library_knows_are_left_to_pytorch(nano):
    shape = {"num_kinds": 20, "num_colours": 4, "vision_layers": 1}
    model = NanoForConditionalGeneration(type(nano[0].config).from_dict({**nano[0].config.to_dict(), **shape}))
    assert not can_see(model.model)


def test_a_vision_part_of_another_kind_is_left_to_pytorch(nano, ask):
    model = copy.deepcopy(nano[0])
    assert can_see(model.model)
    before = written(writers(nano, model=model), [ask("<region1>?")])[0].ids
    model.model.vision_tower.fuse = torch.nn.Sequential(OrderedDict(inner=model.model.vision_tower.fuse, no=torch.nn.Tanh()))
    assert not can_see(model.model)
    assert not can_see(copy.deepcopy(nano[0].model).bfloat16())
    assert written(writers(nano, model=model), [ask("<region1>?")])[0].ids != before


def test_numpy_looks_with_one_thread(nano, ask, monkeypatch):
    """With more, an answer took twice the processor time: numpy's threads waited for each other, and held up PyTorch's."""
    threads: list[int] = []

    def look(*args, old=eyes.look_regions):
        threads.extend(each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas")
        return old(*args)

    monkeypatch.setattr(eyes, "look_regions", look)
    monkeypatch.setattr(eyes, "can_see", lambda model: False)
    with ThreadpoolController().select(user_api="blas").limit(limits=2):
        written(writers(nano), [ask("<region1>?")])
    assert set(threads) == {1}


def test_weights_are_those_of_the_moment(nano, ask):
    model = copy.deepcopy(nano[0])
    made, asked = writers(nano, model=model), [ask("Where is <region1>?")]
    before = written(made, asked)[0].ids
    with torch.no_grad():
        for weights in model.model.vision_tower.parameters():
            weights.mul_(3)
        for weights in model.model.language_model.layers[0].parameters():
            weights.copy_(torch.randn(weights.shape, generator=torch.Generator().manual_seed(1)))
    after = written(made, asked)[0].ids
    assert after != before
    assert after == written(writers(nano, model=model), asked)[0].ids


def test_a_question_with_a_placeholder_of_its_own_is_refused_alone(nano, ask):
    bad, good = written(writers(nano), [ask(f"What is {IMAGE}?"), ask("What?")])
    assert "placeholder" in str(bad.refusal)
    assert good.refusal is None
    assert good.ids


def test_what_the_library_cannot_read_is_left_to_pytorch(nano, monkeypatch):
    decoder = copy.deepcopy(nano[0].model.language_model)
    assert is_suited(decoder)
    assert not is_suited(decoder.bfloat16())
    monkeypatch.setattr(CSource, "digest", lambda self: "another")
    native_library.cache_clear()
    assert native_library() is None
    assert nano[0].writers(nano[1], ends=[0], rows=1) is None
    monkeypatch.undo()
    native_library.cache_clear()


def test_a_file_that_is_not_a_library_is_left_alone(tmp_path):
    (tmp_path / "_decoder.so").write_bytes(b"nothing")
    assert native_library(tmp_path / "_decoder.so") is None
    assert native_library(tmp_path / "missing.so") is None


def test_places_without_room_and_tokens_that_there_are_not_are_refused(nano, library):
    head = nano[0].lm_head.weight.detach().numpy()
    rows = RowsDecoder(Panels(library, nano[0].model.language_model, nano[0].lm_head.weight), 1)
    words, nothing = Words(rows, head, [], []), ToldImage(head[:0], head[:0])
    rows.make_room(0, 192)
    for slot, place, tokens in (
        (0, 10**6, [0]),
        (1, 0, [0]),
        (-1, 0, [0]),
        (0, -1, [0]),
        (0, 0, []),
        (0, 190, [0]),
        (0, 188, [0] * 3),
        (0, 0, [0, len(head)]),
        (0, 0, [-1]),
    ):
        with pytest.raises(ValueError, match="expected"):
            rows.write(words, [Unread(slot, place, tokens, [nothing] * len(tokens))], 0.0, np.zeros((3, 1)))
    assert isinstance(library, ctypes.CDLL)


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_the_policy_writes_by_it_and_streams_what_it_completes(folder, tmp_path, image, temperature, monkeypatch):
    policy = HfPolicy(folder, temperature=temperature, max_new_tokens=30, batch_size=3)
    monkeypatch.setattr(NanoForConditionalGeneration, "generate", None)  # nobody asks it
    path = tmp_path / "0.png"
    image().save(path)
    prompt = Prompt(image=str(path), regions=(), request="Where is it?")

    async def go():
        together = await asyncio.gather(*(policy.complete(prompt, n=3, seed=seed) for seed in range(3)))
        alone = await policy.complete(prompt, n=1, seed=1)
        streamed = "".join([piece async for piece in stream(policy, prompt, seed=1)])
        return together, alone, streamed

    together, alone, streamed = asyncio.run(go())
    assert together[1][0] == alone[0]
    assert streamed == alone[0].text
    assert len({each.text for some in together for each in some}) == (1 if temperature == 0 else 9)


@pytest.mark.parametrize("kind", [RuntimeError, KeyError])
def test_whatever_fails_while_it_writes_reaches_everyone_who_waits(folder, tmp_path, image, monkeypatch, kind):
    policy = HfPolicy(folder, temperature=0, max_new_tokens=30)
    path = tmp_path / "0.png"
    image().save(path)
    prompt = Prompt(image=str(path), regions=(), request="Where is it?")

    def fail(*_):
        raise kind("no answer")

    monkeypatch.setattr(RowsDecoder, "write", fail)

    async def go():
        waiting = [policy.complete(prompt, n=1, seed=seed) for seed in range(3)]
        return await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 60)

    told = asyncio.run(go())
    assert [type(error) for error in told] == [EndpointError] * 3
    assert all("no answer" in str(error) for error in told)
