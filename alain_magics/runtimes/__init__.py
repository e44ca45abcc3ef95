"""Any model runtime behind one contract: discover, choose, stream. Models are called through ``turn.py`` only."""
