"""How teachers write numbers: two digits that count, and no more than they see; what follows is reckoned from these."""

import math


def round_number(value: float) -> float:
    """A number with two digits that count.

    >>> round_number(0.0567), round_number(0.347), round_number(1.26), round_number(116.0)
    (0.057, 0.35, 1.3, 120.0)
    """
    return float(f"{value:.1e}")


def round_length(metres: float) -> float:
    """A length with two digits that count, and not below a centimetre.

    >>> round_length(0.0567), round_length(-1.26), round_length(0.001)
    (0.06, -1.3, 0.01)
    """
    length = max(0.01, round(round_number(abs(metres)), 2))
    return math.copysign(length, metres)


def write_number(value: float) -> str:
    """A number's two digits, written without an exponent; centimetres at least.

    >>> write_number(0.3), write_number(0.057), write_number(1.0), write_number(35.0), write_number(120.0)
    ('0.30', '0.057', '1.0', '35', '120')
    """
    if value >= 9.95:
        return f"{round_number(value):.0f}"
    if value >= 0.995:
        return f"{value:.1f}"
    if value >= 0.0995 or round(value, 2) == value:
        return f"{value:.2f}"
    return f"{value:.{1 - math.floor(math.log10(value))}f}"
