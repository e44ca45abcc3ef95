"""The teacher of model cards: everything is planned, run and proven in the outline, then handed out topic by topic."""

from __future__ import annotations

import re

from alain_magics.errors import NothingToTeach
from alain_magics.lessons.proving import Prover
from alain_magics.lessons.schema import Exercise, Question, Section
from alain_magics.lessons.sources.card import CardDocument
from alain_magics.lessons.teachers.base import Brief, Outline, Topic
from alain_magics.lessons.teachers.card.attention import plan_cache
from alain_magics.lessons.teachers.card.claims import plain, use_items
from alain_magics.lessons.teachers.card.experts import plan_experts
from alain_magics.lessons.teachers.card.items import Made, Maker, Plan, at
from alain_magics.lessons.teachers.card.model import Model, read_model
from alain_magics.lessons.teachers.card.prompting import loading_items, prompting_items
from alain_magics.lessons.teachers.card.results import plan_results
from alain_magics.lessons.teachers.card.serving import plan_fit, plan_speed
from alain_magics.lessons.teachers.card.shape import plan_shape
from alain_magics.lessons.teachers.card.weights import plan_weights
from alain_magics.lessons.teachers.card.window import plan_window
from alain_magics.sandbox import Sandbox
