"""How the nano sees: a small hybrid of convolutions and a transformer, and an encoder that looks at one region.

The tower keeps two maps of an image: a fine one, a cell for 8 x 8 pixels, that says what is where, and tokens, one for
16 x 16 pixels, that have seen the whole image. The region encoder pools the fine map under a mask, adds the mask's own
geometry, looks around among the tokens, and estimates where the region is and how large, in metres. Its estimates have a
meaning of their own, so that they can be taught directly and read by the decoder.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from spatialreasoner.nano.configuration import NanoConfig
from spatialreasoner.vlm.region_tokens import fourier

FINE = 8
"""Side of a cell of the fine map, pixels."""

ESTIMATES = ("x / z", "y / z", "log z", "log width", "log height", "log depth")
"""What the region encoder estimates: the middle of the box of what is seen of a region, in the levelled camera frame (x right,
y down, z forward), and the box's extents, metres."""

OFFSETS = ("x", "y", "mean x", "mean z", "near z", "log distance")
"""What it estimates of a region seen from the image's first one: offsets of the boxes' middles, of the mean points and of the
nearest points, metres, and the logarithm of the distance between the two, as SpatialRGPT-Bench measures it."""


class Seen(NamedTuple):
    """An image as the tower sees it.

    Attributes:
        fine: What is where, with the context of the whole image.
        tokens: The transformer's tokens, row by row.
        log_depth: Logarithm of the depth in metres at each cell of a grid with cells of 4 x 4 pixels.
    """

    fine: Float[Tensor, "images width cells cells"]
    tokens: Float[Tensor, "images tokens width"]
    log_depth: Float[Tensor, "images grid grid"]


class EncodedRegions(NamedTuple):
    """Regions as the encoder sees them.

    Attributes:
        features: What they look like.
        estimates: `ESTIMATES` of each.
        offsets: `OFFSETS` of each from the first.
        kinds: Probability of each kind.
        colours: Probability of each colour.
    """

    features: Float[Tensor, "images regions width"]
    estimates: Float[Tensor, "images regions 6"]
    offsets: Float[Tensor, "images regions 6"]
    kinds: Float[Tensor, "images regions kinds"]
    colours: Float[Tensor, "images regions colours"]


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, fields: Float[Tensor, "images width rows columns"]) -> Float[Tensor, "images width rows columns"]:
        """Refine the map."""
        return fields + self.second(functional.gelu(self.first(self.norm(fields))))


