"""Teachers: those that need no model, and later those that use one."""
