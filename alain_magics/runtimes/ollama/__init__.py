"""Ollama, by its own API."""
