"""llama.cpp in this process (extra ``local``)."""
