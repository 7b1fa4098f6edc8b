"""What slows down whoever guesses at passwords, keys and codes, and keeps it on record."""
