"""What turns this repository into what runs."""
