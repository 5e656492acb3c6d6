"""How models of each kind are called."""
