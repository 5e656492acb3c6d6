import json
from pathlib import Path

import numpy as np
import pytest

from builders import THREE_BALLS, build_scene
from spatialreasoner.cli import main
from spatialreasoner.core import records
from spatialreasoner.core.types import Question
from spatialreasoner.rewards import visual
from spatialreasoner.rewards.known import Known
from spatialreasoner.rewards.names import NameMatcher
from spatialreasoner.scenes.measure import Measured

DATA = Path(__file__).parents[1] / "data"

MEANINGS = {
    "divan": (1.0, 0.0), "sofa": (0.8, 0.6), "ball": (0.6, 0.8), "orbule": (0.55, 0.835), "wooden": (0.8, 0.6),
    "table": (0.7, 0.714),
}  # fmt: skip


class Embedder:
    """Vectors in the plane, by hand; what it has no vector for is like nothing."""

    def __init__(self):
        self.asked: list[str] = []

    def embed(self, words):
        self.asked += words
        return np.array([MEANINGS.get(word, (0.0, 0.0)) for word in words])


@pytest.mark.parametrize(
    ("label", "name", "alike"),
    [
        ("red sofa", "divan", True),  # 0.8
        ("sofa", "orbule", True),  # 0.94: likeness knows no better
        ("divan", "orbule", False),  # 0.55
        ("sofa", "ball", False),  # 0.96, but the table knows both, and that they differ
        ("wooden table", "wooden", False),  # its own adjective
        ("sofa", "sofa divan", False),  # the end of a compound is what it is
        ("sofa", "gizmo", False),
    ],
)
def test_likeness_decides_where_the_table_does_not_know(label: str, name: str, alike: bool):
    assert NameMatcher(embedder=Embedder(), likeness=0.7).fit(label, name) is alike
    assert NameMatcher().fit(label, name) is False


def test_the_table_is_never_overruled_and_no_name_is_embedded_twice():
    embedder = Embedder()
    names = NameMatcher(embedder=embedder)
    assert names.fit("sofa", "couch")
    assert names.fit("office chair", "chair")
    assert not names.fit("chair", "table")
    assert embedder.asked == []
    for label in ("sofa", "red sofa", "sofa") * 3:
        names.fit(label, "divan")
    assert sorted(embedder.asked) == ["divan", "sofa"]


def test_labelled_pairs_by_the_table_alone():
    pairs = [json.loads(line) for line in (DATA / "label_pairs.jsonl").read_text().splitlines()]
    said = [(NameMatcher().fit(pair["label"], pair["name"]), pair["same"]) for pair in pairs]
    assert sum(same for _, same in said) > 200
    assert sum(yes and same for yes, same in said) / sum(yes for yes, _ in said) > 0.9
    assert sum(yes and same for yes, same in said) / sum(same for _, same in said) > 0.45


def test_a_description_in_words_that_only_the_embedder_knows(tmp_path: Path, question: Question):
    scene = build_scene(tmp_path, (*THREE_BALLS[:2],))
    known, bare = Known(Measured(scene), naming=NameMatcher(embedder=Embedder())), Known(Measured(scene))
    text = "<region1> is a red orbule. The orbule is wooden. <region2> is a blue orbule."
    found, without = visual.grade_description(known, question, text), visual.grade_description(bare, question, text)
    assert (found.parts["existence"], found.parts["completeness"]) == (1.0, 1.0)
    assert without.parts["completeness"] == 0.5
    wrong = visual.grade_description(known, question, "<region1> is a green orbule.")
    assert (wrong.parts["attributes"] or 0.0) < 0.2
    assert wrong.parts["existence"] == 1.0


def test_unknown_words_cost_nothing_where_nothing_is_like_them(known: Known, question: Question):
    text = "<region1> is a red ball, <region2> is a blue ball. The gizmo gleams, and a shiny doohickey lies beside it."
    alike = Known(known.measured, naming=NameMatcher(embedder=Embedder()))
    assert visual.grade_description(alike, question, text) == visual.grade_description(known, question, text)


def test_on_the_command_line(tmp_path: Path, question: Question, capfd: pytest.CaptureFixture[str]):
    """A tiny BERT to which "orbule" and "ball" are one word."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ball", "orbule", "gizmo"]
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert/vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(tmp_path / "bert/vocab.txt")).save_pretrained(tmp_path / "bert")
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    model = transformers.BertModel(config)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[6] = model.embeddings.word_embeddings.weight[5]
    model.save_pretrained(tmp_path / "bert")
    build_scene(tmp_path / "scenes")
    records.write_jsonl(tmp_path / "scenes/questions.jsonl", [question])
    text = "<description><region1> is an orbule.</description><reasoning>### Step 1\nSo.</reasoning>\n### In Conclusion\nYes."
    records.write_jsonl(tmp_path / "responses.jsonl", [{"question_id": "q", "text": text}])
    completeness = {}
    for options in ((), ("--embeddings", str(tmp_path / "bert"))):
        command = ["reward", str(tmp_path / "scenes/questions.jsonl"), str(tmp_path / "responses.jsonl")]
        with pytest.raises(SystemExit) as caught:
            main([*command, "--out", str(tmp_path / "rewards.jsonl"), "--explain", "0", *options])
        assert caught.value.code == 0, capfd.readouterr()
        completeness[len(options)] = json.loads((tmp_path / "rewards.jsonl").read_text())["parts"]["visual.completeness"]
    assert completeness == {0: 0.25, 2: 0.5}
