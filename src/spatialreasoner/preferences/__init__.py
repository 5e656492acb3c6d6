"""Preference pairs with a gap per segment, and SFT examples, from scored answers."""
