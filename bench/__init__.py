"""Measures the suite on the machine it runs on; `python -m bench --help`."""
