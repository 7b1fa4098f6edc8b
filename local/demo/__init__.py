"""`make demo`: a customer's whole life on this machine, told and checked step by step."""
