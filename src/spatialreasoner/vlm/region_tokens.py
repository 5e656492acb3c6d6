"""Where `<region1>`, `<region2>`, ... are in a batch, and what is added to their names there: pure tensors.

Every model with region tokens, of whatever family, embeds a region's token as its name and a vector of the region of that
number in the latest image before it.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def fourier(values: Float[Tensor, "*batch values"], *, lowest: float, octaves: int) -> Float[Tensor, "*batch features"]:
    """The values, and sines and cosines of them at doubling frequencies (Tancik et al., 2020), in the values' own precision.

    The angles are taken in float32: at the highest frequency a half-precision angle is off by a good part of a turn.

    Args:
        values: Any numbers.
        lowest: The lowest frequency, radians per unit.
        octaves: How many frequencies there are.
    """
    exact = values.float()
    angles = exact[..., None] * lowest * 2.0 ** torch.arange(octaves, device=values.device)
    return torch.cat([exact, angles.sin().flatten(-2), angles.cos().flatten(-2)], dim=-1).to(values.dtype)


def region_numbers(input_ids: Int[Tensor, "rows tokens"], region_token_ids: list[int]) -> Int[Tensor, "rows tokens"]:
    """The number of the region that each token names, from 0; -1 for other tokens.

    >>> region_numbers(torch.tensor([[7, 3, 8]]), [7, 8]).tolist()
    [[0, -1, 1]]
    """
    named = input_ids[..., None] == torch.tensor(region_token_ids, device=input_ids.device)
    return torch.where(named.any(-1), named.int().argmax(-1), -1)


def latest_image(
    is_image: Bool[Tensor, "rows tokens"],
    sizes: Int[Tensor, " images"],
    position_ids: Int[Tensor, "*axes rows tokens"] | None = None,
) -> Int[Tensor, "rows tokens"]:
    """The image that each token comes after, or belongs to; -1 where its conversation has had none yet.

    A conversation begins with each row, and inside a packed row wherever positions begin again at 0.

    >>> latest_image(torch.tensor([[0, 1, 1, 0, 1, 0], [0, 0, 1, 0, 0, 0]]).bool(), torch.tensor([2, 1, 1])).tolist()
    [[-1, 0, 0, 0, 1, 1], [-1, -1, 2, 2, 2, 2]]

    Args:
        is_image: Which tokens are placeholders of images.
        sizes: How many placeholders each image has, in the order of the rows.
        position_ids: Positions of the tokens, of each axis where there are several.
    """
    placeholder = is_image.flatten().long()
    seen, starts = placeholder.cumsum(0), sizes.cumsum(0) - sizes
    begun = torch.searchsorted(starts, seen)  # images, this token's included
    begins = torch.zeros_like(is_image)
    begins[:, 0] = True
    if position_ids is not None:
        begins |= (position_ids == 0).reshape(-1, *position_ids.shape[-2:]).all(0)
    before = torch.searchsorted(starts, seen - placeholder).where(begins.flatten(), 0).cummax(0).values
    return torch.where(begun > before, begun - 1, -1).view_as(is_image)


def place_regions(
    embeddings: Float[Tensor, "rows tokens width"],
    numbers: Int[Tensor, "rows tokens"],
    latest: Int[Tensor, "rows tokens"],
    vectors: Float[Tensor, "images regions width"],
    kept: Float[Tensor, "rows regions width"] | None = None,
) -> tuple[Float[Tensor, "rows tokens width"], Float[Tensor, "rows regions width"]]:
    """Add to each region's token the vector of its region.

    Args:
        embeddings: Of all tokens.
        numbers: Of `region_numbers`.
        latest: Of `latest_image`; -1 where a token's row has had its latest image in an earlier step, or none.
        vectors: Of the regions of each image; a region beyond the last one adds nothing.
        kept: Of the regions of each row's latest image of earlier steps, where there were any.

    Returns:
        The embeddings, and the vectors of each row's latest image, for later steps.
    """
    rows = len(embeddings)
    if kept is None:
        kept = vectors.new_zeros(rows, *vectors.shape[1:])
    sources = torch.where(latest >= 0, latest + rows, torch.arange(rows, device=latest.device)[:, None])
    known = torch.cat([kept, vectors])
    named = (numbers >= 0) & (numbers < known.shape[1])
    found = known[sources[named], numbers[named]].to(embeddings.dtype)
    return embeddings.index_put((named,), found, accumulate=True), known[sources[:, -1]]
