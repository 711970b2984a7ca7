"""Where the position is kept, and what keeps a second bridge out."""
