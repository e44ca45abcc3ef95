"""The verbs: one file each, used by the magic, the shell and the server alike."""
