"""What models write, taken apart: channels, tool calls, endless repetition, JSON."""
