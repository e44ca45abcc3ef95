"""What is seen in a notebook: each widget is one module of Python, one of JavaScript, and a style sheet."""
