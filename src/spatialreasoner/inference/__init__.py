"""Calling models: names, endpoints with their limits and habits, budgets, the journal, and the backends."""
