"""Readers of sources: each makes a document with spans and provenance."""
