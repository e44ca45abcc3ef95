"""A teacher of model cards that needs no model: executed arithmetic from the configuration, cited items from prose."""

from alain_magics.lessons.teachers.card.teacher import CardTeacher

__all__ = ["CardTeacher"]
