"""Whether questions and prose are good enough to be shown: rules for one item, bars for a set, a linter for prose."""
