"""A teacher of Python modules that needs no model: documented examples, contrasts between siblings, mutants."""
