"""Who errs how: the documented error models of the simulated teachers."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One teacher's error model. Probabilities are per opportunity; noise is the deviation of the logarithm of a length.

    Errors of perception are mostly systematic: of their variance, the share `persistence` belongs to the question and comes
    back in every sample, as a model that misreads an image misreads it again; the rest is drawn again for each sample.

    Attributes:
        noise: Of widths, heights, extents and sideways and vertical offsets.
        depth_noise: Of distances along the line of sight.
        depth_flip: Probability of taking the farther of two regions for the nearer.
        depth_shrink: Factor on every offset along the line of sight.
        side_flip: Probability of confusing left with right, and of confusing above with below.
        habit: How far sizes are what such things usually measure (1) rather than what is seen (0); a weighted mean of
            logarithms.
        slip: Probability that a conversion, a sum or a comparison in the steps goes wrong.
        hedge: Probability that a statement is hedged ("about", "seems").
        omit: Probability that the description leaves out a region, and each thing that could be said of it.
        miscolour: Probability that the description gives a region a wrong colour.
        notice: Probability of noticing that a length in the given prefix is far from what is seen, and correcting it.
    """

    noise: float
    depth_noise: float
    depth_flip: float = 0.0
    depth_shrink: float = 1.0
    side_flip: float = 0.0
    habit: float = 0.0
    slip: float = 0.0
    hedge: float = 0.05
    omit: float = 0.1
    miscolour: float = 0.02
    notice: float = 0.0
    persistence: float = 0.7


PROFILES: Mapping[str, Profile] = {
    # Never errs; for data that need true answers.
    "exact": Profile(noise=0.0, depth_noise=0.0, omit=0.1, hedge=0.08, miscolour=0.0),
    # Moderate unbiased noise, flat statements; notices what does not fit.
    "careful": Profile(noise=0.18, depth_noise=0.2, depth_flip=0.05, side_flip=0.02, slip=0.05, notice=0.8),
    # Sees the image flat: depth is compressed and its order often confused, so direct distances and hours go wrong too.
    "shallow": Profile(noise=0.18, depth_noise=0.35, depth_flip=0.45, depth_shrink=0.4, side_flip=0.03, slip=0.08, hedge=0.1),
    # Says what such things usually measure, whatever this one does.
    "habitual": Profile(noise=0.2, depth_noise=0.25, depth_flip=0.12, side_flip=0.04, habit=0.95, slip=0.08, omit=0.2),
    # Looks carelessly, hedges, leaves things out, mixes up sides and colours.
    "vague": Profile(
        noise=0.4, depth_noise=0.5, depth_flip=0.25, side_flip=0.15, slip=0.1, hedge=0.7, omit=0.55, miscolour=0.15
    ),
    # Sees well, but slips in conversions, sums and comparisons.
    "hasty": Profile(noise=0.15, depth_noise=0.18, depth_flip=0.06, side_flip=0.03, slip=0.45, omit=0.3),
}
