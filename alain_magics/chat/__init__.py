"""Conversations with a model: profiles, history, the context budget, and import of earlier formats."""
