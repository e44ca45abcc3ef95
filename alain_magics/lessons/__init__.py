"""Lessons: from a source to sections of steps that were checked, and to a notebook and back."""