class VisionTower(nn.Module):
    """Image to `Seen`."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        fine, width = config.fine_width, config.vision_width
        patches = (config.image_size // (2 * FINE)) ** 2
        self.stem = nn.Sequential(nn.Conv2d(3, fine // 2, 4, stride=4), *(Residual(fine // 2) for _ in range(2)))
        self.cells = nn.Sequential(nn.Conv2d(fine // 2, fine, 2, stride=2), *(Residual(fine) for _ in range(3)))
        self.patches = nn.Conv2d(fine, width, 2, stride=2)
        self.position = nn.Parameter(0.02 * torch.randn(patches, width))
        layer = nn.TransformerEncoderLayer(
            width, config.vision_heads, 3 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, config.vision_layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.context = nn.ConvTranspose2d(width, fine, 2, stride=2)
        self.fuse = Residual(fine)
        self.depth = nn.Conv2d(fine, 4, 1)

    def forward(self, pixel_values: Float[Tensor, "images 3 height width"]) -> Seen:
        """Look at images."""
        cells = self.cells(self.stem(pixel_values))
        patches = self.patches(cells)
        tokens = self.transformer(patches.flatten(2).transpose(1, 2) + self.position)
        fine = self.fuse(cells + self.context(tokens.transpose(1, 2).reshape(patches.shape)))
        return Seen(fine, tokens, functional.pixel_shuffle(self.depth(fine), 2).squeeze(1))


class NanoRegionEncoder(nn.Module):
    """Masks on an image to `EncodedRegions`."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        width = config.vision_width
        self.pooled = nn.Sequential(
            nn.Linear(config.fine_width + 1 + _GEOMETRY * _FOURIER, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.norm = nn.LayerNorm(width)
        self.look = nn.MultiheadAttention(width, config.vision_heads, batch_first=True)
        self.think = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.estimate = nn.Linear(width, len(ESTIMATES))
        self.pair = nn.Sequential(nn.Linear(2 * width, width // 2), nn.GELU(), nn.Linear(width // 2, len(OFFSETS)))
        self.kind = nn.Linear(width, config.num_kinds)
        self.colour = nn.Linear(width, config.num_colours)

    def forward(self, seen: Seen, masks: UInt8[Tensor, "images regions height width"]) -> EncodedRegions:
        """Look at regions; an empty mask is a region of no size, which nobody asks about."""
        area = masks.float()  # half precision cannot count the pixels of a mask
        coverage = functional.avg_pool2d(area, FINE)
        weights = coverage / coverage.sum((2, 3), keepdim=True).clamp(min=1e-4)
        pooled = torch.einsum("nrhw,nchw->nrc", weights, seen.fine.float())
        log_depth = functional.avg_pool2d(seen.log_depth.float(), 2)[:, None]
        depth = (weights * log_depth).sum((2, 3))[..., None]
        features = self.pooled(torch.cat([pooled, depth, fourier_features(_geometry(area))], dim=-1).to(seen.fine.dtype))
        features = features + self.look(self.norm(features), seen.tokens, seen.tokens, need_weights=False)[0]
        features = features + self.think(features)
        # What is added to the depth under the mask, which the tower knows, is small
        estimates = self.estimate(features)
        estimates = torch.cat([estimates[..., :2], estimates[..., 2:] + depth], dim=-1)
        return EncodedRegions(
            features,
            estimates,
            self.relate(features[:, :1], estimates[:, :1], features, estimates),
            self.kind(features).softmax(-1),
            self.colour(features).softmax(-1),
        )

    def relate(
        self,
        first: Float[Tensor, "*pairs width"],
        first_estimates: Float[Tensor, "*pairs 6"],
        second: Float[Tensor, "*pairs width"],
        second_estimates: Float[Tensor, "*pairs 6"],
    ) -> Float[Tensor, "*pairs 6"]:
        """`OFFSETS` of second regions from first ones: what follows from the estimates of each, and what both together add."""
        (x, y, z), size = _metres(first_estimates)
        (to_x, to_y, to_z), to_size = _metres(second_estimates)
        right, down, ahead = to_x - x, to_y - y, to_z - z
        near = ahead - (to_size[2] - size[2]) / 2
        apart = (right**2 + down**2 + ahead**2).clamp(min=0.01).log() / 2
        found = torch.stack([right, down, right, ahead, near, apart], dim=-1)
        together = torch.cat(torch.broadcast_tensors(first, second), dim=-1)
        return found + self.pair(together).float()


def _metres(estimates: Float[Tensor, "*regions 6"]) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, ...]]:
    """Middle and extents, metres."""
    across, up, log_z, *sizes = estimates.float().unbind(-1)
    z = log_z.clamp(-3, 4).exp()
    return (across * z, up * z, z), tuple(size.clamp(-5, 3).exp() for size in sizes)


EMBEDDING = 0.06
"""How the decoder's weights start, standard deviation: about one over the root of its width, for attention to form soon."""


class Quiet(nn.LayerNorm):
    """A norm whose results start as loud as a name's embedding: louder ones would drown which region it is."""

    def reset_parameters(self) -> None:
        """Start quietly."""
        nn.init.constant_(self.weight, EMBEDDING)
        nn.init.zeros_(self.bias)


class RegionTokens(nn.Module):
    """`EncodedRegions` to what the decoder reads at `<region1>`, `<region2>`, ...

    A sum of five parts, so that the decoder finds each soon: the kind, the colour, the estimates, for all but the first region
    where it lies seen from the first, and whatever else the features hold.
    """

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        width, hidden = config.vision_width, config.text_config.hidden_size
        self.features = nn.Sequential(nn.Linear(width, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden))
        self.estimates = nn.Linear(_READABLE * _FINE_FOURIER, hidden)
        self.offsets = nn.Linear(_RELATED * _FINE_FOURIER, hidden, bias=False)
        self.kinds = nn.Linear(config.num_kinds, hidden, bias=False)
        self.colours = nn.Linear(config.num_colours, hidden, bias=False)
        for words in (self.kinds, self.colours):
            nn.init.normal_(words.weight, std=0.5)
        self.norm = Quiet(hidden)

    def forward(self, regions: EncodedRegions) -> Float[Tensor, "images regions hidden"]:
        """Write down regions; the estimates as metres, as logarithms, and as Fourier features of both."""
        dtype = regions.features.dtype
        words = self.kinds(regions.kinds) + self.colours(regions.colours)
        told = (
            self.features(regions.features)
            + self.estimates(fine_fourier_features(_readable(regions.estimates)).to(dtype))
            + words
        )
        related = self.offsets(fine_fourier_features(_related(regions.estimates, regions.offsets)).to(dtype))
        return self.norm(torch.cat([told[:, :1], told[:, 1:] + related[:, 1:]], dim=1))


def _readable(estimates: Float[Tensor, "images regions 6"]) -> Float[Tensor, "images regions 11"]:
    """Estimates as metres, and as logarithms."""
    middle, sizes = _metres(estimates)
    log_z, logarithms = estimates[..., 2].float(), estimates[..., 3:].float()
    return torch.stack([*middle, *sizes, log_z, *logarithms.unbind(-1), logarithms.sum(-1)], dim=-1)


def _related(
    estimates: Float[Tensor, "images regions 6"], offsets: Float[Tensor, "images regions 6"]
) -> Float[Tensor, "images regions 11"]:
    """Offsets from the first region as metres, the bearing in right angles, and by how much larger than the first each is."""
    right, down, mean_right, ahead, near, apart = offsets.float().unbind(-1)
    sizes = estimates[..., 3:].float()
    width, height, depth = (sizes - sizes[:, :1]).unbind(-1)
    bearing = torch.atan2(mean_right, ahead) / (math.pi / 2)
    metres = apart.clamp(-4, 3).exp()
    return torch.stack(
        [right, down, mean_right, ahead, near, metres, apart, bearing, width, height, width + height + depth], dim=-1
    )


_GEOMETRY, _READABLE, _RELATED = 11, 11, 11
_OCTAVES = 5
_FOURIER = 2 * _OCTAVES + 1

fourier_features = partial(fourier, lowest=math.pi / 2, octaves=_OCTAVES)
"""Values beside sines and cosines of them, so that small differences are easily told."""

_FINE_FOURIER = 2 * (_OCTAVES + 1) + 1

fine_fourier_features = partial(fourier, lowest=math.pi / 2, octaves=_OCTAVES + 1)
"""The same for metres that are read to the centimetre."""


def _geometry(area: Float[Tensor, "images regions height width"]) -> Float[Tensor, "images regions 11"]:
    """Box, middle, spread and area of masks, shares of the image's side."""
    steps = torch.linspace(0.0, 1.0, area.shape[-1], device=area.device, dtype=area.dtype)
    columns, rows = area.amax(2), area.amax(3)
    total = area.sum((2, 3)).clamp(min=1.0)
    x, y = (area.sum(2) * steps).sum(-1) / total, (area.sum(3) * steps).sum(-1) / total
    spread_x = ((area.sum(2) * steps**2).sum(-1) / total - x**2).clamp(min=0).sqrt()
    spread_y = ((area.sum(3) * steps**2).sum(-1) / total - y**2).clamp(min=0).sqrt()
    right, bottom = (columns * steps).amax(-1), (rows * steps).amax(-1)
    left, top = 1 - (columns * (1 - steps)).amax(-1), 1 - (rows * (1 - steps)).amax(-1)
    size = (total.sqrt() / area.shape[-1], right - left, bottom - top)
    return torch.stack([left, top, right, bottom, x, y, spread_x, spread_y, *size], dim=-1)
