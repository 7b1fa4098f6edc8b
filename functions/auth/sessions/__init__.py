"""Sessions: started and ended; those of browsers."""
