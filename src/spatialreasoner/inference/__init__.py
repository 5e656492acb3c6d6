"""Calling models: names, endpoints with limits and retries, a journal of paid replies, budgets, backends."""
