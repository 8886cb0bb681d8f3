"""What every engine that speaks llama.cpp's server protocol shares; not a kind."""
