"""Sessions: started, refreshed, ended; those of applications and those of browsers."""
