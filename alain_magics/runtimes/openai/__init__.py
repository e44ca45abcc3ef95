"""Servers that speak OpenAI's chat completions: OpenAI itself, LM Studio, llama.cpp, vLLM and many more."""
