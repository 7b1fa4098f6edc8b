"""Sessions: started, refreshed, ended."""
