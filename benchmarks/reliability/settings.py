"""Settings: YAML files and `key=value` of trainings and studies."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from research.fdpo_study.config import StudyConfig

from reliability.trial import Act, Case, Read
from spatialreasoner.core.errors import ConfigError
from spatialreasoner.training.config import FDPOSettings, TrainSettings, read_config

_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 10)
)
"""Nine to the tenth power of texts, in 500 bytes."""

_LIST_BOMB = "".join("- " + line.partition(": ")[2] + "\n" for line in _BOMB.splitlines())

FILES: tuple[tuple[str, bytes], ...] = (
    ("a list", b"- epochs\n- 3\n"),
    ("a text", b"num_train_epochs"),
    ("a number", b"3"),
    ("a date", b"2024-01-01"),
    ("no YAML", b"num_train_epochs: [1, 2\nseed: }"),
    ("a tab for a blank", b"num_train_epochs:\t1\n\tseed: 2\n"),
    ("two documents", b"num_train_epochs: 1\n---\nepochs: 2\n"),
    ("a NUL", b"num_train_epochs: \0"),
    ("control characters", b"num_train_epochs: \x07\x1b[31m"),
    ("bytes that are not UTF-8", b"num_train_epochs: \xff\xfe\xfa"),
    ("UTF-16 without its mark", "num_train_epochs: 1".encode("utf-16-le")),
    ("an unknown key", b"learning_rat: 1e-4\n"),
    ("a key that is a number", b"3: 4\n"),
    ("a key that is a list", b"? [a, b]\n: 4\n"),
    ("a key that is null", b"~: 4\n"),
    ("keys in keys", b"train:\n  num_train_epochs: 3\n"),
    ("a bomb of anchors", _BOMB.encode() + b"num_train_epochs: *a9\n"),
    ("a list of a bomb of anchors", _LIST_BOMB.encode()),
    ("an anchor within itself", b"num_train_epochs: &a [*a]\n"),
    ("a mapping within itself", b"&a\nepochs: *a\n"),
    ("an alias of nothing", b"num_train_epochs: *nothing\n"),
    ("a merge of a text", b"<<: text\nepochs: 1\n"),
    ("a Python object", b"num_train_epochs: !!python/object/apply:os.system ['true']\n"),
    ("a Python name", b"num_train_epochs: !!python/name:os.system\n"),
    ("an unknown tag", b"num_train_epochs: !mine 3\n"),
    ("a set", b"num_train_epochs: !!set {1, 2}\n"),
    ("bytes", b"num_train_epochs: !!binary aGVsbG8=\n"),
    ("20000 brackets", b"num_train_epochs: " + b"[" * 20_000),
    ("20000 braces", b"num_train_epochs: " + b"{" * 20_000 + b"}" * 20_000),
    ("2000 dashes", b"- " * 2000 + b"1"),
    ("5000 digits", b"seed: " + b"9" * 5000),
    ("5000 digits of a hexadecimal", b"seed: 0x" + b"f" * 5000),
    ("a number by sixties", b"seed: 190:20:30:40:50\nepochs: x"),
)  # fmt: skip
VALUES: tuple[str, ...] = (
    *(
        "num_train_epochs=",
        "num_train_epochs=null",
        "num_train_epochs=no",
        "num_train_epochs=many",
        "num_train_epochs=[1]",
        "num_train_epochs={a: 1}",
        "num_train_epochs=0",
        "num_train_epochs=-1",
    ),
    *(
        "num_train_epochs=.nan",
        "num_train_epochs=nan",
        "num_train_epochs=.inf",
        "num_train_epochs=-.inf",
        "num_train_epochs=1e999",
        "learning_rate=.nan",
        "learning_rate=inf",
    ),
    *(
        "learning_rate=-1e-5",
        "learning_rate=1e",
        "weight_decay=.nan",
        "weight_decay=-1",
        "warmup_ratio=.inf",
        "warmup_ratio=1.5",
    ),
    *(
        "lora_dropout=2",
        "lora_dropout=.nan",
        "max_grad_norm=.nan",
        "max_grad_norm=0",
        "per_device_train_batch_size=0",
        "per_device_train_batch_size=1.5",
    ),
    *(
        "per_device_train_batch_size=2024-01-01",
        "per_device_train_batch_size=9999999999999999999999",
        "seed=-1",
        "seed=1.5",
        "seed=" + "9" * 5000,
    ),
    *(
        "threads=-1",
        "precision=float8",
        "precision=16",
        "lr_scheduler_type=exponential",
        "report_to=everybody",
        "quantization=1bit",
    ),
    *("quantization=4bit", "gradient_checkpointing=7", "freeze_vision=maybe", "tiny_width=64", "tiny_layers=2"),
    *("save_steps=0", "save_total_limit=0", "trust_pickles=perhaps"),
    *(
        "beta=0",
        "beta=-1",
        "beta=.nan",
        "fdpo_alpha=2",
        "fdpo_alpha=-1",
        "fdpo_alpha=.nan",
        "fdpo_lambda=-1",
        "fdpo_lambda=.inf",
        "nll_weight=-1",
    ),
    *(
        "nll_weight=.nan",
        "markup=all",
        "precompute_ref_log_probs=forgotten",
        "shared_prefix=2",
        "=1",
        "num_train_epochs",
        "",
        "num_train_epochs==1",
        "ép=1",
    ),
    *(
        "__class__=x",
        "num_train_epochs=!!python/name:os.system",
        "num_train_epochs=*a",
        "num_train_epochs=[[[[",
        "num_train_epochs=\x00",
        "num_train_epochs=\x1b[31m",
    ),
)
STUDY: tuple[str, ...] = (
    *("sft_scenes=0", "sft_scenes=-1", "sft_scenes=1.5", "own_samples=1", "hard=2", "hard=-1", "hard=.nan", "split=train"),
    *("sft_settings=num_train_epochs", "sft_settings=7", "base=7", "base=[nano]", "seed=-1", "rooms=3", "max_new_tokens=0"),
)
FINE: tuple[tuple[str, bytes], ...] = (
    ("an empty file", b""),
    ("a remark alone", b"# nothing yet\n"),
    ("a byte order mark", b"\xef\xbb\xbfnum_train_epochs: 3\n"),
    ("line ends of Windows", b"num_train_epochs: 3\r\nseed: 1\r\n"),
    ("UTF-16", "num_train_epochs: 3".encode("utf-16")),
    ("an anchor", b"num_train_epochs: &a 3\nseed: *a\n"),
    ("a number by point and power", b"learning_rate: 1e-4\n"),
    ("a key twice", b"num_train_epochs: 1\nnum_train_epochs: 2\n"),
)


def cases() -> Iterator[Case]:
    """Files and values into the reader that trainings and studies share."""
    for name, text in FILES:
        yield Case(group="settings", name=f"a file of {name}", prepare=partial(_file, text), expected=ConfigError)
    for name, text in FINE:
        yield Case(group="settings", name=f"a file with {name}", prepare=partial(_file, text), expected=Read())
    for value in VALUES:
        prepare = partial(_value, FDPOSettings, value)
        yield Case(group="settings", name=_shown(value), prepare=prepare, expected=ConfigError)
    for value in STUDY:
        prepare = partial(_value, StudyConfig, value)
        yield Case(group="settings", name=f"study {value}", prepare=prepare, expected=ConfigError)


def _shown(value: str) -> str:
    return repr(value) if len(value) < 40 else f"{value[:10]}... of {len(value)} characters"


def _file(text: bytes, folder: Path) -> Act:
    (folder / "settings.yaml").write_bytes(text)
    return lambda: read_config(TrainSettings, folder / "settings.yaml", ())


def _value(kind: type, value: str, folder: Path) -> Act:
    return lambda: read_config(kind, None, [value])
